// What the graphs of com.microsoft's operators share.
#pragma once

#include <vector>

#include "graph/builder.h"

namespace treadle {

// x as floats; an absent zero point is 0.
ValueId dequantized(Builder& b, ValueId x, ValueId scale, ValueId zero_point);
// x as `dtype`, which is the zero point's where there is one.
ValueId quantized(Builder& b, ValueId x, ValueId scale, ValueId zero_point, DType dtype);

// Input `index` has a rank here; kUnsupported when it is not known.
size_t known_rank(const Builder& b, ValueId x);
// The known size of a dimension; kUnsupported when it is not known. Negative axes count from the
// end.
int64_t known_size(const Builder& b, ValueId x, int64_t axis);

// [N, …, C] as [N, C, …], and back.
ValueId channels_to_second(Builder& b, ValueId x);
ValueId channels_to_last(Builder& b, ValueId x);

// a · b with integers, then scaled; zero points and bias may be absent.
struct IntegerProduct {
  ValueId a, b, a_scale, b_scale, a_zero_point, b_zero_point, bias;
};
ValueId scaled_product(Builder& b, const IntegerProduct& p);

// x as another element type.
ValueId cast(Builder& b, ValueId x, DType dtype);
// Dimension `axis` of x as an int64 vector of one element.
ValueId size_of(Builder& b, ValueId x, int64_t axis);
// 0, 1 … as an int64 vector; `count` is a vector of one element.
ValueId indices_below(Builder& b, ValueId count);
// The parts of x of these sizes along its last axis.
std::vector<ValueId> split_last(Builder& b, ValueId x, const std::vector<int64_t>& sizes);

}  // namespace treadle
