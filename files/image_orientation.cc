// The EXIF orientation of JPEG and PNG files.
#include "files/image_formats.h"

namespace treadle {
namespace {

// The orientation tag (1..8) of a TIFF header, 1 where there is none (Exif 2.3, §4.6.4 A).
int orientation_of(std::string_view tiff) {
  const bool big = tiff.starts_with('M');
  const auto number = [&](size_t offset, size_t size) -> size_t {
    if (offset + size > tiff.size()) return 0;
    size_t value = 0;
    for (size_t i = 0; i < size; ++i) {
      const auto b = static_cast<size_t>(static_cast<unsigned char>(tiff[offset + i]));
      value |= b << (8 * (big ? size - 1 - i : i));
    }
    return value;
  };
  const size_t directory = number(4, 4);
  const size_t entries = number(directory, 2);
  for (size_t i = 0; i < entries; ++i) {
    const size_t entry = directory + 2 + 12 * i;
    if (number(entry, 2) == 0x0112) {
      const size_t value = number(entry + 8, 2);
      return value >= 1 && value <= 8 ? static_cast<int>(value) : 1;
    }
  }
  return 1;
}

// The block of EXIF data, a TIFF header first; "" where there is none.
std::string_view exif_of(std::string_view bytes) {
  const std::string_view jpeg_mark("Exif\0\0", 6), head = bytes.substr(0, 65536);
  const bool png = bytes.starts_with("\x89PNG");
  const size_t at = head.find(png ? std::string_view("eXIf") : jpeg_mark);
  return at == std::string_view::npos ? "" : bytes.substr(at + (png ? 4 : jpeg_mark.size()));
}

}  // namespace

int image_orientation(std::string_view bytes) { return orientation_of(exif_of(bytes)); }

}  // namespace treadle
