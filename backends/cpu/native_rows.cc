#include "backends/cpu/native_rows.h"

#include <algorithm>

#include "backends/cpu/parallel.h"
#include "backends/cpu/simd_rows.h"
#include "graph/ops/iterate.h"

namespace treadle::cpu {
namespace {

// ---- Softmax, LogSoftmax

class SoftmaxKernel : public Kernel {
 public:
  SoftmaxKernel(int64_t rows, int64_t n, bool log, int threads)
      : rows_(rows), n_(n), threads_(threads) {
    function_ = log ? row_functions().log_softmax : row_functions().softmax;
  }
  void run(const KernelArgs& args) const override {
    const auto* from = static_cast<const float*>(args.inputs[0]);
    auto* to = static_cast<float*>(args.outputs[0]);
    const int64_t grain = std::max<int64_t>(1, kParallelGrain / (8 * n_));
    parallel_for(threads_, rows_, grain, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i)
        function_(from + i * n_, to + i * n_, static_cast<size_t>(n_));
    });
  }

 private:
  int64_t rows_;
  int64_t n_;
  int threads_;
  void (*function_)(const float*, float*, size_t);
};

AxisSplit softmax_split(const NodeSpec& spec) {
  return split_axis(spec.inputs[0].dims, spec.node->attributes.i("axis", -1));
}

Support supports_softmax(const NodeSpec& spec) {
  if (spec.inputs[0].dtype != DType::kFloat) return Support::no("not float");
  if (element_count(spec.inputs[0].dims) == 0 || spec.inputs[0].dims.empty())
    return Support::no("no row");
  return softmax_split(spec).inner == 1 ? Support{} : Support::no("an axis that is not the last");
}

Compiled compile_softmax(const NodeSpec& spec, const CompileContext& context) {
  const AxisSplit split = softmax_split(spec);
  const bool log = spec.node->is("LogSoftmax");
  Compiled compiled;
  compiled.name = log ? "native log_softmax" : "native softmax";
  compiled.in_place = {{0}};
  compiled.kernel = std::make_unique<SoftmaxKernel>(split.outer, split.size, log, context.threads);
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
