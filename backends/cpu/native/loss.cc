#include "backends/cpu/native/loss.h"

#include "graph/ops/iterate.h"

namespace treadle::cpu {
namespace {

constexpr size_t kScores = 0, kTargets = 1, kWeights = 2;

enum class Reduced : uint8_t { kNone, kMean, kSum };

struct NllPlan {
  AxisSplit split;  // at the classes
  bool weighted = false;
  Reduced reduced = Reduced::kMean;
  std::optional<int64_t> ignored;
};

// One pass over the targets: the scores of the other classes are not read.
template <class Index>
class NllKernel : public Kernel {
 public:
  explicit NllKernel(const NllPlan& plan) : p_(plan) {}
  void run(const KernelArgs& args) const override {
    const auto* scores = static_cast<const float*>(args.inputs[kScores]);
    const auto* targets = static_cast<const Index*>(args.inputs[kTargets]);
    auto* losses = static_cast<float*>(args.outputs[0]);
    double total = 0;
    double total_weight = 0;
    for (int64_t i = 0; i < p_.split.outer * p_.split.inner; ++i) {
      const auto target = static_cast<int64_t>(targets[i]);
      const bool counts = !p_.ignored || target != *p_.ignored;
      const double weight = counts ? weight_of(args, target) : 0;
      const double loss = counts ? -weight * score(scores, i, target) : 0;
      if (p_.reduced == Reduced::kNone) losses[i] = static_cast<float>(loss);
      total += loss;
      total_weight += weight;
    }
    if (p_.reduced == Reduced::kNone) return;
    *losses = static_cast<float>(p_.reduced == Reduced::kMean ? total / total_weight : total);
  }

 private:
  double weight_of(const KernelArgs& args, int64_t target) const {
    TREADLE_CHECK(target >= 0 && target < p_.split.size, kInvalidData, "target ", target, " of ",
                  p_.split.size, " classes");
    if (!p_.weighted) return 1;
    return static_cast<const float*>(args.inputs[kWeights])[target];
  }
  double score(const float* scores, int64_t i, int64_t target) const {
    const int64_t outer = i / p_.split.inner;
    return scores[(outer * p_.split.size + target) * p_.split.inner + i % p_.split.inner];
  }
  NllPlan p_;
};

Support supports_nll(const NodeSpec& spec) {
  if (spec.inputs[kScores].dtype != DType::kFloat) return Support::no("not float");
  const Dims& scores = spec.inputs[kScores].dims;
  Dims targets = scores;
  if (scores.size() < 2) return Support::no("no classes");
  targets.erase(targets.begin() + 1);
  if (spec.inputs[kTargets].dims != targets) return Support::no("targets of another shape");
  if (spec.has(kWeights) && spec.inputs[kWeights].dims != Dims{scores[1]})
    return Support::no("weights of another shape");
  return {};
}

Compiled compile_nll(const NodeSpec& spec, const CompileContext&) {
  const Attributes& a = spec.node->attributes;
  const std::string reduction = a.s("reduction", "mean");
  NllPlan plan;
  plan.split = split_axis(spec.inputs[kScores].dims, 1);
  plan.weighted = spec.has(kWeights);
  if (reduction != "mean") plan.reduced = reduction == "sum" ? Reduced::kSum : Reduced::kNone;
  if (a.has("ignore_index")) plan.ignored = a.i("ignore_index", 0);
  Compiled compiled;
  compiled.name = "native nll_loss";
  if (spec.inputs[kTargets].dtype == DType::kInt32) {
    compiled.kernel = std::make_unique<NllKernel<int32_t>>(plan);
  } else {
    compiled.kernel = std::make_unique<NllKernel<int64_t>>(plan);
  }
  return compiled;
}

}  // namespace

const Family kNativeNll{"native nll_loss", supports_nll, compile_nll};

}  // namespace treadle::cpu
