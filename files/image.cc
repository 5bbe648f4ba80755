// Images by content and by file.
#include "files/image.h"

#include <algorithm>
#include <array>

#include "files/file.h"
#include "files/image_formats.h"

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

// May be read by decode_image.
constexpr auto kExtensions = std::to_array<std::string_view>({
    ".jpg",
    ".jpeg",
    ".png",
    ".bmp",
    ".pbm",
    ".pgm",
    ".ppm",
#ifdef TREADLE_TIFF
    ".tif",
    ".tiff",
#endif
#ifdef TREADLE_WEBP
    ".webp",
#endif
#ifdef TREADLE_JPEG2000
    ".jp2",
    ".j2k",
#endif
});

// The picture as it should be seen: orientations 2..8 mirror, turn, or both.
Image oriented(const Image& p, int orientation) {
  if (orientation == 1) return p;
  const bool transposed = orientation >= 5;
  Image out{transposed ? p.height : p.width, transposed ? p.width : p.height,
            std::vector<uint8_t>(p.rgb.size())};
  const bool flip_x = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
  const bool flip_y = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
  for (int64_t y = 0; y < out.height; ++y) {
    for (int64_t x = 0; x < out.width; ++x) {
      int64_t sx = transposed ? y : x, sy = transposed ? x : y;
      if (flip_x) sx = p.width - 1 - sx;
      if (flip_y) sy = p.height - 1 - sy;
      const auto from = static_cast<size_t>((sy * p.width + sx) * 3);
      std::copy_n(p.rgb.begin() + static_cast<ptrdiff_t>(from), 3,
                  out.rgb.begin() + static_cast<ptrdiff_t>((y * out.width + x) * 3));
    }
  }
  return out;
}

}  // namespace

bool is_image_size(int64_t width, int64_t height) {
  constexpr int64_t kMaxPixels = int64_t{1} << 28;
  if (width <= 0 || height <= 0) return false;
  TREADLE_CHECK(height <= kMaxPixels / width, kLimit, "an image of ", width, " x ", height,
                " pixels; the limit is ", kMaxPixels, " in all");
  return true;
}

Image blank_image(int64_t width, int64_t height) {
  TREADLE_CHECK(is_image_size(width, height), kInvalidArgument, "an image of ", width, " x ",
                height, " pixels");
  return {width, height, std::vector<uint8_t>(rgb_bytes(width, height))};
}

Image decode_image(std::string_view bytes) {
  for (const Format& f : kFormats) {
    if (bytes.size() < f.at || !bytes.substr(f.at).starts_with(f.magic)) continue;
    std::optional<Image> image = f.decode(bytes);
    TREADLE_CHECK(image.has_value(), kInvalidArgument, "the picture is broken");
    return *std::move(image);
  }
  fail(Code::kInvalidArgument, "no picture of a format that this build reads");
}

Image read_image(const std::filesystem::path& path) {
  const std::string bytes = read_file(path);
  try {
    return oriented(decode_image(bytes), image_orientation(bytes));
  } catch (Error& e) {
    e.add_context(cat("picture '", path.string(), "'"));
    throw;
  }
}

bool is_image_extension(std::string_view extension) {
  std::string lower(extension);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return std::find(kExtensions.begin(), kExtensions.end(), lower) != kExtensions.end();
}

}  // namespace treadle
