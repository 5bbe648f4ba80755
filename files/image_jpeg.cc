// JPEG through libjpeg-turbo: accurate DCT, smooth upsampling of the chroma.
#include <turbojpeg.h>

#include <memory>

#include "files/image_formats.h"

namespace treadle {
namespace {

// Inverted CMYK, as every JPEG writer stores it, to RGB with Pillow's arithmetic.
void cmyk_to_rgb(const std::vector<uint8_t>& cmyk, std::vector<uint8_t>& rgb) {
  for (size_t i = 0; i < rgb.size(); ++i) {
    const int white = cmyk[i / 3 * 4 + 3], ink = 255 - cmyk[i / 3 * 4 + i % 3];
    const int product = white * ink + 128;
    rgb[i] = static_cast<uint8_t>(white - (((product >> 8) + product) >> 8));
  }
}

}  // namespace

std::optional<Image> decode_jpeg(std::string_view bytes) {
  const std::unique_ptr<void, int (*)(tjhandle)> decoder(tjInitDecompress(), &tjDestroy);
  int width = 0, height = 0, subsampling = 0, colors = 0;
  const auto* data = reinterpret_cast<const unsigned char*>(bytes.data());
  TREADLE_CHECK(tjDecompressHeader3(decoder.get(), data, bytes.size(), &width, &height,
                                    &subsampling, &colors) == 0,
                kInvalidArgument, "broken JPEG: ", tjGetErrorStr2(decoder.get()));
  Image p = blank_image(width, height);
  const bool cmyk = colors == TJCS_CMYK || colors == TJCS_YCCK;
  std::vector<uint8_t> inks(cmyk ? p.rgb.size() / 3 * 4 : 0);
  TREADLE_CHECK(
      tjDecompress2(decoder.get(), data, bytes.size(), cmyk ? inks.data() : p.rgb.data(), width, 0,
                    height, cmyk ? TJPF_CMYK : TJPF_RGB, TJFLAG_ACCURATEDCT) == 0,
      kInvalidArgument, "broken JPEG: ", tjGetErrorStr2(decoder.get()));
  if (cmyk) cmyk_to_rgb(inks, p.rgb);
  return p;
}

}  // namespace treadle
