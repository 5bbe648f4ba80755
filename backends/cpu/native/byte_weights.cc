#include "backends/cpu/native/byte_weights.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "backends/cpu/native/byte_steps.h"
#include "backends/cpu/native/lines.h"
#include "backends/cpu/simd/transpose.h"
#include "graph/base/lasting.h"

namespace treadle::cpu {
namespace {

constexpr int64_t kQuad = ByteForm::kQuad;

// A group's weights, in blocks.
class Packer {
 public:
  Packer(const ByteWeightSource& s, const ByteForm& form, int64_t depth)
      : s_(s), form_(form), depth_(depth), part_(s.part_taps * s.channels) {}

  // take(the quads of a block, its width).
  template <class F>
  void pack(const int8_t* from, const F& take) const {
    const auto block = static_cast<int64_t>(form_.block), lanes = static_cast<int64_t>(form_.lanes);
    std::vector<uint32_t> quads(static_cast<size_t>(block * depth_ / kQuad));
    std::vector<uint32_t> rows(s_.is_rows() ? 0 : quads.size());
    for (int64_t column = 0; column < s_.columns; column += block) {
      const int64_t count = std::min(block, s_.columns - column);
      const int64_t width = ceil_div(count, lanes) * lanes;
      if (s_.is_rows()) {
        interleave(from + column, count, width, quads.data());
      } else {
        std::ranges::fill(rows, 0u);
        for (int64_t c = 0; c < count; ++c)
          arrange(from, column + c, rows.data() + c * depth_ / kQuad);
        transpose_({.from = rows.data(),
                    .from_step = static_cast<size_t>(depth_ / kQuad),
                    .to = quads.data(),
                    .to_step = static_cast<size_t>(width),
                    .rows = static_cast<size_t>(width),
                    .columns = static_cast<size_t>(depth_ / kQuad)});
      }
      take(reinterpret_cast<const int8_t*>(quads.data()), width);
    }
  }

 private:
  // Rows of a matrix that has no taps, four at a time.
  void interleave(const int8_t* from, int64_t count, int64_t width, uint32_t* to) const {
    std::fill_n(to, width * depth_ / kQuad, 0u);
    for (int64_t k = 0; k < s_.channels; ++k) {
      const auto* row = reinterpret_cast<const uint8_t*>(from + k * s_.channel_step);
      uint32_t* quad = to + k / kQuad * width;
      const int shift = static_cast<int>(k % kQuad * 8);
      for (int64_t c = 0; c < count; ++c) quad[c] |= static_cast<uint32_t>(row[c]) << shift;
    }
  }

  // The weights of a column, in the order of the parts.
  void arrange(const int8_t* from, int64_t column, uint32_t* to) const {
    from += column * s_.column_step;
    const int64_t step = ceil_div(part_, kQuad) * kQuad, own = s_.channels / s_.together;
    auto* bytes = reinterpret_cast<int8_t*>(to) + column * s_.together / s_.columns * own;
    for (int64_t t = 0; t < s_.taps; ++t) {
      int8_t* tap = bytes + t / s_.part_taps * step + t % s_.part_taps * s_.channels;
      for (int64_t c = 0; c < own; ++c) tap[c] = from[c * s_.channel_step + t];
    }
  }

  const ByteWeightSource& s_;
  const ByteForm& form_;
  int64_t depth_;
  int64_t part_;  // bytes
  TransposeFn transpose_ = transpose_function();
};

}  // namespace

ByteWeights::ByteWeights(const Tensor& source, const ByteWeightSource& shape,
                         const CompileContext& context)
    : shape_(shape), form_(byte_product_functions().form) {
  const auto lanes = static_cast<int64_t>(form_.lanes);
  padded_ = ceil_div(shape.columns, lanes) * lanes;
  depth_ = form_.weight_rows(shape.taps / shape.part_taps *
                             ceil_div(shape.part_taps * shape.channels, kQuad) * kQuad);
  const std::string key =
      cat("bytes ", form_.block, " ", static_cast<int>(form_.kind), " ", shape.groups, " ",
          shape.together, " ", shape.columns, " ", shape.channels, " ", shape.taps, " ",
          shape.part_taps, " ", shape.column_step, " ", shape.channel_step);
  packed_ = packed(context, source, key, [&](const Tensor& plain) { return pack(plain); });
}

void ByteWeights::place(int64_t group, int64_t column, ByteBlock& block) const {
  if (form_.kind != ByteKind::kSteps) {
    block.weights = data() + (group * padded_ + column) * depth_;
    return;
  }
  const auto columns = static_cast<int64_t>(form_.block);
  block.weights = data() + steps_bytes();
  block.steps = reinterpret_cast<const ByteSteps*>(data()) + group * blocks() + column / columns;
}

int64_t ByteWeights::blocks() const {
  return ceil_div(shape_.columns, static_cast<int64_t>(form_.block));
}
int64_t ByteWeights::totals_bytes() const {
  return whole_lines(byte_size(DType::kInt32, 2 * shape_.groups * padded_));
}
int64_t ByteWeights::steps_bytes() const {
  return whole_lines(checked_mul(shape_.groups * blocks(), sizeof(ByteSteps)));
}

std::shared_ptr<Buffer> ByteWeights::pack(const Tensor& plain) const {
  const auto* from = reinterpret_cast<const int8_t*>(plain.raw());
  const Packer packer(shape_, form_, depth_);
  const int64_t size = shape_.columns * shape_.channels / shape_.together * shape_.taps;
  const auto for_each_block = [&](const auto& take) {
    for (int64_t g = 0; g < shape_.groups; ++g) packer.pack(from + g * size, take);
  };
  std::shared_ptr<Buffer> buffer;
  if (form_.kind == ByteKind::kSteps) {
    StepPacker steps(static_cast<size_t>(depth_),
                     static_cast<size_t>(checked_mul(shape_.groups * padded_, depth_)));
    for_each_block([&](const int8_t* quads, int64_t width) {
      steps.add_block(quads, static_cast<size_t>(width));
    });
    const auto before = static_cast<size_t>(totals_bytes() + steps_bytes());
    buffer = allocate_lasting(before + steps.data().size());
    std::memcpy(buffer->data() + totals_bytes(), steps.steps().data(), steps.steps().size_bytes());
    std::ranges::copy(steps.data(), buffer->data() + before);
  } else {
    const int64_t weights = checked_mul(shape_.groups * padded_, depth_);
    buffer = allocate_lasting(static_cast<size_t>(checked_add(totals_bytes(), weights)));
    std::byte* to = buffer->data() + totals_bytes();
    for_each_block([&](const int8_t* quads, int64_t width) {
      std::memcpy(to, quads, static_cast<size_t>(width * depth_));
      to += width * depth_;
    });
  }
  auto* sums = reinterpret_cast<int32_t*>(buffer->data());
  int32_t* sizes = sums + all();
  std::fill_n(sums, 2 * all(), 0);
  for (int64_t g = 0; g < shape_.groups; ++g)
    add_up(from + g * size, sums + g * padded_, sizes + g * padded_);
  return buffer;
}

void ByteWeights::add_up(const int8_t* from, int32_t* sums, int32_t* sizes) const {
  if (shape_.is_rows()) {
    for (int64_t k = 0; k < shape_.channels; ++k, from += shape_.channel_step) {
      for (int64_t c = 0; c < shape_.columns; ++c) {
        sums[c] += from[c];
        sizes[c] += std::abs(from[c]);
      }
    }
    return;
  }
  for (int64_t c = 0; c < shape_.columns; ++c) {
    int32_t sum = 0, size = 0;
    for (int64_t i = 0; i < shape_.column_step; ++i, ++from) {
      sum += *from;
      size += std::abs(*from);
    }
    sums[c] = sum;
    sizes[c] = size;
  }
}

}  // namespace treadle::cpu
