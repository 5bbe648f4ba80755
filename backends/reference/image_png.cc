// PNG through libpng.
#include <png.h>

#include <algorithm>
#include <cstring>
#include <memory>

#include "backends/reference/image_formats.h"

namespace treadle {

std::optional<Image> decode_png(std::string_view bytes) {
  png_image png;
  std::memset(&png, 0, sizeof png);
  png.version = PNG_IMAGE_VERSION;
  if (png_image_begin_read_from_memory(&png, bytes.data(), bytes.size()) == 0) return std::nullopt;
  const std::unique_ptr<png_image, void (*)(png_image*)> guard(&png, &png_image_free);
  if (!is_image_size(png.width, png.height)) return std::nullopt;
  png.flags |= PNG_IMAGE_FLAG_16BIT_sRGB;
  png.format = PNG_FORMAT_RGBA;
  std::vector<uint8_t> rgba(PNG_IMAGE_SIZE(png));
  if (png_image_finish_read(&png, nullptr, rgba.data(), 0, nullptr) == 0) return std::nullopt;
  Image image{png.width, png.height, std::vector<uint8_t>(rgb_bytes(png.width, png.height))};
  for (size_t i = 0; i < rgba.size() / 4; ++i)
    std::copy_n(rgba.data() + 4 * i, 3, image.rgb.data() + 3 * i);
  return image;
}

}  // namespace treadle
