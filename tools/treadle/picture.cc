#include "tools/treadle/picture.h"

#include <png.h>
#include <turbojpeg.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>

#include "tools/treadle/files.h"

namespace treadle::tool {
namespace {

constexpr int64_t kMaxPixels = 64'000'000;

void check_size(int64_t width, int64_t height) {
  TREADLE_CHECK(width > 0 && height > 0 && height <= kMaxPixels / width, kLimit, "a picture of ",
                width, " x ", height, " pixels; the limit is ", kMaxPixels, " in all");
}

Picture decode_jpeg(const std::string& bytes) {
  const std::unique_ptr<void, int (*)(tjhandle)> decoder(tjInitDecompress(), &tjDestroy);
  int width = 0, height = 0, subsampling = 0, colorspace = 0;
  const auto* data = reinterpret_cast<const unsigned char*>(bytes.data());
  TREADLE_CHECK(tjDecompressHeader3(decoder.get(), data, bytes.size(), &width, &height,
                                    &subsampling, &colorspace) == 0,
                kInvalidArgument, "broken JPEG: ", tjGetErrorStr2(decoder.get()));
  check_size(width, height);
  Picture p{width, height,
            std::vector<uint8_t>(static_cast<size_t>(width) * static_cast<size_t>(height) * 3)};
  TREADLE_CHECK(tjDecompress2(decoder.get(), data, bytes.size(), p.rgb.data(), width, 0, height,
                              TJPF_RGB, TJFLAG_ACCURATEDCT) == 0,
                kInvalidArgument, "broken JPEG: ", tjGetErrorStr2(decoder.get()));
  return p;
}

Picture decode_png(const std::string& bytes) {
  png_image image;
  std::memset(&image, 0, sizeof image);
  image.version = PNG_IMAGE_VERSION;
  TREADLE_CHECK(png_image_begin_read_from_memory(&image, bytes.data(), bytes.size()) != 0,
                kInvalidArgument, "broken PNG: ", static_cast<const char*>(image.message));
  const std::unique_ptr<png_image, void (*)(png_image*)> guard(&image, &png_image_free);
  check_size(image.width, image.height);
  image.format = PNG_FORMAT_RGB;
  Picture p{image.width, image.height, std::vector<uint8_t>(PNG_IMAGE_SIZE(image))};
  png_color white{255, 255, 255};
  TREADLE_CHECK(png_image_finish_read(&image, &white, p.rgb.data(), 0, nullptr) != 0,
                kInvalidArgument, "broken PNG: ", static_cast<const char*>(image.message));
  return p;
}

// The orientation tag (1..8) of a JPEG's EXIF segment, 1 where there is none (Exif 2.3, §4.6.4 A).
int exif_orientation(const std::string& bytes) {
  const size_t at = bytes.substr(0, 65536).find(std::string("Exif\0\0", 6));
  if (at == std::string::npos || at + 14 > bytes.size()) return 1;
  const size_t tiff = at + 6;
  const bool big = bytes[tiff] == 'M';
  auto number = [&](size_t offset, size_t size) -> size_t {
    if (offset + size > bytes.size()) return 0;
    size_t value = 0;
    for (size_t i = 0; i < size; ++i) {
      const auto b = static_cast<size_t>(static_cast<unsigned char>(bytes[offset + i]));
      value |= b << (8 * (big ? size - 1 - i : i));
    }
    return value;
  };
  const size_t directory = tiff + number(tiff + 4, 4);
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

// Triangle-filter weights of one output pixel, as Pillow's precompute_coeffs.
struct Taps {
  int64_t first;
  std::vector<double> weights;
};
std::vector<Taps> taps(int64_t in, int64_t out) {
  const double ratio = static_cast<double>(in) / static_cast<double>(out);
  const double support = std::max(ratio, 1.0);
  std::vector<Taps> all;
  for (int64_t i = 0; i < out; ++i) {
    const double centre = (static_cast<double>(i) + 0.5) * ratio;
    const auto first = std::max<int64_t>(static_cast<int64_t>(centre - support + 0.5), 0);
    const auto last = std::min<int64_t>(static_cast<int64_t>(centre + support + 0.5), in);
    Taps t{first, {}};
    double sum = 0;
    for (int64_t j = first; j < last; ++j) {
      const double w =
          std::max(0.0, 1.0 - std::abs((static_cast<double>(j) + 0.5 - centre) / support));
      t.weights.push_back(w);
      sum += w;
    }
    for (double& w : t.weights) w /= sum;
    all.push_back(std::move(t));
  }
  return all;
}

uint8_t rounded(double x) {
  return static_cast<uint8_t>(std::clamp(std::floor(x + 0.5), 0.0, 255.0));
}

Picture resize_width(const Picture& p, int64_t width) {
  Picture out{width, p.height, std::vector<uint8_t>(static_cast<size_t>(width * p.height * 3))};
  const std::vector<Taps> all = taps(p.width, width);
  for (int64_t y = 0; y < p.height; ++y) {
    for (int64_t x = 0; x < width; ++x) {
      const Taps& t = all[static_cast<size_t>(x)];
      for (int64_t c = 0; c < 3; ++c) {
        double sum = 0;
        for (size_t k = 0; k < t.weights.size(); ++k) {
          const int64_t sx = t.first + static_cast<int64_t>(k);
          sum += t.weights[k] * p.rgb[static_cast<size_t>((y * p.width + sx) * 3 + c)];
        }
        out.rgb[static_cast<size_t>((y * width + x) * 3 + c)] = rounded(sum);
      }
    }
  }
  return out;
}

Picture transposed(const Picture& p) { return oriented(p, 5); }

Picture cropped(const Picture& p, int64_t width, int64_t height) {
  const int64_t left = (p.width - width) / 2, top = (p.height - height) / 2;
  Picture out{width, height, {}};
  for (int64_t y = 0; y < height; ++y) {
    const auto row = p.rgb.begin() + static_cast<ptrdiff_t>(((top + y) * p.width + left) * 3);
    out.rgb.insert(out.rgb.end(), row, row + static_cast<ptrdiff_t>(width * 3));
  }
  return out;
}

Picture fitted(const Picture& p, int64_t width, int64_t height, bool stretch) {
  if (stretch) return resize(p, width, height);
  const double ratio = std::max(static_cast<double>(width) / static_cast<double>(p.width),
                                static_cast<double>(height) / static_cast<double>(p.height));
  const auto scaled = [&](int64_t size, int64_t least) {
    return std::max(least, static_cast<int64_t>(std::lround(static_cast<double>(size) * ratio)));
  };
  return cropped(resize(p, scaled(p.width, width), scaled(p.height, height)), width, height);
}

}  // namespace

Picture read_picture(const std::filesystem::path& path) {
  const std::string bytes = read_file(path);
  try {
    if (bytes.starts_with("\xff\xd8")) return oriented(decode_jpeg(bytes), exif_orientation(bytes));
    if (bytes.starts_with("\x89PNG")) return decode_png(bytes);
    fail(Code::kInvalidArgument, "neither a JPEG nor a PNG picture");
  } catch (Error& e) {
    e.add_context(cat("picture '", path.string(), "'"));
    throw;
  }
}

Picture resize(const Picture& p, int64_t width, int64_t height) {
  check_size(width, height);
  Picture out = p.width == width ? p : resize_width(p, width);
  return out.height == height ? out : transposed(resize_width(transposed(out), height));
}

Tensor picture_tensor(const Picture& picture, int64_t channels, int64_t height, int64_t width,
                      const PictureOptions& o) {
  TREADLE_CHECK(channels == 1 || channels == 3, kInvalidArgument, "a picture cannot fill ",
                channels, " channels");
  TREADLE_CHECK(!o.mean.empty() && !o.std.empty(), kInvalidArgument,
                "mean and std need a value for each channel");
  const Picture p = fitted(picture, width, height, o.stretch);
  Tensor t(DType::kFloat,
           o.channels_last ? Dims{1, height, width, channels} : Dims{1, channels, height, width});
  auto out = t.data<float>();
  for (int64_t i = 0; i < height * width; ++i) {
    const uint8_t* rgb = &p.rgb[static_cast<size_t>(i * 3)];
    for (int64_t c = 0; c < channels; ++c) {
      const auto k = static_cast<size_t>(c);
      const double x =
          channels == 1 ? 0.299 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2] : rgb[o.bgr ? 2 - c : c];
      const double y = (x * o.scale - o.mean[std::min(k, o.mean.size() - 1)]) /
                       o.std[std::min(k, o.std.size() - 1)];
      out[static_cast<size_t>(o.channels_last ? i * channels + c : c * height * width + i)] =
          static_cast<float>(y);
    }
  }
  return t;
}

}  // namespace treadle::tool
