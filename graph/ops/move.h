// How the reference kernels that only move elements do it: by element size, whatever the dtype,
// strings included.
#pragma once

#include <string>
#include <vector>

#include "graph/ops/iterate.h"

namespace treadle {

// 6-, 4- and 2-bit elements, one in a byte, and back. Padding bits are zero.
Tensor unpack_elements(const Tensor& packed);
void pack_elements(const Tensor& unpacked, Tensor& packed);

struct Bytes16 {
  uint64_t low, high;
};

// Calls f(std::vector<const T*> from, T* to) with a T that can hold the elements; all tensors have
// to's dtype.
template <class F>
void move_elements(const std::vector<const Tensor*>& from, Tensor& to, F&& f) {
  for (const Tensor* t : from) {
    TREADLE_CHECK(t->dtype() == to.dtype(), kInternal, "moving ", dtype_name(t->dtype()), " to ",
                  dtype_name(to.dtype()));
  }
  const auto call = [&]<class T>(Tensor& target, const std::vector<const Tensor*>& sources) {
    std::vector<const T*> pointers;
    for (const Tensor* t : sources) pointers.push_back(reinterpret_cast<const T*>(t->raw()));
    f(pointers, reinterpret_cast<T*>(target.raw()));
  };
  if (to.dtype() == DType::kString) {
    std::vector<const std::string*> pointers;
    for (const Tensor* t : from) pointers.push_back(t->data<std::string>().data());
    return f(pointers, to.data<std::string>().data());
  }
  switch (dtype_bits(to.dtype())) {
    case 8: return call.template operator()<uint8_t>(to, from);
    case 16: return call.template operator()<uint16_t>(to, from);
    case 32: return call.template operator()<uint32_t>(to, from);
    case 64: return call.template operator()<uint64_t>(to, from);
    case 128: return call.template operator()<Bytes16>(to, from);
    default: break;
  }
  std::vector<Tensor> unpacked;
  for (const Tensor* t : from) unpacked.push_back(unpack_elements(*t));
  std::vector<const Tensor*> sources;
  for (const Tensor& t : unpacked) sources.push_back(&t);
  Tensor target(DType::kUint8, to.dims());
  call.template operator()<uint8_t>(target, sources);
  pack_elements(target, to);
}

// to[i] = from[start + i . strides] for every index i of to; strides in elements, of the rank of
// `to`.
void copy_strided(const Tensor& from, const Dims& strides, int64_t start, Tensor& to);

// Writes one element, a tensor of count 1, to every place.
void fill_elements(const Tensor& element, Tensor& to);

// The row-major index of `flat` in `dims`; dims without zeros.
void unravel(int64_t flat, const Dims& dims, Dims& index);

// An index, negative ones counting from the end; kInvalidData naming index and bound when it is out
// of range.
inline int64_t checked_index(int64_t index, int64_t bound) {
  TREADLE_CHECK(index >= -bound && index < bound, kInvalidData, "index ", index,
                " is out of range: expected ", -bound, " to ", bound - 1);
  return index < 0 ? index + bound : index;
}

// The elements [first, last) of dims, multiplied.
int64_t product(const Dims& dims, size_t first, size_t last);

}  // namespace treadle
