// What Resize reads from its attributes and inputs, resolved once: for each axis which input cells
// an output cell takes, and with which weights.
#pragma once

#include <vector>

#include "graph/attributes.h"
#include "graph/base/tensor.h"

namespace treadle {

// Resize as a sequence of passes, one an axis that changes; each output cell of the axis is the
// weighted sum of `taps` cells.
struct ResizeAxis {
  int64_t axis = 0;
  int64_t input = 0;
  int64_t output = 0;
  int64_t taps = 1;
  std::vector<int64_t> cells;   // output * taps, within [0, input)
  std::vector<double> weights;  // output * taps; empty for mode nearest (taps = 1)
  // Of tf_crop_and_resize: cells that are extrapolation_value instead; or empty.
  std::vector<bool> outside;
};
struct ResizeParams {
  Dims output;
  std::vector<ResizeAxis> axes;
};

// Where a Resize takes its output size from: inputs 1 to 3, each null or defined; empty tensors
// count as absent.
struct ResizeInputs {
  const Tensor* roi = nullptr;
  const Tensor* scales = nullptr;
  const Tensor* sizes = nullptr;
};
// kInvalidModel or kInvalidData where attributes and inputs do not fit.
ResizeParams resize_params(const Attributes& attributes, const Dims& x, const ResizeInputs& inputs);
// The output's shape from constant scales, or from sizes where known.
Shape resize_shape(const Attributes& attributes, const Shape& x, const Tensor* scales,
                   const std::vector<Dim>* sizes);

}  // namespace treadle
