// ImageDecoder: what cannot be decoded is an empty image.
#include <algorithm>

#include "backends/reference/external.h"
#include "files/image.h"

namespace treadle {
namespace {

// ITU-R 601 in fixed point, as Pillow's convert("L").
uint8_t luma(const uint8_t* rgb) {
  return static_cast<uint8_t>((rgb[0] * 19595 + rgb[1] * 38470 + rgb[2] * 7471 + 0x8000) >> 16);
}

Image decode(std::string_view bytes) {
  try {
    return decode_image(bytes);
  } catch (const Error& e) {
    if (e.code() != Code::kInvalidArgument) throw;
    return {};
  }
}

}  // namespace

void eval_image_decoder(EvalContext& c) {
  const std::string format = c.attributes().s("pixel_format", "RGB");
  TREADLE_CHECK(format == "RGB" || format == "BGR" || format == "Grayscale", kInvalidModel,
                "attribute pixel_format is '", format, "', expected RGB, BGR or Grayscale");
  const Tensor& x = c.input(0);
  const Image image = decode({reinterpret_cast<const char*>(x.raw()), x.bytes()});
  const bool grey = format == "Grayscale";
  Tensor& y = c.output(0, {image.height, image.width, grey ? 1 : 3});
  uint8_t* to = y.data<uint8_t>().data();
  for (size_t i = 0; i < image.rgb.size(); i += 3) {
    const uint8_t* from = image.rgb.data() + i;
    if (grey) {
      *to++ = luma(from);
    } else if (format == "RGB") {
      to = std::copy_n(from, 3, to);
    } else {
      to = std::reverse_copy(from, from + 3, to);
    }
  }
}

}  // namespace treadle
