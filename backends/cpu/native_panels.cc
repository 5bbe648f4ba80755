#include "backends/cpu/native_panels.h"

#include <algorithm>
#include <cstring>

#include "backends/cpu/simd_gemm.h"
#include "graph/base/lasting.h"

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
      allocate_lasting(static_cast<size_t>(byte_size(DType::kFloat, checked_mul(columns, m.k))));
  auto* to = reinterpret_cast<float*>(buffer->data());
  // In pieces of a few cache lines of each column, as a transposed matrix has them.
  constexpr int64_t kDepth = 64;
  for (int64_t first = 0; first < columns; first += panel, to += m.k * panel) {
    const int64_t width = std::min(panel, m.n - first);
    for (int64_t begin = 0; begin < m.k; begin += kDepth) {
      const int64_t end = std::min(begin + kDepth, m.k);
      for (int64_t c = 0; c < panel; ++c) {
        const int64_t at = m.at + (first + c) * m.column;
        for (int64_t k = begin; k < end; ++k)
          to[k * panel + c] = c < width ? m.scale * element(from, at + k * m.row) : 0;
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
