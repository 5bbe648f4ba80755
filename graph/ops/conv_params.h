// What Conv, ConvTranspose and the pools read from their attributes, resolved once and read by all:
// shape rules, reference kernels, backends and gradients.
#pragma once

#include "graph/attributes.h"
#include "graph/base/shape.h"

namespace treadle {

// A window that slides over the spatial axes of an input [N, C, spatial…]. Every list has one entry
// an axis; auto_pad and absent attributes are resolved. kernel, strides, dilations >= 1; pads >= 0,
// but for a pool's pads_begin with auto_pad SAME: negative where the first window starts inside.
struct Window {
  Dims kernel;
  Dims strides;
  Dims dilations;
  Dims pads_begin;
  Dims pads_end;
  Dims input;   // sizes of the spatial axes of x
  Dims output;  // and of y

  size_t rank() const { return kernel.size(); }
  // Cells from the first to the last that a window touches: (kernel-1)*dilation + 1.
  int64_t extent(size_t axis) const { return (kernel[axis] - 1) * dilations[axis] + 1; }
  // Cells after the input's end that the last window of a Conv or pool reaches; beyond pads_end
  // under ceil_mode, below it (even negative) where the stride leaves cells unused.
  int64_t reach_end(size_t axis) const {
    return (output[axis] - 1) * strides[axis] + extent(axis) - input[axis] - pads_begin[axis];
  }
};

struct ConvParams : Window {
  int64_t batch = 0;
  int64_t in_channels = 0;
  int64_t out_channels = 0;
  int64_t group = 1;
  Dims output_padding;  // ConvTranspose: cells added at the end of each axis, counted in `output`;
                        // else zeros

  int64_t group_inputs() const { return in_channels / group; }
  int64_t group_outputs() const { return out_channels / group; }
  Dims output_dims() const;  // [N, M, spatial…]
};

// The same where one spatial axis is the second of two: a plane of one row.
ConvParams in_planes(ConvParams p);

struct PoolParams : Window {
  int64_t batch = 0;
  int64_t channels = 0;
  bool ceil_mode = false;
  bool count_include_pad = false;  // cells beyond input + pads_end (ceil_mode) never count
  bool column_major = false;       // how MaxPool flattens Indices (storage_order)

  Dims output_dims() const;  // [N, C, spatial…]
  // Cells of the window at output position `at` of an axis that an average counts; and the product
  // of these over all axes but the last, at an output row of a plane.
  int64_t counted_on_axis(size_t axis, int64_t at) const;
  double counted_in_row(int64_t row) const;
};

// Attributes: auto_pad dilations group kernel_shape pads strides. kInvalidModel where they do not
// fit the shapes.
ConvParams conv_params(const Attributes& attributes, const Dims& x,
                       const Dims& w);  // w: [M, C/group, kernel…]
// Also output_padding and output_shape. y[i*stride + k*dilation - pad_begin] += x[i] * w[k].
ConvParams conv_transpose_params(const Attributes& attributes, const Dims& x,
                                 const Dims& w);  // w: [C, M/group, …]
// Attributes: auto_pad ceil_mode count_include_pad dilations kernel_shape pads storage_order
// strides.
PoolParams pool_params(const Attributes& attributes, const Dims& x);
// One window over the whole plane: GlobalAveragePool and its kin.
PoolParams global_pool_params(const Dims& x);

// The same for symbolic shapes: the output's shape.
Shape conv_shape(const Attributes& attributes, const Shape& x, const Shape& w);
Shape conv_transpose_shape(const Attributes& attributes, const Shape& x, const Shape& w);
Shape pool_shape(const Attributes& attributes, const Shape& x);
Shape global_pool_shape(const Shape& x);

}  // namespace treadle
