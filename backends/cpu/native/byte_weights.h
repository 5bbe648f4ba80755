// Packs int8 weights for simd/byte_product.h.
#pragma once

#include "backends/cpu/family.h"
#include "backends/cpu/simd/byte_product.h"

namespace treadle::cpu {

// Weight (column, channel, tap) of a group is source[column · column_step + channel · channel_step
// + tap]; groups lie one after another.
struct ByteWeightSource {
  int64_t groups = 1;
  // A group is made of so many, each with its share of the columns and of the channels, whose
  // weights elsewhere are zero: a vector of columns where each alone has few.
  int64_t together = 1;
  int64_t columns = 1;  // of a group
  int64_t channels = 1;
  int64_t taps = 1;
  int64_t part_taps = 1;  // a row of what they are multiplied with is in parts of so many taps
  int64_t column_step = 1;
  int64_t channel_step = 1;

  // A matrix whose columns lie side by side.
  bool is_rows() const { return column_step == 1 && together == 1; }
};

class ByteWeights {
 public:
  ByteWeights(const Tensor& source, const ByteWeightSource& shape, const CompileContext& context);

  int64_t padded() const { return padded_; }  // columns of a group, in vectors
  // Lets `block` multiply by the columns from `column` on, a multiple of a block.
  void place(int64_t group, int64_t column, ByteBlock& block) const;
  // For each padded column: the sum of the weights and of their sizes.
  std::span<const int32_t> sums() const { return {totals(), all()}; }
  std::span<const int32_t> sizes() const { return {totals() + all(), all()}; }

 private:
  size_t all() const { return static_cast<size_t>(shape_.groups * padded_); }
  const int32_t* totals() const { return reinterpret_cast<const int32_t*>(packed_->data()); }
  // Behind the totals: the steps of each block, where there are some, and the weights.
  const std::byte* data() const { return packed_->data() + totals_bytes(); }
  int64_t totals_bytes() const;
  int64_t steps_bytes() const;
  int64_t blocks() const;  // of a group
  std::shared_ptr<Buffer> pack(const Tensor& plain) const;
  void add_up(const int8_t* from, int32_t* sums, int32_t* sizes) const;

  ByteWeightSource shape_;
  ByteForm form_;
  int64_t padded_, depth_;
  std::shared_ptr<Buffer> packed_;
};

}  // namespace treadle::cpu
