#include "tests/support/tensors.h"

#include <cmath>
#include <complex>
#include <random>

#include "graph/attributes.h"

namespace treadle::test {

namespace {
template <class T>
Tensor narrow(Dims dims, const std::vector<float>& v) {
  return Tensor::of<T>(std::move(dims), std::vector<T>(v.begin(), v.end()));
}

template <class T, class F>
void fill(Tensor& t, F&& next) {
  for (T& x : t.data<T>()) {
    if constexpr (is_reduced_float<T>) {
      x = T(static_cast<float>(next()));
    } else if constexpr (std::is_same_v<T, bool>) {
      x = next() > 0;
    } else {
      x = static_cast<T>(next());
    }
  }
}
}  // namespace

Tensor f16(Dims dims, const std::vector<float>& v) { return narrow<Float16>(std::move(dims), v); }
Tensor bf16(Dims dims, const std::vector<float>& v) { return narrow<Bfloat16>(std::move(dims), v); }

Tensor counting(DType dtype, Dims dims) {
  Tensor t(dtype, std::move(dims));
  double i = 0;
  dispatch(dtype, NumberOrBoolTypes{}, [&]<class T>() { fill<T>(t, [&] { return i++; }); });
  return t;
}

Tensor packed4(DType dtype, Dims dims, const std::vector<int>& v) {
  Tensor t = Tensor::zeros(dtype, std::move(dims));
  for (size_t i = 0; i < v.size(); ++i)
    t.raw()[i / 2] |= static_cast<std::byte>((v[i] & 15) << (i % 2 * 4));
  return t;
}

Tensor axes(const std::vector<int64_t>& v) { return i64({static_cast<int64_t>(v.size())}, v); }

Value sequence(std::vector<Value> elements) {
  return std::make_shared<const Sequence>(std::move(elements));
}
Value optional_of(Value value) { return Optional{std::make_shared<const Value>(std::move(value))}; }
Value empty_optional() { return Optional{}; }

Tensor random_tensor(DType dtype, Dims dims, uint64_t seed, double low, double high) {
  Tensor t(dtype, std::move(dims));
  std::mt19937_64 engine(seed);
  // Not std::uniform_real_distribution: its values differ between standard libraries.
  const auto next = [&] {
    return low + (high - low) * std::ldexp(static_cast<double>(engine() >> 11), -53);
  };
  dispatch(dtype, NumberOrBoolTypes{}, [&]<class T>() { fill<T>(t, next); });
  return t;
}

namespace {

bool close(double got, double want, const Tolerance& tolerance) {
  if (std::isnan(want)) return std::isnan(got);
  if (std::isinf(want) || std::isinf(got)) return got == want;
  return std::abs(got - want) <= tolerance.atol + tolerance.rtol * std::abs(want);
}

std::string at(const Tensor& t, size_t flat) {
  Dims index(t.dims().size());
  auto rest = static_cast<int64_t>(flat);
  for (size_t d = index.size(); d-- > 0;) {
    index[d] = rest % t.dim(d);
    rest /= t.dim(d);
  }
  return shape_text(index);
}

// The elements as text or number lists, whichever fits; exact comparison for the rest.
std::string element_difference(const Tensor& got, const Tensor& want, const Tolerance& tolerance) {
  if (want.dtype() == DType::kString) {
    for (size_t i = 0; i < static_cast<size_t>(want.count()); ++i) {
      const std::string& g = got.data<std::string>()[i];
      const std::string& w = want.data<std::string>()[i];
      if (g != w) return cat("at ", at(want, i), ": got '", g, "', want '", w, "'");
    }
    return "";
  }
  if (want.dtype() == DType::kInt64 || want.dtype() == DType::kUint64 ||
      !(kNumbers.has(want.dtype()))) {
    return got == want ? "" : cat(dtype_name(want.dtype()), " elements differ");
  }
  const std::vector<double> g = got.to_doubles();
  const std::vector<double> w = want.to_doubles();
  size_t wrong = 0;
  std::string first;
  for (size_t i = 0; i < w.size(); ++i) {
    if (close(g[i], w[i], tolerance)) continue;
    if (wrong++ == 0) first = cat("at ", at(want, i), ": got ", g[i], ", want ", w[i]);
  }
  return wrong == 0 ? "" : cat(wrong, " of ", w.size(), " elements differ, the first ", first);
}

std::string tensor_difference(const Tensor& got, const Tensor& want, const Tolerance& tolerance) {
  if (got.dtype() != want.dtype() || got.dims() != want.dims()) {
    return cat("got ", dtype_name(got.dtype()), shape_text(got.dims()), ", want ",
               dtype_name(want.dtype()), shape_text(want.dims()));
  }
  if (want.dtype() == DType::kComplex64 || want.dtype() == DType::kComplex128) {
    // Complex elements are compared as pairs of floats.
    const DType part = want.dtype() == DType::kComplex64 ? DType::kFloat : DType::kDouble;
    const Dims dims{want.count(), 2};
    return element_difference(Tensor(part, dims, got.buffer()), Tensor(part, dims, want.buffer()),
                              tolerance);
  }
  return element_difference(got, want, tolerance);
}

std::string sequence_difference(const Sequence& got, const Sequence& want,
                                const Tolerance& tolerance) {
  if (got.size() != want.size())
    return cat("got a sequence of ", got.size(), ", want one of ", want.size());
  for (size_t i = 0; i < want.size(); ++i) {
    const std::string d = difference(got[i], want[i], tolerance);
    if (!d.empty()) return cat("element ", i, ": ", d);
  }
  return "";
}

}  // namespace

std::string difference(const Value& got, const Value& want, const Tolerance& tolerance) {
  if (got.index() != want.index())
    return cat("got a value of kind ", got.index(), ", want kind ", want.index());
  if (want.is_tensor()) return tensor_difference(got.tensor(), want.tensor(), tolerance);
  if (const auto* w = std::get_if<std::shared_ptr<const Sequence>>(&want)) {
    return sequence_difference(**std::get_if<std::shared_ptr<const Sequence>>(&got), **w,
                               tolerance);
  }
  if (const auto* w = std::get_if<std::shared_ptr<const Map>>(&want)) {
    const auto& g = std::get<std::shared_ptr<const Map>>(got);
    const std::string keys = tensor_difference(g->keys, (*w)->keys, tolerance);
    return keys.empty() ? tensor_difference(g->values, (*w)->values, tolerance) : "keys: " + keys;
  }
  if (const auto* w = std::get_if<Optional>(&want)) {
    const auto& g = std::get<Optional>(got);
    if (!g.value || !w->value)
      return !g.value == !w->value ? "" : "one optional is empty, the other is not";
    return difference(*g.value, *w->value, tolerance);
  }
  return "";
}

}  // namespace treadle::test
