// Decoders of image files, one a format.
#pragma once

#include <optional>
#include <string_view>

#include "files/image.h"

namespace treadle {

// Nothing, or kInvalidArgument with the reason where the library tells one, when the bytes are
// broken. Transparency is dropped.
using DecodeImage = std::optional<Image> (*)(std::string_view bytes);

std::optional<Image> decode_jpeg(std::string_view bytes);
std::optional<Image> decode_png(std::string_view bytes);
std::optional<Image> decode_bmp(std::string_view bytes);
std::optional<Image> decode_pnm(std::string_view bytes);
// These where the build found their libraries.
std::optional<Image> decode_tiff(std::string_view bytes);
std::optional<Image> decode_webp(std::string_view bytes);
std::optional<Image> decode_jpeg2000(std::string_view bytes);

// False unless both are at least 1; kLimit for an image that is too large to be meant.
bool is_image_size(int64_t width, int64_t height);

inline size_t rgb_bytes(int64_t width, int64_t height) {
  return static_cast<size_t>(width) * static_cast<size_t>(height) * 3;
}

// The EXIF orientation (1..8) that a JPEG or PNG file states; 1 where there is none.
int image_orientation(std::string_view bytes);

}  // namespace treadle
