#include "backends/cpu/native_panels.h"

#include <cstring>

#include "backends/cpu/simd_gemm.h"

namespace treadle::cpu {
namespace {

// Borrowed elements may lie at any address.
float element(const std::byte* from, int64_t index) {
  float value;
  std::memcpy(&value, from + static_cast<size_t>(index) * sizeof value, sizeof value);
  return value;
}

std::shared_ptr<Buffer> pack(const std::byte* from, const PanelSource& m) {
  const auto panel = static_cast<int64_t>(gemm_functions().panel);
  const int64_t columns = checked_mul(ceil_div(m.n, panel), panel);
  auto buffer =
      Buffer::allocate(static_cast<size_t>(byte_size(DType::kFloat, checked_mul(columns, m.k))));
  auto* to = reinterpret_cast<float*>(buffer->data());
  for (int64_t first = 0; first < m.n; first += panel) {
    for (int64_t k = 0; k < m.k; ++k) {
      for (int64_t c = first; c < first + panel; ++c) {
        *to++ = c < m.n ? m.scale * element(from, m.at + k * m.row + c * m.column) : 0;
      }
    }
  }
  return buffer;
}

}  // namespace

std::shared_ptr<Buffer> packed_panels(const Tensor& source, const PanelSource& m,
                                      PackCache* packs) {
  const auto make = [&] { return pack(source.raw(), m); };
  if (packs == nullptr) return make();
  const std::string key = cat("panels of ", gemm_functions().panel, ": ", m.n, " ", m.k, " ", m.row,
                              " ", m.column, " ", m.at, " ", m.scale);
  return packs->get(source, key, make);
}

}  // namespace treadle::cpu
