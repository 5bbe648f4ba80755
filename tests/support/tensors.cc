#include "tests/support/tensors.h"

#include <cmath>
#include <complex>
#include <random>

#include "tools/treadle/difference.h"

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

Tensor packed(DType dtype, Dims dims, const std::vector<int>& v) {
  Tensor t = Tensor::zeros(dtype, std::move(dims));
  const auto bits = static_cast<size_t>(dtype_bits(dtype));
  for (size_t i = 0; i < v.size() * bits; ++i) {
    const int bit = v[i / bits] >> (i % bits) & 1;
    t.raw()[i / 8] |= static_cast<std::byte>(bit << (i % 8));
  }
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

std::string difference(const Value& got, const Value& want, const Tolerance& tolerance) {
  return tool::compare_values(got, want, tolerance.rtol, tolerance.atol).text;
}

}  // namespace treadle::test
