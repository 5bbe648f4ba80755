// Data files of tests.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "files/image.h"
#include "tests/support/folder.h"

namespace treadle::test {

// A PNG of one colour.
inline void write_picture(const Folder& folder, const std::string& name, int64_t width,
                          int64_t height, uint8_t grey) {
  Image image = blank_image(width, height);
  image.rgb.assign(image.rgb.size(), grey);
  folder.write(name, encode_png(image));
}

// The text of the Error that a call throws; "" where it throws none.
template <class F>
std::string error_of(F&& f) {
  try {
    f();
  } catch (const Error& e) {
    return e.what();
  }
  return "";
}

}  // namespace treadle::test
