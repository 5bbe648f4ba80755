// PNG through libpng.
#include <png.h>

#include <csetjmp>
#include <cstring>
#include <memory>
#include <new>

#include "files/image_formats.h"

namespace treadle {
namespace {

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
};

}  // namespace

std::optional<Image> decode_png(std::string_view bytes) {
  PngReader reader(bytes);
  TREADLE_CHECK(reader.read_header(), kInvalidArgument,
                "broken PNG: ", static_cast<const char*>(reader.error));
  Image p = blank_image(png_get_image_width(reader.png, reader.info),
                        png_get_image_height(reader.png, reader.info));
  const auto stride = static_cast<size_t>(p.width) * 3;
  TREADLE_CHECK(png_get_rowbytes(reader.png, reader.info) == stride, kInternal,
                "libpng yields other rows than RGB");
  for (size_t y = 0; y < static_cast<size_t>(p.height); ++y)
    reader.rows.push_back(p.rgb.data() + y * stride);
  TREADLE_CHECK(reader.read_pixels(), kInvalidArgument,
                "broken PNG: ", static_cast<const char*>(reader.error));
  return p;
}

std::string encode_png(const Image& image) {
  png_image png;
  std::memset(&png, 0, sizeof png);
  png.version = PNG_IMAGE_VERSION;
  png.width = static_cast<png_uint_32>(image.width);
  png.height = static_cast<png_uint_32>(image.height);
  png.format = PNG_FORMAT_RGB;
  png_alloc_size_t size = PNG_IMAGE_PNG_SIZE_MAX(png);
  std::string bytes(size, '\0');
  TREADLE_CHECK(
      png_image_write_to_memory(&png, bytes.data(), &size, 0, image.rgb.data(), 0, nullptr) != 0,
      kInternal, "cannot encode a PNG: ", static_cast<const char*>(png.message));
  bytes.resize(size);
  return bytes;
}

}  // namespace treadle
