#include <algorithm>
#include <limits>

#include "backends/cpu/layout.h"
#include "backends/cpu/native/rows.h"
#include "backends/cpu/parallel.h"
#include "backends/cpu/simd/along_axis.h"
#include "graph/ops/iterate.h"

namespace treadle::cpu {
namespace {

class ArgKernel : public Kernel {
 public:
  ArgKernel(const AxisSplit& split, const ArgChoice& choice, int threads)
      : s_(split), choice_(choice), threads_(threads) {}

  void run(const KernelArgs& args) const override {
    const auto* from = static_cast<const float*>(args.inputs[0]);
    auto* to = static_cast<int64_t*>(args.outputs[0]);
    if (s_.inner == 1) {
      const int64_t grain = std::max<int64_t>(1, kParallelGrain / s_.size);
      parallel_for(threads_, s_.outer, grain, [&](int64_t begin, int64_t end) {
        functions_.arg_rows(from + begin * s_.size, static_cast<size_t>(end - begin),
                            static_cast<size_t>(s_.size), choice_, to + begin);
      });
      return;
    }
    const int64_t each = ceil_div(s_.inner, ceil_div(int64_t{threads_}, s_.outer));
    const int64_t piece = std::min(kPiece, ceil_div(each, kLine) * kLine);
    const int64_t pieces = ceil_div(s_.inner, piece);
    const int64_t grain = std::max<int64_t>(1, kParallelGrain / (piece * s_.size));
    parallel_for(threads_, s_.outer * pieces, grain, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t outer = i / pieces;
        const int64_t at = i % pieces * piece;
        functions_.arg_columns({.x = from + outer * s_.size * s_.inner + at,
                                .rows = static_cast<size_t>(s_.size),
                                .stride = static_cast<size_t>(s_.inner),
                                .count = static_cast<size_t>(std::min(piece, s_.inner - at))},
                               choice_, to + outer * s_.inner + at);
      }
    });
  }

 private:
  static constexpr int64_t kPiece = kArgColumns;
  static constexpr int64_t kLine = 16;  // of a cache

  AxisSplit s_;
  ArgChoice choice_;
  int threads_;
  const AxisFunctions& functions_ = axis_functions();
};

AxisSplit split_of(const NodeSpec& spec) {
  return split_axis(spec.inputs[0].dims, spec.node->attributes.i("axis", 0));
}

Support supports_arg(const NodeSpec& spec) {
  const TensorSpec& x = spec.inputs[0];
  if (x.dtype != DType::kFloat) return Support::no("not float");
  if (x.dims.empty() || element_count(x.dims) == 0) return Support::no("nothing to choose from");
  if (split_of(spec).size > std::numeric_limits<int32_t>::max())
    return Support::no("indices of more than 32 bits");
  return {};
}

Compiled compile_arg(const NodeSpec& spec, const CompileContext& context) {
  const TensorSpec& x = spec.inputs[0];
  AxisSplit split = split_of(spec);
  Compiled compiled;
  // Pixels are rows of channels, and lie as they do in the result.
  if (x.layout == kChannelsLast && split.size == x.dims[1] && split.outer == x.dims[0]) {
    split = {.outer = split.outer * split.inner, .size = split.size};
    compiled.input_layouts = {kChannelsLast};
  }
  compiled.name = "native arg";
  compiled.kernel = std::make_unique<ArgKernel>(
      split,
      ArgChoice{.least = spec.node->is("ArgMin"),
                .last = spec.node->attributes.i("select_last_index", 0) != 0},
      context.threads);
  return compiled;
}

}  // namespace

const Family kNativeArg{"native arg", supports_arg, compile_arg};

}  // namespace treadle::cpu
