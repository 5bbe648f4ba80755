// Pictures as 8-bit RGB: decoded from every format that the build has, and encoded as PNG.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "graph/base/checked.h"

namespace treadle {

struct Image {
  int64_t width = 0;
  int64_t height = 0;
  std::vector<uint8_t> rgb;  // rows from the top, height × width × 3
};

// By content: JPEG, PNG, BMP, PNM; TIFF, WebP and JPEG 2000 where the build found their libraries.
// The bytes of Pillow's convert("RGB"): alpha is dropped, of 16 bits the high 8 are taken, gamma is
// left alone. kInvalidArgument when it is none of them or broken; kLimit for an image that is too
// large to be meant.
Image decode_image(std::string_view bytes);
// The same of a file, turned as its EXIF orientation says; errors name the file.
Image read_image(const std::filesystem::path& path);
// Whether read_image may read a file of this extension (".jpg"), in any case.
bool is_image_extension(std::string_view extension);

std::string encode_png(const Image& image);

// A black image; sizes as decode_image takes them.
Image blank_image(int64_t width, int64_t height);

}  // namespace treadle
