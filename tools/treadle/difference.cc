#include "tools/treadle/difference.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

#include "graph/attributes.h"

namespace treadle::tool {
namespace {

struct Tolerance {
  double rtol;
  double atol;
};

Difference unequal(std::string text) { return {false, std::move(text), 0, 0}; }

std::string position(const Dims& dims, size_t flat) {
  Dims index(dims.size());
  for (size_t d = dims.size(); d-- > 0;) {
    index[d] = static_cast<int64_t>(flat % static_cast<size_t>(dims[d]));
    flat /= static_cast<size_t>(dims[d]);
  }
  return shape_text(index);
}

// Exact for 64-bit integers too; NaN where one of them is.
template <class T>
double distance(T a, T b) {
  if constexpr (std::is_same_v<T, bool>) {
    return a == b ? 0 : INFINITY;
  } else if constexpr (std::is_integral_v<T>) {
    const auto x = static_cast<uint64_t>(a), y = static_cast<uint64_t>(b);
    return static_cast<double>(a > b ? x - y : y - x);
  } else {
    const double x = a, y = b;
    return x == y || (std::isnan(x) && std::isnan(y)) ? 0 : std::abs(x - y);
  }
}

template <class T>
Difference compare_elements(std::span<const T> got, std::span<const T> want, const Dims& dims,
                            const Tolerance& tolerance) {
  Difference d;
  size_t wrong = 0, worst = 0;
  double worst_excess = 0, largest = 0;
  for (size_t i = 0; i < want.size(); ++i) {
    const double error = distance(got[i], want[i]);
    const double size = std::abs(static_cast<double>(want[i]));
    if (std::isfinite(size)) largest = std::max(largest, size);
    if (error == 0) continue;
    if (std::isfinite(error)) {
      d.worst_absolute = std::max(d.worst_absolute, error);
      largest = std::max(largest, std::abs(static_cast<double>(got[i])));
    }
    const double allowed = tolerance.atol + (std::is_integral_v<T> ? 0 : tolerance.rtol * size);
    if (std::isfinite(error) && error <= allowed) continue;
    const double excess = std::isfinite(error) ? error - allowed : INFINITY;
    if (wrong++ == 0 || excess > worst_excess) {
      worst = i;
      worst_excess = excess;
    }
  }
  if (largest > 0) d.worst_relative = d.worst_absolute / largest;
  if (wrong == 0) return d;
  d.equal = false;
  d.text = cat(wrong, " of ", want.size(), " elements differ, most at ", position(dims, worst),
               ": ", +got[worst], ", expected ", +want[worst]);
  return d;
}

Difference compare_strings(const Tensor& got, const Tensor& want) {
  const auto g = got.data<std::string>(), w = want.data<std::string>();
  for (size_t i = 0; i < w.size(); ++i) {
    if (g[i] != w[i]) {
      return unequal(cat("at ", position(want.dims(), i), ": '", g[i], "', expected '", w[i], "'"));
    }
  }
  return {};
}

Difference compare_tensors(const Tensor& got, const Tensor& want, const Tolerance& tolerance) {
  if (got.dtype() != want.dtype() || got.dims() != want.dims()) {
    return unequal(cat("is ", dtype_name(got.dtype()), shape_text(got.dims()), ", expected ",
                       dtype_name(want.dtype()), shape_text(want.dims())));
  }
  const DType dtype = want.dtype();
  if (dtype == DType::kString) return compare_strings(got, want);
  if (dtype == DType::kComplex64 || dtype == DType::kComplex128) {
    const DType part = dtype == DType::kComplex64 ? DType::kFloat : DType::kDouble;
    const Dims dims{want.count(), 2};  // as pairs of floats
    return compare_tensors(Tensor(part, dims, got.buffer()), Tensor(part, dims, want.buffer()),
                           tolerance);
  }
  if (!kNumbers.has(dtype) && dtype != DType::kBool) {
    return got == want ? Difference{} : unequal(cat("the ", dtype_name(dtype), " elements differ"));
  }
  return dispatch(dtype, NumberOrBoolTypes{}, [&]<class T>() {
    return compare_elements<T>(got.data<T>(), want.data<T>(), want.dims(), tolerance);
  });
}

// The elements of a 1-D tensor of numbers or strings, in another order.
Tensor reordered(const Tensor& t, const std::vector<size_t>& order) {
  Tensor out(t.dtype(), t.dims());
  const size_t size = order.empty() ? 0 : t.bytes() / order.size();
  for (size_t i = 0; i < order.size(); ++i) {
    if (t.dtype() == DType::kString) {
      out.data<std::string>()[i] = t.data<std::string>()[order[i]];
    } else {
      std::memcpy(out.raw() + i * size, t.raw() + order[i] * size, size);
    }
  }
  return out;
}

Map by_key(const Map& map) {
  std::vector<size_t> order(static_cast<size_t>(map.keys.count()));
  std::iota(order.begin(), order.end(), size_t{0});
  const auto sort = [&](const auto& keys) {
    std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return keys[a] < keys[b]; });
  };
  if (map.keys.dtype() == DType::kString) {
    sort(map.keys.data<std::string>());
  } else {
    sort(map.keys.to_ints());
  }
  return {reordered(map.keys, order), reordered(map.values, order)};
}

Difference compare_maps(const Map& got, const Map& want, const Tolerance& tolerance) {
  const Map g = by_key(got), w = by_key(want);
  Difference d;
  d.merge(compare_tensors(g.keys, w.keys, {0, 0}), "the map's keys, sorted");
  if (d.equal) d.merge(compare_tensors(g.values, w.values, tolerance), "the map's values by key");
  return d;
}

Difference compare_sequences(const Sequence& got, const Sequence& want,
                             const Tolerance& tolerance) {
  if (got.size() != want.size()) {
    return unequal(cat("a sequence of ", got.size(), " elements, expected ", want.size()));
  }
  Difference d;
  for (size_t i = 0; i < want.size(); ++i) {
    d.merge(compare_values(got[i], want[i], tolerance.rtol, tolerance.atol),
            cat("element ", i, " of the sequence"));
  }
  return d;
}

constexpr const char* kKinds[] = {"nothing", "a tensor", "a sequence", "a map", "an optional"};

}  // namespace

void Difference::merge(const Difference& part, const std::string& where) {
  if (equal && !part.equal) text = cat(where, ": ", part.text);
  equal = equal && part.equal;
  worst_absolute = std::max(worst_absolute, part.worst_absolute);
  worst_relative = std::max(worst_relative, part.worst_relative);
}

Difference compare_values(const Value& got, const Value& want, double rtol, double atol) {
  const Tolerance tolerance{rtol, atol};
  if (got.index() != want.index()) {
    return unequal(cat("is ", kKinds[got.index()], ", expected ", kKinds[want.index()]));
  }
  if (want.is_tensor()) return compare_tensors(got.tensor(), want.tensor(), tolerance);
  if (const auto* w = std::get_if<std::shared_ptr<const Sequence>>(&want)) {
    return compare_sequences(*std::get<std::shared_ptr<const Sequence>>(got), **w, tolerance);
  }
  if (const auto* w = std::get_if<std::shared_ptr<const Map>>(&want)) {
    return compare_maps(*std::get<std::shared_ptr<const Map>>(got), **w, tolerance);
  }
  if (const auto* w = std::get_if<Optional>(&want)) {
    const auto& g = std::get<Optional>(got);
    if (g.value && w->value) return compare_values(*g.value, *w->value, rtol, atol);
    return !g.value == !w->value ? Difference{} : unequal("one optional is empty, one is not");
  }
  return {};
}

}  // namespace treadle::tool
