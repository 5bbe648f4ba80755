// TIFF through libtiff, the first page.
#ifdef TREADLE_TIFF
#include <tiffio.h>

#include <algorithm>
#include <cstring>
#include <memory>

#include "files/image_formats.h"

namespace treadle {
namespace {

struct Stream {
  std::string_view bytes;
  size_t at = 0;
};

tmsize_t read_bytes(thandle_t handle, void* to, tmsize_t size) {
  auto& s = *static_cast<Stream*>(handle);
  const size_t count =
      s.at < s.bytes.size() ? std::min(static_cast<size_t>(size), s.bytes.size() - s.at) : 0;
  std::memcpy(to, s.bytes.data() + s.at, count);
  s.at += count;
  return static_cast<tmsize_t>(count);
}
tmsize_t write_bytes(thandle_t, void*, tmsize_t) { return 0; }
toff_t seek(thandle_t handle, toff_t offset, int whence) {
  auto& s = *static_cast<Stream*>(handle);
  const size_t base = whence == SEEK_SET ? 0 : whence == SEEK_CUR ? s.at : s.bytes.size();
  s.at = base + offset;
  return s.at;
}
int close(thandle_t) { return 0; }
toff_t size_of(thandle_t handle) { return static_cast<Stream*>(handle)->bytes.size(); }

int be_silent(TIFF*, void*, const char*, const char*, va_list) { return 1; }

using Options = std::unique_ptr<TIFFOpenOptions, void (*)(TIFFOpenOptions*)>;
using File = std::unique_ptr<TIFF, void (*)(TIFF*)>;

File open(Stream& stream) {
  constexpr tmsize_t kMaxBytes = tmsize_t{1} << 30;  // that one field of the file may ask for
  const Options options(TIFFOpenOptionsAlloc(), &TIFFOpenOptionsFree);
  if (options == nullptr) return {nullptr, &TIFFClose};
  TIFFOpenOptionsSetErrorHandlerExtR(options.get(), be_silent, nullptr);
  TIFFOpenOptionsSetWarningHandlerExtR(options.get(), be_silent, nullptr);
  TIFFOpenOptionsSetMaxSingleMemAlloc(options.get(), kMaxBytes);
  return {TIFFClientOpenExt("image", "rm", &stream, read_bytes, write_bytes, seek, close, size_of,
                            nullptr, nullptr, options.get()),
          &TIFFClose};
}

}  // namespace

std::optional<Image> decode_tiff(std::string_view bytes) {
  Stream stream{bytes};
  const File tiff = open(stream);
  if (tiff == nullptr) return std::nullopt;
  uint32_t width = 0;
  uint32_t height = 0;
  if (TIFFGetField(tiff.get(), TIFFTAG_IMAGEWIDTH, &width) == 0 ||
      TIFFGetField(tiff.get(), TIFFTAG_IMAGELENGTH, &height) == 0 || !is_image_size(width, height))
    return std::nullopt;
  std::vector<uint32_t> pixels(static_cast<size_t>(width) * height);
  if (TIFFReadRGBAImageOriented(tiff.get(), width, height, pixels.data(), ORIENTATION_TOPLEFT, 1) ==
      0)
    return std::nullopt;
  Image image{width, height, {}};
  image.rgb.reserve(pixels.size() * 3);
  for (uint32_t p : pixels) {
    for (const uint32_t part : {TIFFGetR(p), TIFFGetG(p), TIFFGetB(p)})
      image.rgb.push_back(static_cast<uint8_t>(part));
  }
  return image;
}

}  // namespace treadle
#endif
