#include "backends/cpu/native/rows.h"

#include <algorithm>

#include "backends/cpu/parallel.h"
#include "backends/cpu/simd/along_axis.h"
#include "backends/cpu/simd/rows.h"
#include "graph/ops/iterate.h"

namespace treadle::cpu {
namespace {

// ---- Softmax, LogSoftmax

// Columns of a tile, where the axis is not the last: some of each thread's, and no more than a near
// cache holds.
int64_t tile_columns(const AxisSplit& s, int threads) {
  constexpr int64_t kFloats = 8192;
  constexpr auto kUnit = static_cast<int64_t>(kColumnUnit);
  const int64_t each = ceil_div(s.inner, ceil_div(int64_t{threads}, s.outer));
  return std::clamp(kFloats / s.size / kUnit * kUnit, kUnit, ceil_div(each, kUnit) * kUnit);
}

class SoftmaxKernel : public Kernel {
 public:
  SoftmaxKernel(const AxisSplit& split, bool log, int threads)
      : s_(split), threads_(threads), columns_(tile_columns(split, threads)) {
    of_columns_ = log ? axis_functions().log_softmax_columns : axis_functions().softmax_columns;
    function_ = log ? row_functions().log_softmax : row_functions().softmax;
    if (!log && s_.size <= static_cast<int64_t>(kShortRow)) short_ = row_functions().softmax_short;
  }
  void run(const KernelArgs& args) const override {
    const auto* from = static_cast<const float*>(args.inputs[0]);
    auto* to = static_cast<float*>(args.outputs[0]);
    if (s_.inner == 1) {
      const int64_t grain = std::max<int64_t>(1, kParallelGrain / (8 * s_.size));
      parallel_for(threads_, s_.outer, grain,
                   [&](int64_t begin, int64_t end) { run_rows(from, to, begin, end); });
      return;
    }
    const int64_t tiles = s_.outer * ceil_div(s_.inner, columns_);
    const bool small = s_.outer * s_.size * s_.inner * 8 < kParallelGrain;
    parallel_slots(threads_, small ? 1 : threads_, {.n = tiles},
                   [&](int64_t slot, int64_t begin, int64_t end) {
                     auto* scratch = static_cast<float*>(args.scratch) + slot * tile_floats();
                     for (int64_t i = begin; i < end; ++i) run_tile(from, to, i, scratch);
                   });
  }

  size_t scratch_bytes() const {
    if (s_.inner == 1) return 0;
    return static_cast<size_t>(threads_ * tile_floats()) * sizeof(float);
  }

 private:
  void run_rows(const float* from, float* to, int64_t begin, int64_t end) const {
    const auto n = static_cast<size_t>(s_.size);
    if (short_ != nullptr) {
      return short_(from + begin * s_.size, to + begin * s_.size, static_cast<size_t>(end - begin),
                    n);
    }
    for (int64_t i = begin; i < end; ++i) function_(from + i * s_.size, to + i * s_.size, n);
  }

  int64_t tile_floats() const {
    return static_cast<int64_t>(
        softmax_scratch(static_cast<size_t>(s_.size), static_cast<size_t>(columns_)));
  }

  void run_tile(const float* from, float* to, int64_t tile, float* scratch) const {
    const int64_t across = ceil_div(s_.inner, columns_);
    const int64_t first = tile % across * columns_;
    const int64_t at = tile / across * s_.size * s_.inner + first;
    of_columns_({.x = from + at,
                 .rows = static_cast<size_t>(s_.size),
                 .stride = static_cast<size_t>(s_.inner),
                 .count = static_cast<size_t>(std::min(columns_, s_.inner - first))},
                to + at, scratch);
  }

  AxisSplit s_;
  int threads_;
  int64_t columns_;  // of a tile
  SoftmaxColumnsFn of_columns_;
  void (*function_)(const float*, float*, size_t);
  void (*short_)(const float*, float*, size_t, size_t) = nullptr;  // of many rows
};

Support supports_softmax(const NodeSpec& spec) {
  if (spec.inputs[0].dtype != DType::kFloat) return Support::no("not float");
  if (element_count(spec.inputs[0].dims) == 0 || spec.inputs[0].dims.empty())
    return Support::no("no row");
  return {};
}

Compiled compile_softmax(const NodeSpec& spec, const CompileContext& context) {
  const AxisSplit split = split_axis(spec.inputs[0].dims, spec.node->attributes.i("axis", -1));
  const bool log = spec.node->is("LogSoftmax");
  auto kernel = std::make_unique<SoftmaxKernel>(split, log, context.threads);
  Compiled compiled;
  compiled.name = log ? "native log_softmax" : "native softmax";
  compiled.in_place = {{0}};
  compiled.scratch_bytes = kernel->scratch_bytes();
  compiled.kernel = std::move(kernel);
  return compiled;
}

// ---- LayerNormalization, RMSNormalization

struct NormShape {
  int64_t rows = 1;
  int64_t n = 1;
  float epsilon = 0;
  bool centre = true;
};

class NormKernel : public Kernel {
 public:
  NormKernel(const NormShape& shape, size_t inputs, size_t outputs, int threads)
      : s_(shape), inputs_(inputs), outputs_(outputs), threads_(threads), rows_(row_functions()) {}
  void run(const KernelArgs& args) const override {
    const auto* from = static_cast<const float*>(args.inputs[0]);
    const auto* scale = static_cast<const float*>(args.inputs[1]);
    const auto* shift = inputs_ > 2 ? static_cast<const float*>(args.inputs[2]) : nullptr;
    auto* to = static_cast<float*>(args.outputs[0]);
    auto* mean = outputs_ > 1 ? static_cast<float*>(args.outputs[1]) : nullptr;
    auto* inverse = outputs_ > 2 ? static_cast<float*>(args.outputs[2]) : nullptr;
    const int64_t grain = std::max<int64_t>(1, kParallelGrain / (4 * s_.n));
    parallel_for(threads_, s_.rows, grain, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const NormResult r = rows_.normalize({.x = from + i * s_.n,
                                              .scale = scale,
                                              .shift = shift,
                                              .y = to + i * s_.n,
                                              .n = static_cast<size_t>(s_.n),
                                              .epsilon = s_.epsilon,
                                              .centre = s_.centre});
        if (mean != nullptr) mean[i] = r.mean;
        if (inverse != nullptr) inverse[i] = r.inverse_deviation;
      }
    });
  }

 private:
  NormShape s_;
  size_t inputs_;
  size_t outputs_;
  int threads_;
  const RowFunctions& rows_;
};

NormShape norm_shape(const NodeSpec& spec) {
  const Dims& dims = spec.inputs[0].dims;
  const auto axis = static_cast<size_t>(
      resolve_axis(spec.node->attributes.i("axis", -1), static_cast<int64_t>(dims.size())));
  NormShape s;
  for (size_t d = 0; d < dims.size(); ++d) (d < axis ? s.rows : s.n) *= dims[d];
  s.epsilon = spec.node->attributes.f("epsilon", 1e-5f);
  s.centre = spec.node->is("LayerNormalization");
  return s;
}

Support supports_norm(const NodeSpec& spec) {
  for (const TensorSpec& in : spec.inputs) {
    if (in.present() && in.dtype != DType::kFloat) return Support::no("not float");
  }
  if (element_count(spec.inputs[0].dims) == 0 || spec.inputs[0].dims.empty())
    return Support::no("no row");
  const int64_t n = norm_shape(spec).n;
  for (size_t i = 1; i < spec.inputs.size(); ++i) {
    if (spec.has(i) && element_count(spec.inputs[i].dims) != n) {
      return Support::no("scale or bias that is broadcast");
    }
  }
  return {};
}

Compiled compile_norm(const NodeSpec& spec, const CompileContext& context) {
  Compiled compiled;
  compiled.name = "native layer_norm";
  compiled.in_place = {{0}};
  const size_t inputs = spec.has(2) ? 3 : 2;
  compiled.kernel =
      std::make_unique<NormKernel>(norm_shape(spec), inputs, spec.outputs.size(), context.threads);
  return compiled;
}

}  // namespace

const Family kNativeSoftmax{"native softmax", supports_softmax, compile_softmax};
const Family kNativeLayerNorm{"native layer_norm", supports_norm, compile_norm};

}  // namespace treadle::cpu
