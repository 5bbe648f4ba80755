#include "backends/cpu/native/rows.h"

#include <algorithm>

#include "backends/cpu/parallel.h"
#include "backends/cpu/simd/rows.h"
#include "graph/ops/iterate.h"

namespace treadle::cpu {
namespace {

// ---- Softmax, LogSoftmax

constexpr int64_t kColumns = 16;  // of an axis that is not the last, made rows at once

class SoftmaxKernel : public Kernel {
 public:
  SoftmaxKernel(const AxisSplit& split, bool log, int threads) : s_(split), threads_(threads) {
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
    // A share of the tiles and a place in the scratch for each thread.
    const int64_t tiles = s_.outer * ceil_div(s_.inner, kColumns);
    const int64_t shares = std::min<int64_t>(threads_, tiles);
    const bool small = s_.outer * s_.size * s_.inner * 8 < kParallelGrain;
    parallel_for(threads_, shares, small ? shares : 1, [&](int64_t begin, int64_t end) {
      auto* rows = static_cast<float*>(args.scratch) + begin * kColumns * s_.size;
      for (int64_t i = begin * tiles / shares; i < end * tiles / shares; ++i)
        run_tile(from, to, i, rows);
    });
  }

  size_t scratch_bytes() const {
    if (s_.inner == 1) return 0;
    return static_cast<size_t>(threads_ * kColumns * s_.size) * sizeof(float);
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

  void run_tile(const float* from, float* to, int64_t tile, float* rows) const {
    const int64_t across = ceil_div(s_.inner, kColumns);
    const int64_t first = tile % across * kColumns;
    const int64_t at = tile / across * s_.size * s_.inner + first;
    const int64_t columns = std::min(kColumns, s_.inner - first);
    for (int64_t i = 0; i < s_.size; ++i) {
      for (int64_t c = 0; c < columns; ++c) rows[c * s_.size + i] = from[at + i * s_.inner + c];
    }
    run_rows(rows, rows, 0, columns);
    for (int64_t i = 0; i < s_.size; ++i) {
      for (int64_t c = 0; c < columns; ++c) to[at + i * s_.inner + c] = rows[c * s_.size + i];
    }
  }

  AxisSplit s_;
  int threads_;
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
