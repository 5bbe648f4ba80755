// Lists of words in one text, as the tables of this folder have them.
#pragma once

#include <algorithm>
#include <string_view>

namespace treadle::onnx {

inline bool has_word(std::string_view list, std::string_view word) {
  while (!list.empty()) {
    const size_t end = std::min(list.find(' '), list.size());
    if (list.substr(0, end) == word) return true;
    list.remove_prefix(std::min(end + 1, list.size()));
  }
  return false;
}

}  // namespace treadle::onnx
