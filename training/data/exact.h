// Numbers as texts that read back as the same numbers.
#pragma once

#include <array>
#include <charconv>
#include <string>

namespace treadle {

inline std::string exact_text(double value) {
  std::array<char, 32> text{};
  const auto end = std::to_chars(text.data(), text.data() + text.size(), value).ptr;
  return {text.data(), end};
}

}  // namespace treadle
