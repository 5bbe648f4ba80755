// WebP through libwebp, a still picture.
#ifdef TREADLE_WEBP
#include <webp/decode.h>

#include "files/image_formats.h"

namespace treadle {

std::optional<Image> decode_webp(std::string_view bytes) {
  const auto* data = reinterpret_cast<const uint8_t*>(bytes.data());
  int width = 0;
  int height = 0;
  if (WebPGetInfo(data, bytes.size(), &width, &height) == 0 || !is_image_size(width, height))
    return std::nullopt;
  Image image{width, height, std::vector<uint8_t>(rgb_bytes(width, height))};
  if (WebPDecodeRGBInto(data, bytes.size(), image.rgb.data(), image.rgb.size(), 3 * width) ==
      nullptr)
    return std::nullopt;
  return image;
}

}  // namespace treadle
#endif
