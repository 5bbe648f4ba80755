#include "files/picture.h"

#include <algorithm>
#include <cmath>

#include "files/image_formats.h"

namespace treadle {
namespace {

constexpr int kFractionBits = 22;  // of a weight, as in Pillow: the same bytes come out

// Triangle-filter weights of one output pixel, as Pillow's precompute_coeffs.
struct Taps {
  int64_t first;
  std::vector<int32_t> weights;  // in units of 2^-kFractionBits
};
// A side of a resized picture: its length, and which pixels of it are wanted.
struct Window {
  int64_t length, first, count;
};
Window whole(int64_t length) { return {length, 0, length}; }

std::vector<Taps> taps(int64_t in, const Window& out) {
  const double ratio = static_cast<double>(in) / static_cast<double>(out.length);
  const double support = std::max(ratio, 1.0);
  std::vector<Taps> all;
  for (int64_t i = out.first; i < out.first + out.count; ++i) {
    const double centre = (static_cast<double>(i) + 0.5) * ratio;
    const auto first = std::max<int64_t>(static_cast<int64_t>(centre - support + 0.5), 0);
    const auto last = std::min<int64_t>(static_cast<int64_t>(centre + support + 0.5), in);
    std::vector<double> weights;
    double sum = 0;
    for (int64_t j = first; j < last; ++j) {
      weights.push_back(
          std::max(0.0, 1.0 - std::abs((static_cast<double>(j) + 0.5 - centre) / support)));
      sum += weights.back();
    }
    Taps t{first, {}};
    for (const double w : weights)
      t.weights.push_back(static_cast<int32_t>(0.5 + w / sum * (1 << kFractionBits)));
    all.push_back(std::move(t));
  }
  return all;
}

Image resize_width(const Image& p, const Window& window) {
  const int64_t width = window.count;
  Image out{width, p.height, std::vector<uint8_t>(static_cast<size_t>(width * p.height * 3))};
  const std::vector<Taps> all = taps(p.width, window);
  for (int64_t y = 0; y < p.height; ++y) {
    for (int64_t x = 0; x < width; ++x) {
      const Taps& t = all[static_cast<size_t>(x)];
      for (int64_t c = 0; c < 3; ++c) {
        int64_t sum = 1 << (kFractionBits - 1);
        for (size_t k = 0; k < t.weights.size(); ++k) {
          const int64_t sx = t.first + static_cast<int64_t>(k);
          sum += t.weights[k] * p.rgb[static_cast<size_t>((y * p.width + sx) * 3 + c)];
        }
        out.rgb[static_cast<size_t>((y * width + x) * 3 + c)] =
            static_cast<uint8_t>(std::min<int64_t>(sum >> kFractionBits, 255));
      }
    }
  }
  return out;
}

Image transposed(const Image& p) {
  Image out{p.height, p.width, std::vector<uint8_t>(p.rgb.size())};
  for (int64_t y = 0; y < p.height; ++y) {
    for (int64_t x = 0; x < p.width; ++x) {
      std::copy_n(p.rgb.begin() + static_cast<ptrdiff_t>((y * p.width + x) * 3), 3,
                  out.rgb.begin() + static_cast<ptrdiff_t>((x * p.height + y) * 3));
    }
  }
  return out;
}

// Across first, then down, as Pillow does.
Image resized(const Image& p, const Window& across, const Window& down) {
  const auto is_same = [](const Window& w, int64_t length) {
    return w.length == length && w.count == length;
  };
  Image out = is_same(across, p.width) ? p : resize_width(p, across);
  return is_same(down, p.height) ? out : transposed(resize_width(transposed(out), down));
}

void check_size(int64_t width, int64_t height) {
  TREADLE_CHECK(is_image_size(width, height), kInvalidArgument, "a picture of ", width, " x ",
                height, " pixels");
}

Image fitted(const Image& p, int64_t width, int64_t height, bool stretch) {
  if (stretch) return resize(p, width, height);
  const double ratio = std::max(static_cast<double>(width) / static_cast<double>(p.width),
                                static_cast<double>(height) / static_cast<double>(p.height));
  const auto middle = [&](int64_t size, int64_t wanted) -> Window {
    const auto scaled = static_cast<int64_t>(std::lround(static_cast<double>(size) * ratio));
    const int64_t length = std::max(wanted, scaled);
    return {length, (length - wanted) / 2, wanted};
  };
  check_size(width, height);
  return resized(p, middle(p.width, width), middle(p.height, height));
}

}  // namespace

Image resize(const Image& p, int64_t width, int64_t height) {
  check_size(width, height);
  return resized(p, whole(width), whole(height));
}

Tensor picture_tensor(const Image& picture, const PictureSize& size, const PictureOptions& o) {
  const Image p = fitted(picture, size.width, size.height, o.stretch);
  const int64_t pixels = size.height * size.width;
  Tensor t(DType::kFloat, size.channels_last ? Dims{size.height, size.width, size.channels}
                                             : Dims{size.channels, size.height, size.width});
  auto out = t.data<float>();
  for (int64_t i = 0; i < pixels; ++i) {
    const uint8_t* rgb = &p.rgb[static_cast<size_t>(i * 3)];
    for (int64_t c = 0; c < size.channels; ++c) {
      const auto k = static_cast<size_t>(c);
      const double x = size.channels == 1 ? 0.299 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2]
                                          : rgb[o.bgr ? 2 - c : c];
      const int64_t to = size.channels_last ? i * size.channels + c : c * pixels + i;
      out[static_cast<size_t>(to)] = static_cast<float>((x * o.scale - o.mean[k]) / o.std[k]);
    }
  }
  return t;
}

}  // namespace treadle
