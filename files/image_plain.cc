// The formats that need no library: BMP without compression, and PNM (P1 to P6).
#include <algorithm>
#include <array>
#include <bit>
#include <charconv>

#include "files/image_formats.h"

namespace treadle {
namespace {

// Little-endian fields at fixed places; 0 beyond the end.
class Fields {
 public:
  explicit Fields(std::string_view bytes) : bytes_(bytes) {}
  size_t size() const { return bytes_.size(); }
  uint8_t u8(size_t at) const {
    return at < bytes_.size() ? static_cast<uint8_t>(bytes_[at]) : uint8_t{0};
  }
  uint32_t u16(size_t at) const { return u8(at) | static_cast<uint32_t>(u8(at + 1)) << 8; }
  uint32_t u32(size_t at) const { return u16(at) | u16(at + 2) << 16; }

 private:
  std::string_view bytes_;
};

// ---- BMP

constexpr uint32_t kPlain = 0;
constexpr uint32_t kBitFields = 3;
constexpr size_t kFileHeader = 14;

struct Bitmap {
  int64_t width = 0;
  int64_t height = 0;
  bool top_down = false;
  uint32_t bits = 0;  // a pixel
  uint32_t compression = kPlain;
  size_t palette = 0;  // where it lies, its entries and their bytes
  size_t entries = 0;
  size_t entry_bytes = 4;
  size_t pixels = 0;
  std::array<uint32_t, 3> masks{};  // of red, green and blue
};

void read_masks(const Fields& f, size_t header, Bitmap& b) {
  if (b.compression == kBitFields) {
    for (size_t i = 0; i < 3; ++i) b.masks[i] = f.u32(kFileHeader + 40 + 4 * i);
    if (header == 40) b.palette += 12;  // the masks lie behind the header
  } else if (b.bits == 16) {
    b.masks = {0x7c00, 0x03e0, 0x001f};
  } else {
    b.masks = {0xff0000, 0x00ff00, 0x0000ff};
  }
}

std::optional<Bitmap> read_header(const Fields& f) {
  Bitmap b;
  const size_t header = f.u32(kFileHeader);
  b.pixels = f.u32(10);
  b.palette = kFileHeader + header;
  if (header == 12) {
    b.width = f.u16(18);
    b.height = f.u16(20);
    b.bits = f.u16(24);
    b.entry_bytes = 3;
  } else if (header >= 40) {
    b.width = static_cast<int32_t>(f.u32(18));
    const int64_t height = static_cast<int32_t>(f.u32(22));
    b.top_down = height < 0;
    b.height = b.top_down ? -height : height;
    b.bits = f.u16(28);
    b.compression = f.u32(30);
    b.entries = f.u32(46);
  } else {
    return std::nullopt;
  }
  const bool wide = b.bits == 16 || b.bits == 32;
  const bool known = b.bits == 1 || b.bits == 4 || b.bits == 8 || b.bits == 24 || wide;
  if (!known || !(b.compression == kPlain || (b.compression == kBitFields && wide)))
    return std::nullopt;
  read_masks(f, header, b);
  if (b.bits <= 8 && (b.entries == 0 || b.entries > (size_t{1} << b.bits)))
    b.entries = size_t{1} << b.bits;
  return b;
}

// The bits of a mask, stretched to 0 … 255.
uint8_t channel(uint32_t pixel, uint32_t mask) {
  if (mask == 0) return 0;
  const int shift = std::countr_zero(mask);
  const uint64_t most = mask >> shift;
  return static_cast<uint8_t>((uint64_t{(pixel & mask) >> shift} * 255 + most / 2) / most);
}

void read_pixel(const Fields& f, const Bitmap& b, size_t row, size_t x, uint8_t* rgb) {
  if (b.bits == 24) {
    for (size_t i = 0; i < 3; ++i) rgb[i] = f.u8(row + 3 * x + 2 - i);
  } else if (b.bits > 8) {
    const uint32_t pixel = b.bits == 16 ? f.u16(row + 2 * x) : f.u32(row + 4 * x);
    for (size_t i = 0; i < 3; ++i) rgb[i] = channel(pixel, b.masks[i]);
  } else {
    const size_t per_byte = 8 / b.bits;
    const auto shift = static_cast<int>((per_byte - 1 - x % per_byte) * b.bits);
    const size_t index = (f.u8(row + x / per_byte) >> shift) & ((1u << b.bits) - 1);
    const size_t entry = b.palette + index * b.entry_bytes;
    for (size_t i = 0; i < 3; ++i) rgb[i] = index < b.entries ? f.u8(entry + 2 - i) : uint8_t{0};
  }
}

// ---- PNM

// Numbers between white space and comments.
class Words {
 public:
  explicit Words(std::string_view bytes) : bytes_(bytes) {}
  size_t at() const { return at_; }
  std::optional<int64_t> number() {
    skip_space();
    int64_t value = 0;
    const char* begin = bytes_.data() + at_;
    const auto [end, error] = std::from_chars(begin, bytes_.data() + bytes_.size(), value);
    if (error != std::errc() || value < 0) return std::nullopt;
    at_ += static_cast<size_t>(end - begin);
    return value;
  }
  // A digit of a plain bitmap, which need not stand apart.
  std::optional<int64_t> bit() {
    skip_space();
    if (at_ >= bytes_.size() || (bytes_[at_] != '0' && bytes_[at_] != '1')) return std::nullopt;
    return bytes_[at_++] - '0';
  }

 private:
  void skip_space() {
    while (at_ < bytes_.size()) {
      const char ch = bytes_[at_];
      if (ch == '#') {
        at_ = std::min(bytes_.find('\n', at_), bytes_.size());
      } else if (ch == ' ' || (ch >= '\t' && ch <= '\r')) {
        ++at_;
      } else {
        return;
      }
    }
  }
  std::string_view bytes_;
  size_t at_ = 2;  // behind the magic
};

struct Pnm {
  char kind = 0;  // '1' … '6'
  int64_t width = 0;
  int64_t height = 0;
  int64_t most = 1;
  bool plain() const { return kind <= '3'; }
  bool bitmap() const { return kind == '1' || kind == '4'; }
  size_t channels() const { return kind == '3' || kind == '6' ? 3 : 1; }
};

std::optional<Pnm> read_header(std::string_view bytes, Words& words) {
  const auto width = words.number();
  const auto height = words.number();
  if (!width || !height) return std::nullopt;
  Pnm p{bytes[1], *width, *height, 1};
  if (!p.bitmap()) p.most = words.number().value_or(0);
  if (p.most < 1 || p.most > 65535) return std::nullopt;
  return p;
}

// All samples, a bitmap's 1 being black.
std::optional<std::vector<int64_t>> read_samples(const Pnm& p, std::string_view bytes,
                                                 Words& words) {
  const auto width = static_cast<size_t>(p.width);
  const size_t row = p.bitmap() ? (width + 7) / 8 : width * p.channels() * (p.most > 255 ? 2 : 1);
  const auto height = static_cast<size_t>(p.height);
  const size_t begin = words.at() + 1;
  // A plain sample takes at least one byte.
  const size_t needed =
      p.plain() ? words.at() + width * height * p.channels() : begin + row * height;
  if (bytes.size() < needed) return std::nullopt;
  const Fields f(bytes);
  std::vector<int64_t> samples;
  samples.reserve(width * height * p.channels());
  for (size_t y = 0; y < height; ++y) {
    for (size_t x = 0; x < width * p.channels(); ++x) {
      const size_t at = begin + y * row;
      std::optional<int64_t> sample;
      if (p.plain()) {
        sample = p.bitmap() ? words.bit() : words.number();
      } else if (p.bitmap()) {
        sample = (f.u8(at + x / 8) >> (7 - x % 8)) & 1;
      } else {
        sample = p.most > 255 ? f.u8(at + 2 * x) << 8 | f.u8(at + 2 * x + 1) : f.u8(at + x);
      }
      if (!sample || *sample > p.most) return std::nullopt;
      samples.push_back(p.bitmap() ? 1 - *sample : *sample);
    }
  }
  return samples;
}

}  // namespace

std::optional<Image> decode_bmp(std::string_view bytes) {
  const Fields f(bytes);
  const auto b = read_header(f);
  if (!b || !is_image_size(b->width, b->height)) return std::nullopt;
  const size_t stride = (static_cast<size_t>(b->width) * b->bits + 31) / 32 * 4;
  const auto height = static_cast<size_t>(b->height);
  if (b->pixels > f.size() || f.size() - b->pixels < stride * height) return std::nullopt;
  Image image{b->width, b->height, std::vector<uint8_t>(rgb_bytes(b->width, b->height))};
  uint8_t* to = image.rgb.data();
  for (size_t y = 0; y < height; ++y) {
    const size_t row = b->pixels + stride * (b->top_down ? y : height - 1 - y);
    for (size_t x = 0; x < static_cast<size_t>(b->width); ++x, to += 3)
      read_pixel(f, *b, row, x, to);
  }
  return image;
}

std::optional<Image> decode_pnm(std::string_view bytes) {
  Words words(bytes);
  const auto p = read_header(bytes, words);
  if (!p || !is_image_size(p->width, p->height)) return std::nullopt;
  const auto samples = read_samples(*p, bytes, words);
  if (!samples) return std::nullopt;
  Image image{p->width, p->height, {}};
  image.rgb.reserve(rgb_bytes(p->width, p->height));
  for (int64_t sample : *samples) {
    const auto byte = static_cast<uint8_t>((sample * 255 + p->most / 2) / p->most);
    image.rgb.insert(image.rgb.end(), 3 / p->channels(), byte);
  }
  return image;
}

}  // namespace treadle
