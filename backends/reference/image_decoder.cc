// ImageDecoder: finds the format by its first bytes; what cannot be decoded is an empty image.
#include <algorithm>
#include <array>

#include "backends/reference/external.h"
#include "backends/reference/image_formats.h"

namespace treadle {
namespace {

struct Format {
  std::string_view magic;
  size_t at;  // where the magic lies
  DecodeImage decode;
};

using namespace std::string_view_literals;
constexpr auto kFormats = std::to_array<Format>({
    {"\xff\xd8\xff"sv, 0, decode_jpeg},
    {"\x89PNG\r\n\x1a\n"sv, 0, decode_png},
    {"BM"sv, 0, decode_bmp},
    {"P1"sv, 0, decode_pnm},
    {"P2"sv, 0, decode_pnm},
    {"P3"sv, 0, decode_pnm},
    {"P4"sv, 0, decode_pnm},
    {"P5"sv, 0, decode_pnm},
    {"P6"sv, 0, decode_pnm},
#ifdef TREADLE_TIFF
    {"II*\0"sv, 0, decode_tiff},
    {"MM\0*"sv, 0, decode_tiff},
#endif
#ifdef TREADLE_WEBP
    {"WEBP"sv, 8, decode_webp},
#endif
#ifdef TREADLE_JPEG2000
    {"\0\0\0\x0cjP  \r\n\x87\n"sv, 0, decode_jpeg2000},
    {"\xff\x4f\xff\x51"sv, 0, decode_jpeg2000},
#endif
});

std::optional<Image> decode(std::string_view bytes) {
  for (const Format& f : kFormats) {
    if (bytes.size() >= f.at && bytes.substr(f.at).starts_with(f.magic)) return f.decode(bytes);
  }
  return std::nullopt;
}

// ITU-R 601 in fixed point, as Pillow's convert("L").
uint8_t luma(const uint8_t* rgb) {
  return static_cast<uint8_t>((rgb[0] * 19595 + rgb[1] * 38470 + rgb[2] * 7471 + 0x8000) >> 16);
}

}  // namespace

bool is_image_size(int64_t width, int64_t height) {
  constexpr int64_t kMaxPixels = int64_t{1} << 28;
  if (width <= 0 || height <= 0) return false;
  TREADLE_CHECK(height <= kMaxPixels / width, kLimit, "an image of ", width, " x ", height,
                " pixels; the limit is ", kMaxPixels, " in all");
  return true;
}

void eval_image_decoder(EvalContext& c) {
  const std::string format = c.attributes().s("pixel_format", "RGB");
  TREADLE_CHECK(format == "RGB" || format == "BGR" || format == "Grayscale", kInvalidModel,
                "attribute pixel_format is '", format, "', expected RGB, BGR or Grayscale");
  const Tensor& x = c.input(0);
  const Image image = decode({reinterpret_cast<const char*>(x.raw()), x.bytes()}).value_or(Image{});
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
