#include "training/data/augment.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace treadle {
namespace {

// Where a pixel comes from: (x, y) → (xx·x + xy·y + x0, yx·x + yy·y + y0), from the middle of the
// picture, in pixels.
struct Map {
  double xx = 1, xy = 0, yx = 0, yy = 1, x0 = 0, y0 = 0;
};

struct Size {
  int64_t height, width;
};

Map draw_map(const Augmentation& o, Size size, Random& random) {
  const double flip_x = o.flip_x && random.coin() ? -1 : 1;
  const double flip_y = o.flip_y && random.coin() ? -1 : 1;
  const double angle = o.rotate == 0 ? 0 : random.uniform(-o.rotate, o.rotate);
  const double zoom = o.scale == 0 ? 1 : random.uniform(1 - o.scale, 1 + o.scale);
  const double part = o.crop == 0 ? 1 : random.uniform(1 - o.crop, 1);
  const double sine = std::sin(angle * std::numbers::pi / 180) * part / zoom;
  const double cosine = std::cos(angle * std::numbers::pi / 180) * part / zoom;
  Map map{cosine * flip_x, -sine * flip_y, sine * flip_x, cosine * flip_y, 0, 0};
  const double width = static_cast<double>(size.width), height = static_cast<double>(size.height);
  const double reach = o.translate + (1 - part) / 2;  // a crop may lie anywhere
  if (reach != 0) {
    map.x0 = random.uniform(-reach, reach) * width;
    map.y0 = random.uniform(-reach, reach) * height;
  }
  return map;
}

// The place of the middle of pixel (x, y) in the picture, in pixels whose middles are whole.
struct Place {
  double x, y;
};
Place source_of(const Map& m, Size size, int64_t x, int64_t y) {
  const double cx = static_cast<double>(size.width - 1) / 2;
  const double cy = static_cast<double>(size.height - 1) / 2;
  const double dx = static_cast<double>(x) - cx, dy = static_cast<double>(y) - cy;
  return {m.xx * dx + m.xy * dy + m.x0 + cx, m.yx * dx + m.yy * dy + m.y0 + cy};
}

int64_t clamped(double v, int64_t size) {
  return std::clamp<int64_t>(static_cast<int64_t>(v), 0, size - 1);
}

float bilinear(const float* plane, Size size, Place at) {
  const double left = std::floor(at.x), top = std::floor(at.y);
  const double fx = at.x - left, fy = at.y - top;
  const auto value = [&](double y, double x) {
    return double{plane[clamped(y, size.height) * size.width + clamped(x, size.width)]};
  };
  const double upper = (1 - fx) * value(top, left) + fx * value(top, left + 1);
  const double lower = (1 - fx) * value(top + 1, left) + fx * value(top + 1, left + 1);
  return static_cast<float>((1 - fy) * upper + fy * lower);
}

template <class T>
T nearest(const T* plane, Size size, Place at) {
  return plane[clamped(std::floor(at.y + 0.5), size.height) * size.width +
               clamped(std::floor(at.x + 0.5), size.width)];
}

// The planes [count, height, width] after the map.
template <class T, class Read>
Tensor moved(const Tensor& from, Size size, const Map& map, Read read) {
  Tensor out(from.dtype(), from.dims());
  const int64_t plane = size.height * size.width;
  const int64_t planes = plane == 0 ? 0 : from.count() / plane;
  for (int64_t y = 0; y < size.height; ++y) {
    for (int64_t x = 0; x < size.width; ++x) {
      const Place at = source_of(map, size, x, y);
      for (int64_t p = 0; p < planes; ++p)
        out.data<T>()[static_cast<size_t>(p * plane + y * size.width + x)] =
            read(from.data<T>().data() + p * plane, size, at);
    }
  }
  return out;
}

void move(const Augmentation& o, bool target_is_mask, Random& random, Sample& sample) {
  Tensor& x = sample.inputs[0];
  const Size size{x.dim(1), x.dim(2)};
  const Map map = draw_map(o, size, random);
  x = moved<float>(x, size, map, o.interpolation == "nearest" ? nearest<float> : bilinear);
  if (target_is_mask) sample.target = moved<int64_t>(sample.target, size, map, nearest<int64_t>);
}

// ITU-R 601; the one channel itself.
double grey(std::span<const float> x, size_t pixels, size_t i, bool colors) {
  if (!colors) return x[i];
  return 0.299 * x[i] + 0.587 * x[pixels + i] + 0.114 * x[2 * pixels + i];
}

// Each value's distance from what `centre` gives for its pixel, times the factor.
template <class Centre>
void stretch(std::span<float> x, size_t pixels, double factor, Centre centre) {
  for (size_t i = 0; i < pixels; ++i) {
    const double c = centre(i);
    for (size_t k = i; k < x.size(); k += pixels)
      x[k] = static_cast<float>(std::clamp(c + factor * (x[k] - c), 0.0, 1.0));
  }
}

void jitter(const Augmentation& o, Random& random, Tensor& picture) {
  const auto x = picture.data<float>();
  const auto pixels = static_cast<size_t>(picture.dim(1) * picture.dim(2));
  const bool colors = picture.dim(0) == 3;
  const auto factor = [&](double amount) { return random.uniform(1 - amount, 1 + amount); };
  if (o.brightness != 0) stretch(x, pixels, factor(o.brightness), [](size_t) { return 0.0; });
  if (o.contrast != 0) {
    double mean = 0;
    for (size_t i = 0; i < pixels; ++i) mean += grey(x, pixels, i, colors);
    mean /= static_cast<double>(std::max<size_t>(pixels, 1));
    stretch(x, pixels, factor(o.contrast), [&](size_t) { return mean; });
  }
  if (o.saturation != 0) {
    stretch(x, pixels, factor(o.saturation), [&](size_t i) { return grey(x, pixels, i, colors); });
  }
}

void occlude(double share, Random& random, Tensor& picture) {
  const int64_t height = picture.dim(1), width = picture.dim(2);
  const auto side = [&](int64_t size) {
    return static_cast<int64_t>(random.uniform(0, share) * static_cast<double>(size) + 0.5);
  };
  const int64_t h = side(height), w = side(width);
  const int64_t top = random.below(height - h + 1), left = random.below(width - w + 1);
  auto x = picture.data<float>();
  for (int64_t c = 0; c < picture.dim(0); ++c) {
    for (int64_t y = top; y < top + h; ++y)
      std::fill_n(x.begin() + (c * height + y) * width + left, w, 0.5f);
  }
}

Tensor shares_of(const Tensor& target, int64_t classes) {
  if (classes == 0) return target;
  Dims dims = target.dims();
  dims.insert(dims.begin(), classes);
  Tensor out = Tensor::zeros(DType::kFloat, dims);
  const auto labels = target.data<int64_t>();
  for (size_t i = 0; i < labels.size(); ++i) {
    TREADLE_CHECK(labels[i] >= 0 && labels[i] < classes, kInvalidData, "a target of ", labels[i],
                  ", expected one of ", classes, " classes");
    out.data<float>()[static_cast<size_t>(labels[i]) * labels.size() + i] = 1;
  }
  return out;
}

Tensor mixed(const Tensor& a, const Tensor& b, double lambda) {
  Tensor out(a.dtype(), a.dims());
  const auto x = a.data<float>(), y = b.data<float>();
  auto to = out.data<float>();
  for (size_t i = 0; i < x.size(); ++i)
    to[i] = static_cast<float>(lambda * x[i] + (1 - lambda) * y[i]);
  return out;
}

// A number of the Gamma distribution of shape a, by Marsaglia and Tsang's method.
double gamma(double a, Random& random) {
  if (a < 1) return gamma(a + 1, random) * std::pow(1 - random.uniform(), 1 / a);
  const double d = a - 1.0 / 3, c = 1 / std::sqrt(9 * d);
  for (;;) {
    const double x = random.normal(), v = std::pow(1 + c * x, 3);
    if (v > 0 && std::log(1 - random.uniform()) < x * x / 2 + d - d * v + d * std::log(v))
      return d * v;
  }
}

}  // namespace

void check_augmentation(const Augmentation& o, const Source& source) {
  const auto in = [](const char* name, double value, double most) {
    TREADLE_CHECK(value >= 0 && value <= most, kInvalidArgument, "augmentation: ", name, " is ",
                  value, ", expected 0 to ", most);
  };
  in("translate", o.translate, 1);
  in("rotate", o.rotate, 180);
  in("scale", o.scale, 0.9);
  in("crop", o.crop, 0.9);
  in("brightness", o.brightness, 1);
  in("contrast", o.contrast, 1);
  in("saturation", o.saturation, 1);
  in("noise", o.noise, 100);
  in("occlude", o.occlude, 1);
  in("mixup", o.mixup, 100);
  TREADLE_CHECK(o.interpolation == "bilinear" || o.interpolation == "nearest", kInvalidArgument,
                "augmentation: interpolation is '", o.interpolation,
                "', expected bilinear or nearest");
  const bool colors = o.brightness != 0 || o.contrast != 0 || o.saturation != 0;
  const bool picture = source.content == Content::kPictures;
  TREADLE_CHECK(picture || !(o.moves() || colors || o.occlude != 0), kInvalidArgument,
                "augmentation: '", source.name, "' holds no pictures to move or colour");
  TREADLE_CHECK(source.content != Content::kTokens || (o.noise == 0 && o.mixup == 0),
                kInvalidArgument, "augmentation: '", source.name,
                "' holds tokens, which take neither noise nor mixup");
}

void augment(const Augmentation& o, bool target_is_mask, Random& random, Sample& sample) {
  if (o.moves()) move(o, target_is_mask, random, sample);
  if (o.brightness != 0 || o.contrast != 0 || o.saturation != 0)
    jitter(o, random, sample.inputs[0]);
  if (o.noise != 0) {
    for (float& x : sample.inputs[0].data<float>())
      x += static_cast<float>(o.noise * random.normal());
  }
  if (o.occlude != 0) occlude(o.occlude, random, sample.inputs[0]);
}

void mix(Sample& sample, const Sample& other, double lambda, int64_t classes) {
  for (size_t i = 0; i < sample.inputs.size(); ++i) {
    if (sample.inputs[i].dtype() == DType::kFloat)
      sample.inputs[i] = mixed(sample.inputs[i], other.inputs[i], lambda);
  }
  sample.target =
      mixed(shares_of(sample.target, classes), shares_of(other.target, classes), lambda);
}

double beta(double a, Random& random) {
  const double x = gamma(a, random), y = gamma(a, random);
  return x + y > 0 ? x / (x + y) : 0.5;
}

}  // namespace treadle
