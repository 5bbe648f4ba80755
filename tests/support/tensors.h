// Literal and random tensors, and the comparison of values, for all tests.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "graph/base/tensor.h"

namespace treadle::test {

inline Tensor f32(Dims dims, const std::vector<float>& v) {
  return Tensor::of<float>(std::move(dims), v);
}
inline Tensor f64(Dims dims, const std::vector<double>& v) {
  return Tensor::of<double>(std::move(dims), v);
}
inline Tensor i64(Dims dims, const std::vector<int64_t>& v) {
  return Tensor::of<int64_t>(std::move(dims), v);
}
inline Tensor i32(Dims dims, const std::vector<int32_t>& v) {
  return Tensor::of<int32_t>(std::move(dims), v);
}
inline Tensor i8(Dims dims, const std::vector<int8_t>& v) {
  return Tensor::of<int8_t>(std::move(dims), v);
}
inline Tensor u8(Dims dims, const std::vector<uint8_t>& v) {
  return Tensor::of<uint8_t>(std::move(dims), v);
}
inline Tensor text(Dims dims, const std::vector<std::string>& v) {
  return Tensor::of<std::string>(std::move(dims), v);
}
inline Tensor bools(Dims dims, const std::vector<bool>& v) {
  return Tensor::of<bool>(std::move(dims), v);
}
Tensor f16(Dims dims, const std::vector<float>& v);
Tensor bf16(Dims dims, const std::vector<float>& v);
// Elements 0, 1, 2 … of any number dtype.
Tensor counting(DType dtype, Dims dims);
// Elements of 6, 4 or 2 bits, given as their bit patterns.
Tensor packed(DType dtype, Dims dims, const std::vector<int>& v);
// A 1-D int64 tensor.
Tensor axes(const std::vector<int64_t>& v);
Value sequence(std::vector<Value> elements);
Value optional_of(Value value);
Value empty_optional();

// Uniform in [low, high), the same for the same seed everywhere.
Tensor random_tensor(DType dtype, Dims dims, uint64_t seed, double low = -1, double high = 1);

struct Tolerance {
  double rtol = 1e-5;
  double atol = 1e-6;
};
// "" when equal: kinds, dtypes and dims the same, |got - want| <= atol + rtol * |want|, NaN equal
// to NaN. Otherwise the first difference, in words.
std::string difference(const Value& got, const Value& want, const Tolerance& tolerance = {});

}  // namespace treadle::test
