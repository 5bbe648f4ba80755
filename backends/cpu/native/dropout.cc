#include "backends/cpu/native/dropout.h"

#include <cmath>
#include <cstring>

#include "backends/cpu/parallel.h"
#include "backends/cpu/simd/dropout.h"
#include "backends/cpu/simd/simd.h"

namespace treadle::cpu {
namespace {

constexpr size_t kDraw = 0, kRatio = 2;
// Elements that a thread takes at once: whole vectors of any instruction set.
constexpr int64_t kBlock = 1024;

double ratio_of(const NodeSpec& spec) {
  return spec.has(kRatio) && spec.constant(kRatio)->count() == 1
             ? spec.constant(kRatio)->to_doubles()[0]
             : 0.5;
}

class MaskKernel : public Kernel {
 public:
  MaskKernel(const DropoutDraw& draw, int64_t count, int threads)
      : draw_(draw), count_(count), threads_(threads) {}
  void run(const KernelArgs& args) const override {
    DropoutDraw draw = draw_;
    std::memcpy(&draw.draw, args.inputs[kDraw], sizeof draw.draw);
    auto* mask = static_cast<float*>(args.outputs[0]);
    parallel_for(threads_, ceil_div(count_, kBlock), 16, [&](int64_t begin, int64_t end) {
      const int64_t from = begin * kBlock;
      draw_dropout_mask(draw, static_cast<uint64_t>(from / 4), mask + from,
                        static_cast<size_t>(std::min(end * kBlock, count_) - from));
    });
  }

 private:
  DropoutDraw draw_;
  int64_t count_;
  int threads_;
};

Support supports_mask(const NodeSpec& spec) {
  if (spec.outputs[0].dtype != DType::kFloat) return Support::no("not float");
  if (spec.has(kRatio) && spec.constant(kRatio) == nullptr) return Support::no("ratio of the run");
  const double ratio = ratio_of(spec);
  if (!(ratio >= 0 && ratio < 1)) return Support::no(cat("a ratio of ", ratio));
  return {};
}

Compiled compile_mask(const NodeSpec& spec, const CompileContext& context) {
  const double ratio = ratio_of(spec);
  const DropoutDraw draw{.key = static_cast<uint64_t>(spec.node->attributes.i("key", 0)),
                         .draw = 0,
                         .bound = static_cast<uint32_t>(std::ldexp(ratio, 32)),
                         .kept = static_cast<float>(1 / (1 - ratio))};
  Compiled compiled;
  compiled.name = "native dropout_mask";
  compiled.kernel =
      std::make_unique<MaskKernel>(draw, element_count(spec.outputs[0].dims), context.threads);
  compiled.reads.assign(spec.inputs.size(), false);
  compiled.reads[kDraw] = true;
  return compiled;
}

}  // namespace

const Family kNativeDropoutMask{"native dropout_mask", supports_mask, compile_mask};

}  // namespace treadle::cpu
