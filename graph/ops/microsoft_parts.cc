#include "graph/ops/microsoft.h"

namespace treadle {

using Values = std::vector<ValueId>;

ValueId dequantized(Builder& b, ValueId x, ValueId scale, ValueId zero_point) {
  return b.op("DequantizeLinear",
              zero_point.valid() ? Values{x, scale, zero_point} : Values{x, scale});
}

ValueId quantized(Builder& b, ValueId x, ValueId scale, ValueId zero_point, DType dtype) {
  if (zero_point.valid()) return b.op("QuantizeLinear", {x, scale, zero_point});
  return b.op("QuantizeLinear", {x, scale}, {{"output_dtype", static_cast<int64_t>(dtype)}});
}

size_t known_rank(const Builder& b, ValueId x) {
  const auto& shape = b.type(x).shape;
  TREADLE_CHECK(shape.has_value(), kUnsupported, "an input of unknown rank");
  return shape->size();
}

int64_t known_size(const Builder& b, ValueId x, int64_t axis) {
  const int64_t at = resolve_axis(axis, static_cast<int64_t>(known_rank(b, x)));
  const Dim& dim = (*b.type(x).shape)[static_cast<size_t>(at)];
  TREADLE_CHECK(dim.known(), kUnsupported, "the size of axis ", axis, " of ", b.type(x).text(),
                " must be known");
  return dim.value();
}

namespace {

int64_t rank_with_channels(const Builder& b, ValueId x) {
  const auto rank = static_cast<int64_t>(known_rank(b, x));
  TREADLE_CHECK(rank >= 2, kInvalidModel, "an input of rank ", rank, " has no channels");
  return rank;
}

}  // namespace

ValueId channels_to_second(Builder& b, ValueId x) {
  const int64_t rank = rank_with_channels(b, x);
  std::vector<int64_t> perm{0, rank - 1};
  for (int64_t i = 1; i < rank - 1; ++i) perm.push_back(i);
  return b.op("Transpose", {x}, {{"perm", perm}});
}

ValueId channels_to_last(Builder& b, ValueId x) {
  const int64_t rank = rank_with_channels(b, x);
  std::vector<int64_t> perm{0};
  for (int64_t i = 2; i < rank; ++i) perm.push_back(i);
  perm.push_back(1);
  return b.op("Transpose", {x}, {{"perm", perm}});
}

ValueId scaled_product(Builder& b, const IntegerProduct& p) {
  const ValueId sums = b.op("MatMulInteger", {p.a, p.b, p.a_zero_point, p.b_zero_point});
  const ValueId scale = b.op("Mul", {p.a_scale, p.b_scale});
  const ValueId y = b.op("Mul", {cast(b, sums, b.type(p.a_scale).dtype), scale});
  return p.bias.valid() ? b.op("Add", {y, p.bias}) : y;
}

ValueId cast(Builder& b, ValueId x, DType dtype) {
  return b.type(x).dtype == dtype ? x : b.op("Cast", {x}, {{"to", static_cast<int64_t>(dtype)}});
}

ValueId size_of(Builder& b, ValueId x, int64_t axis) {
  const int64_t at = resolve_axis(axis, static_cast<int64_t>(known_rank(b, x)));
  return b.op("Shape", {x}, {{"start", at}, {"end", at + 1}});
}

ValueId indices_below(Builder& b, ValueId count) {
  const ValueId limit = b.op("Squeeze", {count});
  return b.op("Range", {b.scalar(DType::kInt64, 0), limit, b.scalar(DType::kInt64, 1)});
}

std::vector<ValueId> split_last(Builder& b, ValueId x, const std::vector<int64_t>& sizes) {
  return b.add("Split", {x, b.ints(sizes)}, {{"axis", int64_t{-1}}}, sizes.size());
}

}  // namespace treadle
