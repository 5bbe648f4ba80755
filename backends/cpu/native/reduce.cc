#include <algorithm>
#include <cmath>

#include "backends/cpu/native/rows.h"
#include "backends/cpu/native/view.h"
#include "backends/cpu/parallel.h"
#include "backends/cpu/simd/rows.h"
#include "graph/ops/axes.h"

namespace treadle::cpu {
namespace {

enum class Finish : uint8_t { kNone, kMean, kRoot };

struct ReduceRule {
  const char* kind;
  RowOp op;
  Finish finish = Finish::kNone;
};
constexpr ReduceRule kRules[] = {
    {"ReduceMean", RowOp::kSum, Finish::kMean},
    {"ReduceSum", RowOp::kSum},
    {"ReduceMax", RowOp::kMax},
    {"ReduceMin", RowOp::kMin},
    {"ReduceSumSquare", RowOp::kSumSquare},
    {"ReduceL2", RowOp::kSumSquare, Finish::kRoot},
    {"ReduceL1", RowOp::kSumAbs},
    {"GlobalAveragePool", RowOp::kSum, Finish::kMean},
    {"GlobalMaxPool", RowOp::kMax},
};

bool is_global_pool(const Node& node) { return node.op->kind.starts_with("Global"); }

const ReduceRule* find_rule(const Node& node) {
  for (const ReduceRule& rule : kRules) {
    if (node.op->kind == rule.kind) return &rule;
  }
  return nullptr;
}

// The reduced dimension between kept ones; of sums, before them there may be another one.
struct ReduceShape {
  int64_t lead = 1;
  int64_t outer = 1;
  int64_t n = 1;
  int64_t inner = 1;
};

std::optional<std::vector<bool>> reduced_axes(const NodeSpec& spec) {
  const auto rank = static_cast<int64_t>(spec.inputs[0].dims.size());
  std::vector<bool> mask(static_cast<size_t>(rank), true);
  if (is_global_pool(*spec.node)) {
    mask[0] = mask[1] = false;
    return mask;
  }
  std::vector<int64_t> axes;
  if (spec.has(1)) {
    const Tensor* t = spec.constant(1);
    if (t == nullptr) return std::nullopt;
    axes = t->to_ints();
  }
  if (!axes.empty()) return axis_mask(axes, rank);
  if (spec.node->attributes.i("noop_with_empty_axes", 0) != 0) return std::nullopt;
  return mask;
}

bool keeps_dims(const NodeSpec& spec) {
  return is_global_pool(*spec.node) || spec.node->attributes.i("keepdims", 1) != 0;
}

// Which physical dimensions are reduced; nothing where the layout mixes kept and reduced elements.
std::optional<std::vector<bool>> physical_mask(const NodeSpec& spec, const std::vector<bool>& mask,
                                               Layout layout) {
  if (layout == kPlain) return mask;
  if (mask[1] || mask.size() < 3) return std::nullopt;
  const bool spatial = std::all_of(mask.begin() + 2, mask.end(), [](bool m) { return m; });
  if (!spatial) return std::nullopt;
  const bool whole_blocks = spec.inputs[0].dims[1] % channel_block(layout) == 0;
  if (!keeps_dims(spec) && !whole_blocks) return std::nullopt;
  std::vector<bool> physical(physical_dims(spec.inputs[0].dims, layout).size(), true);
  physical.front() = mask[0];
  physical.back() = false;
  if (channel_block(layout) > 1) physical[1] = false;
  return physical;
}

std::optional<ReduceShape> reduce_shape(const Dims& dims, const std::vector<bool>& mask) {
  ReduceShape shape;
  bool reduced = false;
  for (size_t i = 0; i < dims.size(); ++i) {
    if (dims[i] == 1) continue;
    if (mask[i]) {
      if (shape.inner != 1) {
        if (shape.lead != 1 || shape.outer != 1) return std::nullopt;
        shape = {.lead = shape.n, .outer = shape.inner};
      }
      shape.n *= dims[i];
      reduced = true;
    } else {
      (reduced ? shape.inner : shape.outer) *= dims[i];
    }
  }
  if (shape.lead != 1 && shape.inner != 1) return std::nullopt;
  return shape;
}

bool sums(const Node& node) {
  const RowOp op = find_rule(node)->op;
  return op == RowOp::kSum || op == RowOp::kSumSquare || op == RowOp::kSumAbs;
}

std::optional<ReduceShape> plan_reduce(const NodeSpec& spec, Layout layout) {
  const auto mask = reduced_axes(spec);
  if (!mask) return std::nullopt;
  const auto physical = physical_mask(spec, *mask, layout);
  if (!physical) return std::nullopt;
  const auto shape = reduce_shape(physical_dims(spec.inputs[0].dims, layout), *physical);
  return shape && shape->lead != 1 && !sums(*spec.node) ? std::nullopt : shape;
}

class ReduceKernel : public Kernel {
 public:
  ReduceKernel(const ReduceRule& rule, const ReduceShape& shape, int threads)
      : rule_(rule), shape_(shape), rows_(row_functions()), threads_(threads) {
    // The same for any number of threads, so that they get the same sums; none where there is
    // enough to share out without.
    constexpr int64_t kMostParts = 16, kFewRows = 16;
    const int64_t most = std::min(shape_.n * shape_.inner / kParallelGrain, shape_.n / kFewRows);
    parts_ = std::clamp<int64_t>(most, 1, ceil_div(kMostParts, shape_.outer));
    if (shape_.inner == 1) parts_ = 1;
  }

  size_t scratch_bytes() const {
    if (parts_ == 1) return 0;
    return static_cast<size_t>(byte_size(DType::kFloat, shape_.outer * parts_ * shape_.inner));
  }

  void run(const KernelArgs& args) const override {
    const auto* from = static_cast<const float*>(args.inputs[0]);
    auto* to = static_cast<float*>(args.outputs[0]);
    const ReduceShape& s = shape_;
    if (s.inner == 1) {
      const int64_t grain = std::max<int64_t>(1, kParallelGrain / (s.lead * s.n));
      parallel_for(threads_, s.outer, grain, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) to[i] = finished(reduce_row(from, i));
      });
      return;
    }
    if (parts_ > 1) return reduce_parts(from, static_cast<float*>(args.scratch), to);
    const int64_t each = ceil_div(s.inner, ceil_div(int64_t{threads_}, s.outer));
    const int64_t piece = std::min(kPiece, ceil_div(each, kLine) * kLine);
    const int64_t pieces = ceil_div(s.inner, piece);
    const int64_t grain =
        std::max<int64_t>(1, kParallelGrain / (piece * std::max<int64_t>(s.n, 1)));
    parallel_for(threads_, s.outer * pieces, grain, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t at = i % pieces * piece;
        const int64_t outer = i / pieces;
        reduce_columns(from + outer * s.n * s.inner + at, to + outer * s.inner + at,
                       static_cast<size_t>(std::min(piece, s.inner - at)));
      }
    });
  }

 private:
  static constexpr int64_t kPiece = 512;  // columns that one thread takes at once, at most
  static constexpr int64_t kLine = 16;    // of a cache

  float reduce_row(const float* from, int64_t i) const {
    const auto n = static_cast<size_t>(shape_.n);
    if (shape_.lead == 1) return rows_.reduce(rule_.op, from + i * shape_.n, n);
    double sum = 0;
    for (int64_t k = 0; k < shape_.lead; ++k) {
      sum += rows_.reduce(rule_.op, from + (k * shape_.outer + i) * shape_.n, n);
    }
    return static_cast<float>(sum);
  }

  void reduce_columns(const float* from, float* to, size_t columns) const {
    reduce(rule_.op, from, shape_.n, to, columns);
    finish(to, columns);
  }
  void reduce(RowOp op, const float* from, int64_t rows, float* to, size_t columns) const {
    rows_.reduce_columns(op,
                         {.x = from,
                          .rows = static_cast<size_t>(rows),
                          .stride = static_cast<size_t>(shape_.inner),
                          .count = columns},
                         to);
  }
  void finish(float* to, size_t count) const {
    if (rule_.finish == Finish::kNone) return;
    for (size_t i = 0; i < count; ++i) to[i] = finished(to[i]);
  }

  // Threads share out rows, as those do that made them: rows lie in their caches.
  void reduce_parts(const float* from, float* partial, float* to) const {
    const ReduceShape& s = shape_;
    const auto columns = static_cast<size_t>(s.inner);
    parallel_for(threads_, s.outer * parts_, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t row = s.n * (i % parts_) / parts_, behind = s.n * (i % parts_ + 1) / parts_;
        reduce(rule_.op, from + (i / parts_ * s.n + row) * s.inner, behind - row,
               partial + i * s.inner, columns);
      }
    });
    const bool greatest = rule_.op == RowOp::kMax || rule_.op == RowOp::kMin;
    for (int64_t i = 0; i < s.outer; ++i, to += s.inner) {
      reduce(greatest ? rule_.op : RowOp::kSum, partial + i * parts_ * s.inner, parts_, to,
             columns);
      finish(to, columns);
    }
  }
  float finished(float x) const {
    if (rule_.finish == Finish::kMean) return x / static_cast<float>(shape_.lead * shape_.n);
    return rule_.finish == Finish::kRoot ? std::sqrt(x) : x;
  }
  ReduceRule rule_;
  ReduceShape shape_;
  const RowFunctions& rows_;
  int threads_;
  int64_t parts_ = 1;  // of the rows
};

Support supports_reduce(const NodeSpec& spec) {
  if (spec.inputs[0].dtype != DType::kFloat) return Support::no("not float");
  if (element_count(spec.inputs[0].dims) == 0) return Support::no("nothing to reduce");
  if (find_rule(*spec.node) == nullptr) return Support::no("no rule");
  return plan_reduce(spec, kPlain) ? Support{} : Support::no("scattered or unknown axes");
}

Compiled compile_reduce(const NodeSpec& spec, const CompileContext& context) {
  Layout layout = spec.inputs[0].layout;
  std::optional<ReduceShape> shape = plan_reduce(spec, layout);
  if (!shape) {
    layout = kPlain;
    shape = plan_reduce(spec, layout);
  }
  TREADLE_CHECK(shape.has_value(), kInternal, "no plan to reduce");
  Compiled compiled;
  compiled.name = "native reduce";
  compiled.input_layouts = {layout, kPlain};
  compiled.input_layouts.resize(spec.inputs.size());
  compiled.output_layouts = {keeps_dims(spec) ? layout : kPlain};
  compiled.reads.assign(spec.inputs.size(), false);
  compiled.reads[0] = true;
  auto kernel = std::make_unique<ReduceKernel>(*find_rule(*spec.node), *shape, context.threads);
  compiled.scratch_bytes = kernel->scratch_bytes();
  compiled.kernel = std::move(kernel);
  return compiled;
}

}  // namespace

const Family kNativeReduce{"native reduce", supports_reduce, compile_reduce};

}  // namespace treadle::cpu
