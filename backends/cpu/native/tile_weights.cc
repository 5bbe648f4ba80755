#include "backends/cpu/native/tile_weights.h"

#include <algorithm>

#include "backends/cpu/native/panels.h"
#include "backends/cpu/simd/transpose.h"
#include "graph/base/lasting.h"

namespace treadle::cpu {
namespace {

constexpr auto kColumns = static_cast<int64_t>(kTileColumns);

// A block's columns as rows of kColumns numbers, in the source's order.
class BlockOfColumns {
 public:
  BlockOfColumns(const float* from, const TileWeightSource& shape, int64_t numbers)
      : from_(from), s_(shape), numbers_(numbers), copy_(static_cast<size_t>(numbers * kColumns)) {}

  void take(int64_t column) {
    const int64_t count = std::min(kColumns, s_.n - column);
    if (count < kColumns) std::ranges::fill(copy_, 0.0F);
    if (s_.column == 1) {
      for (int64_t k = 0; k < numbers_; ++k)
        std::copy_n(from_ + k * s_.row + column, count, copy_.data() + k * kColumns);
    } else {
      transpose_({.from = reinterpret_cast<const uint32_t*>(from_ + column * s_.column),
                  .from_step = static_cast<size_t>(s_.column),
                  .to = reinterpret_cast<uint32_t*>(copy_.data()),
                  .to_step = kTileColumns,
                  .rows = static_cast<size_t>(count),
                  .columns = static_cast<size_t>(numbers_)});
    }
    if (s_.scale != 1) std::ranges::for_each(copy_, [this](float& x) { x *= s_.scale; });
  }
  const float* row(int64_t k) const { return copy_.data() + k * kColumns; }

 private:
  const float* from_;
  TileWeightSource s_;
  int64_t numbers_;
  std::vector<float> copy_;
  TransposeFn transpose_ = transpose_function();
};

std::shared_ptr<Buffer> pack(const Tensor& source, const TileWeightSource& s,
                             const TileSteps& steps) {
  const int64_t blocks = ceil_div(s.n, kColumns);
  auto buffer = allocate_lasting(
      static_cast<size_t>(byte_size(DType::kFloat, checked_mul(blocks, tile_block(steps)))));
  const bool is_aligned = reinterpret_cast<uintptr_t>(source.raw()) % alignof(float) == 0;
  const Tensor plain = is_aligned ? source : source.clone();
  BlockOfColumns columns(plain.data<float>().data(), s, steps.channels * steps.taps);
  auto* to = reinterpret_cast<float*>(buffer->data());
  for (int64_t block = 0; block < blocks; ++block) {
    columns.take(block * kColumns);
    for (int64_t step = 0; step < steps.count(); ++step) {
      for (int64_t i = 0; i < steps.numbers; ++i, to += kColumns) {
        const int64_t k = steps.source(step, i);
        k < 0 ? std::fill_n(to, kColumns, 0.0F) : std::copy_n(columns.row(k), kColumns, to);
      }
    }
  }
  return buffer;
}

// Whether a block is a panel of simd/gemm.h: of fewer columns than lanes there may be none.
bool is_matrix(const TileWeightSource& s, const TileSteps& steps) {
  return s.n >= static_cast<int64_t>(gemm_functions().lanes) && steps.taps == 1 &&
         steps.count() * steps.numbers == steps.channels && gemm_functions().panel == kTileColumns;
}

}  // namespace

int64_t tile_block(const TileSteps& steps) {
  return checked_mul(steps.count() * steps.numbers, kColumns);
}

std::shared_ptr<Buffer> tile_weights(const Tensor& source, const TileWeightSource& s,
                                     const TileSteps& steps, const CompileContext& context) {
  if (is_matrix(s, steps)) {  // in panels, which plans for other shapes may hold
    const PanelSource matrix{
        .n = s.n, .k = steps.channels, .row = s.row, .column = s.column, .scale = s.scale};
    return packed_panels(source, matrix, context).numbers;
  }
  const std::string key = cat("float tiles ", s.n, " ", s.row, " ", s.column, " ", s.scale, " ",
                              steps.channels, " ", steps.taps, " ", steps.run_taps);
  return packed(context, source, key, [&](const Tensor& plain) { return pack(plain, s, steps); });
}

}  // namespace treadle::cpu
