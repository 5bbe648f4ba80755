#include "graph/ops/move.h"

#include <algorithm>

namespace treadle {

Tensor unpack_elements(const Tensor& packed) {
  const int bits = dtype_bits(packed.dtype());
  Tensor out(DType::kUint8, packed.dims());
  const auto to = out.data<uint8_t>();
  for (size_t i = 0; i < to.size(); ++i)
    to[i] = packed_element(packed.raw(), bits, static_cast<int64_t>(i));
  return out;
}

void pack_elements(const Tensor& unpacked, Tensor& packed) {
  const int bits = dtype_bits(packed.dtype());
  const auto from = unpacked.data<uint8_t>();
  std::fill_n(packed.raw(), packed.bytes(), std::byte{0});
  for (size_t i = 0; i < from.size(); ++i)
    put_packed_element(packed.raw(), bits, static_cast<int64_t>(i), from[i]);
}

void copy_strided(const Tensor& from, const Dims& strides, int64_t start, Tensor& to) {
  if (to.count() == 0) return;
  move_elements({&from}, to, [&]<class T>(const std::vector<const T*>& source, T* target) {
    for_each_row<2>(to.dims(), {strides, strides_of(to.dims())},
                    [&](const Row<2>& row) {
                      const T* in = source[0] + row.at[0];
                      T* out = target + row.at[1];
                      const int64_t step = row.step[0];
                      if (step == 1 && row.step[1] == 1) {
                        std::copy_n(in, row.count, out);
                      } else {
                        for (int64_t i = 0; i < row.count; ++i) out[i * row.step[1]] = in[i * step];
                      }
                    },
                    {start, 0});
  });
}

void fill_elements(const Tensor& element, Tensor& to) {
  TREADLE_CHECK(element.count() == 1, kInternal, "a fill value of ", element.count(), " elements");
  move_elements({&element}, to, [&]<class T>(const std::vector<const T*>& source, T* target) {
    std::fill_n(target, to.count(), *source[0]);
  });
}

void unravel(int64_t flat, const Dims& dims, Dims& index) {
  index.resize(dims.size());
  for (size_t d = dims.size(); d-- > 0;) {
    index[d] = flat % dims[d];
    flat /= dims[d];
  }
}

int64_t product(const Dims& dims, size_t first, size_t last) {
  int64_t result = 1;
  for (size_t i = first; i < last; ++i) result = checked_mul(result, dims[i]);
  return result;
}

}  // namespace treadle
