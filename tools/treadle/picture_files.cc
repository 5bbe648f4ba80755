// Pictures from files: libjpeg-turbo, libpng and the EXIF orientation.
#include <png.h>
#include <turbojpeg.h>

#include <algorithm>
#include <csetjmp>
#include <cstring>
#include <memory>
#include <string_view>

#include "tools/treadle/files.h"
#include "tools/treadle/picture.h"

namespace treadle::tool {
namespace {

constexpr int64_t kMaxPixels = 64'000'000;

Picture blank(int64_t width, int64_t height) {
  check_picture_size(width, height);
  return {width, height,
          std::vector<uint8_t>(static_cast<size_t>(width) * static_cast<size_t>(height) * 3)};
}

// Inverted CMYK, as every JPEG writer stores it, to RGB with Pillow's arithmetic.
void cmyk_to_rgb(const std::vector<uint8_t>& cmyk, std::vector<uint8_t>& rgb) {
  for (size_t i = 0; i < rgb.size(); ++i) {
    const int white = cmyk[i / 3 * 4 + 3], ink = 255 - cmyk[i / 3 * 4 + i % 3];
    const int product = white * ink + 128;
    rgb[i] = static_cast<uint8_t>(white - (((product >> 8) + product) >> 8));
  }
}

Picture decode_jpeg(const std::string& bytes) {
  const std::unique_ptr<void, int (*)(tjhandle)> decoder(tjInitDecompress(), &tjDestroy);
  int width = 0, height = 0, subsampling = 0, colors = 0;
  const auto* data = reinterpret_cast<const unsigned char*>(bytes.data());
  TREADLE_CHECK(tjDecompressHeader3(decoder.get(), data, bytes.size(), &width, &height,
                                    &subsampling, &colors) == 0,
                kInvalidArgument, "broken JPEG: ", tjGetErrorStr2(decoder.get()));
  Picture p = blank(width, height);
  const bool cmyk = colors == TJCS_CMYK || colors == TJCS_YCCK;
  std::vector<uint8_t> inks(cmyk ? p.rgb.size() / 3 * 4 : 0);
  TREADLE_CHECK(
      tjDecompress2(decoder.get(), data, bytes.size(), cmyk ? inks.data() : p.rgb.data(), width, 0,
                    height, cmyk ? TJPF_CMYK : TJPF_RGB, TJFLAG_ACCURATEDCT) == 0,
      kInvalidArgument, "broken JPEG: ", tjGetErrorStr2(decoder.get()));
  if (cmyk) cmyk_to_rgb(inks, p.rgb);
  return p;
}

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

int jpeg_orientation(std::string_view bytes) {
  const size_t at = bytes.substr(0, 65536).find(std::string_view("Exif\0\0", 6));
  return at == std::string_view::npos ? 1 : orientation_of(bytes.substr(at + 6));
}

// The picture as it should be seen: orientations 2..8 mirror, turn, or both.
Picture oriented(const Picture& p, int orientation) {
  if (orientation == 1) return p;
  const bool transposed = orientation >= 5;
  Picture out{transposed ? p.height : p.width, transposed ? p.width : p.height,
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

// A PNG while it is read. libpng leaves its functions by longjmp when it meets an error: the two
// functions that call it hold nothing that would need destroying.
struct PngReader {
  std::string_view bytes;
  png_structp png = nullptr;
  png_infop info = nullptr;
  std::vector<png_bytep> rows;
  char error[200] = "";

  explicit PngReader(std::string_view file) : bytes(file) {}
  PngReader(const PngReader&) = delete;
  PngReader& operator=(const PngReader&) = delete;
  ~PngReader() { png_destroy_read_struct(&png, &info, nullptr); }

  static void on_read(png_structp png, png_bytep out, size_t size) {
    auto& self = *static_cast<PngReader*>(png_get_io_ptr(png));
    if (size > self.bytes.size()) png_error(png, "the file is cut off");
    std::memcpy(out, self.bytes.data(), size);
    self.bytes.remove_prefix(size);
  }
  static void on_error(png_structp png, png_const_charp text) {
    auto& self = *static_cast<PngReader*>(png_get_error_ptr(png));
    std::strncpy(self.error, text, sizeof self.error - 1);
    std::longjmp(png_jmpbuf(png), 1);
  }
  static void on_warning(png_structp, png_const_charp) {}

  bool read_header() {
    png = png_create_read_struct(PNG_LIBPNG_VER_STRING, this, &on_error, &on_warning);
    if (png != nullptr) info = png_create_info_struct(png);
    if (info == nullptr) throw std::bad_alloc();
    if (setjmp(png_jmpbuf(png)) != 0) return false;
    png_set_read_fn(png, this, &on_read);
    png_read_info(png, info);
    png_set_expand(png);
    png_set_strip_16(png);
    png_set_gray_to_rgb(png);
    png_set_strip_alpha(png);
    png_set_interlace_handling(png);
    png_read_update_info(png, info);
    return true;
  }
  bool read_pixels() {
    if (setjmp(png_jmpbuf(png)) != 0) return false;
    png_read_image(png, rows.data());
    png_read_end(png, info);
    return true;
  }
  int orientation() {
    png_bytep exif = nullptr;
    png_uint_32 size = 0;
    if (png_get_eXIf_1(png, info, &size, &exif) == 0) return 1;
    return orientation_of({reinterpret_cast<const char*>(exif), size});
  }
};

Picture decode_png(std::string_view bytes) {
  PngReader reader(bytes);
  TREADLE_CHECK(reader.read_header(), kInvalidArgument,
                "broken PNG: ", static_cast<const char*>(reader.error));
  Picture p = blank(png_get_image_width(reader.png, reader.info),
                    png_get_image_height(reader.png, reader.info));
  const auto stride = static_cast<size_t>(p.width) * 3;
  TREADLE_CHECK(png_get_rowbytes(reader.png, reader.info) == stride, kInternal,
                "libpng yields other rows than RGB");
  for (size_t y = 0; y < static_cast<size_t>(p.height); ++y)
    reader.rows.push_back(p.rgb.data() + y * stride);
  TREADLE_CHECK(reader.read_pixels(), kInvalidArgument,
                "broken PNG: ", static_cast<const char*>(reader.error));
  return oriented(p, reader.orientation());
}

}  // namespace

void check_picture_size(int64_t width, int64_t height) {
  TREADLE_CHECK(width > 0 && height > 0 && height <= kMaxPixels / width, kLimit, "a picture of ",
                width, " x ", height, " pixels; the limit is ", kMaxPixels, " in all");
}

Picture read_picture(const std::filesystem::path& path) {
  const std::string bytes = read_file(path);
  try {
    if (bytes.starts_with("\xff\xd8")) return oriented(decode_jpeg(bytes), jpeg_orientation(bytes));
    if (bytes.starts_with("\x89PNG")) return decode_png(bytes);
    fail(Code::kInvalidArgument, "neither a JPEG nor a PNG picture");
  } catch (Error& e) {
    e.add_context(cat("picture '", path.string(), "'"));
    throw;
  }
}

}  // namespace treadle::tool
