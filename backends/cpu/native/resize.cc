#include "backends/cpu/native/resize.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "backends/cpu/layout.h"
#include "backends/cpu/native/view.h"
#include "backends/cpu/parallel.h"
#include "backends/cpu/simd/blend.h"
#include "graph/ops/iterate.h"
#include "graph/ops/resize_params.h"

namespace treadle::cpu {
namespace {

// Fewer channels are too short as rows.
constexpr int64_t kFewChannels = 8;

// Elements [outer, size, inner] become [outer, output, inner]. Tables are by output cell, and where
// inner is 1 by tap, then by output cell.
struct Pass {
  AxisSplit split;
  int64_t output;
  int64_t taps;
  std::vector<int32_t> cells;
  std::vector<float> weights;
  int64_t count() const { return split.outer * output * split.inner; }
};

Pass make_pass(const ResizeAxis& axis, const AxisSplit& split) {
  Pass pass{split, axis.output, axis.taps, {}, {}};
  const auto add = [&](int64_t cell, int64_t tap) {
    const auto k = static_cast<size_t>(cell * axis.taps + tap);
    pass.cells.push_back(static_cast<int32_t>(axis.cells[k]));
    pass.weights.push_back(axis.weights.empty() ? 1.0F : static_cast<float>(axis.weights[k]));
  };
  if (split.inner == 1) {
    for (int64_t t = 0; t < axis.taps; ++t) {
      for (int64_t i = 0; i < axis.output; ++i) add(i, t);
    }
  } else {
    for (int64_t i = 0; i < axis.output; ++i) {
      for (int64_t t = 0; t < axis.taps; ++t) add(i, t);
    }
  }
  return pass;
}

class ResizeKernel : public Kernel {
 public:
  ResizeKernel(std::vector<Pass> passes, int64_t floats, int threads)
      : passes_(std::move(passes)), floats_(floats), threads_(threads) {
    for (size_t i = 0; i + 1 < passes_.size(); ++i)
      between_ = std::max(between_, passes_[i].count());
  }
  size_t scratch_bytes() const {
    const int64_t buffers = passes_.size() > 2 ? 2 : 1;
    return static_cast<size_t>(byte_size(DType::kFloat, checked_mul(buffers, between_)));
  }

  void run(const KernelArgs& args) const override {
    const auto* from = static_cast<const float*>(args.inputs[0]);
    auto* y = static_cast<float*>(args.outputs[0]);
    if (passes_.empty()) std::memcpy(y, from, static_cast<size_t>(floats_) * sizeof(float));
    for (size_t i = 0; i < passes_.size(); ++i) {
      float* scratch = static_cast<float*>(args.scratch) + (i % 2 == 0 ? 0 : between_);
      float* to = i + 1 == passes_.size() ? y : scratch;
      if (passes_[i].split.inner == 1) {
        blend_lines(passes_[i], from, to);
      } else {
        blend_rows(passes_[i], from, to);
      }
      from = to;
    }
  }

 private:
  void blend_lines(const Pass& p, const float* from, float* to) const {
    const int64_t grain = std::max<int64_t>(1, kParallelGrain / (2 * p.output * p.taps));
    parallel_for(threads_, p.split.outer, grain, [&](int64_t begin, int64_t end) {
      for (int64_t o = begin; o < end; ++o)
        functions_.cells(from + o * p.split.size, p.cells.data(), p.weights.data(),
                         static_cast<size_t>(p.taps), to + o * p.output,
                         static_cast<size_t>(p.output));
    });
  }

  void blend_rows(const Pass& p, const float* from, float* to) const {
    const int64_t n = p.split.inner;
    const int64_t grain = std::max<int64_t>(1, kParallelGrain / (n * p.taps));
    parallel_for(threads_, p.split.outer * p.output, grain, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const float* plane = from + i / p.output * p.split.size * n;
        const auto at = static_cast<size_t>(i % p.output * p.taps);
        const int32_t* cells = p.cells.data() + at;
        const float* weights = p.weights.data() + at;
        if (p.taps == 1 && *weights == 1) {
          std::memcpy(to + i * n, plane + *cells * n, static_cast<size_t>(n) * sizeof(float));
        } else {
          functions_.rows(plane, cells, weights, static_cast<size_t>(p.taps), to + i * n,
                          static_cast<size_t>(n));
        }
      }
    });
  }

  std::vector<Pass> passes_;
  int64_t floats_;
  int threads_;
  int64_t between_ = 0;  // floats of the largest result but the last
  const BlendFunctions& functions_ = blend_functions();
};

ResizeParams params_of(const NodeSpec& spec) {
  Tensor plain[4];
  const auto input = [&](size_t i) -> const Tensor* {
    if (!spec.has(i)) return nullptr;
    plain[i] = spec.constant(i)->resident();
    return &plain[i];
  };
  return resize_params(spec.node->attributes, spec.inputs[0].dims, {input(1), input(2), input(3)});
}

Support supports_resize(const NodeSpec& spec) {
  const TensorSpec& x = spec.inputs[0];
  if (x.dtype != DType::kFloat) return Support::no("not float");
  if (x.dims.empty()) return Support::no("scalar");
  if (element_count(x.dims) == 0 || element_count(spec.outputs[0].dims) == 0)
    return Support::no("empty tensor");
  for (size_t i = 1; i < spec.inputs.size(); ++i) {
    if (spec.has(i) && spec.constant(i) == nullptr) return Support::no("sizes of the run");
  }
  if (std::ranges::max(x.dims) > std::numeric_limits<int32_t>::max())
    return Support::no("more than 2^31 cells on an axis");
  if (spec.node->attributes.s("coordinate_transformation_mode", "") == "tf_crop_and_resize")
    return Support::no("extrapolation");
  return {};
}

// The layout that comes in, unless its channels are resized or few.
Layout layout_of(const TensorSpec& x, const std::vector<ResizeAxis>& axes) {
  const bool channels = std::ranges::any_of(axes, [](const ResizeAxis& a) { return a.axis < 2; });
  return channels || physical_dims(x.dims, x.layout).back() < kFewChannels ? kPlain : x.layout;
}

// Shrinks first, and last of all enlarges: passes are over as little as can be. What is read
// element by element, the last axis of a plain tensor, goes before other axes that enlarge.
std::vector<Pass> passes_of(Dims physical, std::vector<ResizeAxis> axes) {
  std::ranges::stable_sort(axes, [&](const ResizeAxis& a, const ResizeAxis& b) {
    const bool shrinks_a = a.output < a.input, shrinks_b = b.output < b.input;
    return shrinks_a != shrinks_b ? shrinks_a : !shrinks_a && a.axis > b.axis;
  });
  std::vector<Pass> passes;
  for (const ResizeAxis& axis : axes) {
    passes.push_back(make_pass(axis, split_axis(physical, axis.axis)));
    physical[static_cast<size_t>(axis.axis)] = axis.output;
  }
  return passes;
}

Compiled compile_resize(const NodeSpec& spec, const CompileContext& context) {
  const TensorSpec& x = spec.inputs[0];
  ResizeParams params = params_of(spec);
  const Layout layout = layout_of(x, params.axes);
  if (layout == kChannelsLast) {
    for (ResizeAxis& axis : params.axes) --axis.axis;
  }
  const Dims physical = physical_dims(x.dims, layout);
  auto kernel = std::make_unique<ResizeKernel>(passes_of(physical, std::move(params.axes)),
                                               element_count(physical), context.threads);
  Compiled compiled;
  compiled.name = "native resize";
  compiled.scratch_bytes = kernel->scratch_bytes();
  compiled.kernel = std::move(kernel);
  compiled.reads.assign(spec.inputs.size(), false);
  compiled.reads[0] = true;
  compiled.input_layouts.assign(spec.inputs.size(), kPlain);
  compiled.input_layouts[0] = accept(x, layout);
  compiled.output_layouts = {canonical(spec.outputs[0].dims, layout)};
  return compiled;
}

}  // namespace

const Family kNativeResize{"native resize", supports_resize, compile_resize};

}  // namespace treadle::cpu
