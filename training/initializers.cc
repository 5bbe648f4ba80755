#include "training/initializers.h"

#include <cmath>
#include <numbers>

#include "graph/base/suggestion.h"
#include "graph/ops/cast.h"
#include "graph/ops/philox.h"

namespace treadle {
namespace {

// A stream of numbers for one parameter.
class Stream {
 public:
  // The name's FNV-1a hash parts the streams.
  Stream(uint64_t seed, std::string_view name) : seed_(seed) {
    uint64_t hash = 0xcbf29ce484222325u;
    for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
    seed_ ^= hash;
  }
  double uniform(uint64_t i) const { return philox_uniform(seed_, i); }
  // Box and Muller's method.
  double normal(uint64_t i) const {
    const double radius = std::sqrt(-2 * std::log(1 - uniform(2 * i)));
    return radius * std::cos(2 * std::numbers::pi * uniform(2 * i + 1));
  }

 private:
  uint64_t seed_;
};

struct Fans {
  double in, out;
};

Fans fans_of(const InitializerOptions& options, const Dims& dims) {
  TREADLE_CHECK(dims.size() >= 2, kInvalidArgument, "initializer '", options.kind,
                "' needs a matrix or a filter, got ", shape_text(dims));
  double window = 1;
  for (size_t i = 2; i < dims.size(); ++i) window *= static_cast<double>(dims[i]);
  const auto first = static_cast<double>(dims[0]), second = static_cast<double>(dims[1]);
  return options.in_first ? Fans{first * window, second * window}
                          : Fans{second * window, first * window};
}

using Values = std::vector<double>;

void fill_normal(Values& values, const Stream& stream, double mean, double deviation) {
  for (size_t i = 0; i < values.size(); ++i) values[i] = mean + deviation * stream.normal(i);
}

void fill_uniform(Values& values, const Stream& stream, double low, double high) {
  for (size_t i = 0; i < values.size(); ++i) values[i] = low + (high - low) * stream.uniform(i);
}

// Gram and Schmidt's method over normal vectors, twice each for what rounding leaves.
void fill_orthogonal(Values& values, const Stream& stream, const Dims& dims, double gain) {
  TREADLE_CHECK(dims.size() >= 2, kInvalidArgument, "initializer 'orthogonal' needs a matrix, got ",
                shape_text(dims));
  fill_normal(values, stream, 0, 1);
  if (values.empty()) return;
  const auto rows = static_cast<size_t>(dims[0]);
  const size_t columns = values.size() / rows;
  const bool wide = columns >= rows;  // then the rows are the orthonormal vectors
  const size_t vectors = wide ? rows : columns, length = wide ? columns : rows;
  const auto at = [&](size_t v, size_t i) -> double& {
    return values[wide ? v * columns + i : i * columns + v];
  };
  for (size_t v = 0; v < vectors; ++v) {
    for (size_t pass = 0; pass < 2; ++pass) {
      for (size_t other = 0; other < v; ++other) {
        double dot = 0;
        for (size_t i = 0; i < length; ++i) dot += at(v, i) * at(other, i);
        for (size_t i = 0; i < length; ++i) at(v, i) -= dot * at(other, i);
      }
      double square = 0;
      for (size_t i = 0; i < length; ++i) square += at(v, i) * at(v, i);
      for (size_t i = 0; i < length; ++i) at(v, i) /= std::sqrt(square);
    }
  }
  for (double& x : values) x *= gain;
}

using FillFn = void (*)(const InitializerOptions&, const Dims&, const Stream&, Values&);

// A normal or uniform distribution of the variance that the fans give.
template <auto Variance, bool kUniform>
void fill_scaled(const InitializerOptions& o, const Dims& dims, const Stream& stream, Values& v) {
  const double deviation = o.gain * std::sqrt(Variance(fans_of(o, dims)));
  if (kUniform) return fill_uniform(v, stream, -std::sqrt(3) * deviation, std::sqrt(3) * deviation);
  fill_normal(v, stream, 0, deviation);
}

constexpr auto kXavier = [](Fans f) { return 2 / (f.in + f.out); };
constexpr auto kHe = [](Fans f) { return 2 / f.in; };
constexpr auto kHeAverage = [](Fans f) { return 4 / (f.in + f.out); };
constexpr auto kHeOut = [](Fans f) { return 2 / f.out; };

struct InitializerDef {
  const char* kind;
  FillFn fill;
};
constexpr InitializerDef kInitializers[] = {
    {"xavier", fill_scaled<kXavier, false>},
    {"xavier_uniform", fill_scaled<kXavier, true>},
    {"he", fill_scaled<kHe, false>},
    {"he_uniform", fill_scaled<kHe, true>},
    {"he_average", fill_scaled<kHeAverage, false>},
    {"he_out", fill_scaled<kHeOut, false>},
    {"normal", [](const InitializerOptions& o, const Dims&, const Stream& s,
                  Values& v) { fill_normal(v, s, o.mean, o.deviation); }},
    {"uniform", [](const InitializerOptions& o, const Dims&, const Stream& s,
                   Values& v) { fill_uniform(v, s, o.low, o.high); }},
    {"constant", [](const InitializerOptions& o, const Dims&, const Stream&,
                    Values& v) { v.assign(v.size(), o.value); }},
    {"orthogonal", [](const InitializerOptions& o, const Dims& dims, const Stream& s,
                      Values& v) { fill_orthogonal(v, s, dims, o.gain); }},
};

}  // namespace

std::vector<std::string> initializer_kinds() {
  std::vector<std::string> kinds;
  for (const InitializerDef& def : kInitializers) kinds.emplace_back(def.kind);
  return kinds;
}

Tensor initial_values(const InitializerOptions& options, DType dtype, const Dims& dims,
                      uint64_t seed, std::string_view name) {
  for (const InitializerDef& def : kInitializers) {
    if (def.kind != options.kind) continue;
    Values values(static_cast<size_t>(element_count(dims)));
    def.fill(options, dims, Stream(seed, name), values);
    return cast_tensor(Tensor::of<double>(dims, values), dtype);
  }
  fail(Code::kInvalidArgument, "there is no initializer '", options.kind, "'",
       suggestion(options.kind, initializer_kinds()));
}

}  // namespace treadle
