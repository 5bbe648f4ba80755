// JPEG through libjpeg-turbo: accurate DCT, smooth upsampling of the chroma.
#include <turbojpeg.h>

#include <memory>

#include "backends/reference/image_formats.h"

namespace treadle {

std::optional<Image> decode_jpeg(std::string_view bytes) {
  const std::unique_ptr<void, int (*)(tjhandle)> decoder(tjInitDecompress(), &tjDestroy);
  int width = 0;
  int height = 0;
  int subsampling = 0;
  int colorspace = 0;
  const auto* data = reinterpret_cast<const unsigned char*>(bytes.data());
  if (decoder == nullptr || tjDecompressHeader3(decoder.get(), data, bytes.size(), &width, &height,
                                                &subsampling, &colorspace) != 0)
    return std::nullopt;
  if (!is_image_size(width, height)) return std::nullopt;
  Image image{width, height, std::vector<uint8_t>(rgb_bytes(width, height))};
  if (tjDecompress2(decoder.get(), data, bytes.size(), image.rgb.data(), width, 0, height, TJPF_RGB,
                    TJFLAG_ACCURATEDCT) != 0)
    return std::nullopt;
  return image;
}

}  // namespace treadle
