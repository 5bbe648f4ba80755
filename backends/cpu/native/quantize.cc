#include "backends/cpu/native/quantize.h"

#include <algorithm>
#include <cmath>

#include "backends/cpu/parallel.h"
#include "backends/cpu/simd/rows.h"
#include "backends/cpu/simd/tape.h"
#include "graph/ops/quantize.h"

namespace treadle::cpu {
namespace {

constexpr auto kChunk = static_cast<int64_t>(kTile);

// Outputs: the bytes, their scale and their zero point.
class DynamicQuantizeKernel : public Kernel {
 public:
  DynamicQuantizeKernel(int64_t count, int threads) : count_(count), threads_(threads) {}

  void run(const KernelArgs& args) const override {
    const auto* x = static_cast<const float*>(args.inputs[0]);
    const DynamicScale scale = dynamic_scale(extreme(RowOp::kMin, x), extreme(RowOp::kMax, x));
    if (args.outputs[1] != nullptr) *static_cast<float*>(args.outputs[1]) = scale.scale;
    if (args.outputs[2] != nullptr)
      *static_cast<uint8_t*>(args.outputs[2]) = static_cast<uint8_t>(scale.zero_point);
    auto* y = static_cast<uint8_t*>(args.outputs[0]);
    if (y == nullptr) return;
    const TapeInstr step{.op = TapeOp::kQuantizeUint8,
                         .out = 1,
                         .p = scale.scale,
                         .q = static_cast<float>(scale.zero_point)};
    parallel_for(threads_, ceil_div(count_, kChunk), kParallelGrain / kChunk,
                 [&](int64_t begin, int64_t end) {
                   alignas(64) float rounded[kTile];
                   for (int64_t i = begin * kChunk; i < std::min(end * kChunk, count_);
                        i += kChunk) {
                     const auto n = static_cast<size_t>(std::min(kChunk, count_ - i));
                     // Sources are never written.
                     float* const registers[] = {const_cast<float*>(x + i), rounded};
                     tape_(&step, 1, registers, n);
                     bytes_.narrow_uint8(rounded, y + i, n);
                   }
                 });
  }

 private:
  // Of the numbers among them.
  float extreme(RowOp op, const float* x) const {
    const float found = rows_.reduce(op, x, static_cast<size_t>(count_));
    if (!std::isnan(found)) return found;
    float best = 0;
    for (int64_t i = 0; i < count_; ++i)
      best = op == RowOp::kMin ? std::min(best, x[i]) : std::max(best, x[i]);
    return best;
  }

  int64_t count_;
  int threads_;
  TapeFn tape_ = tape_function();
  const RowFunctions& rows_ = row_functions();
  const ByteFunctions& bytes_ = byte_functions();
};

Support supports_dynamic_quantize(const NodeSpec& spec) {
  return element_count(spec.inputs[0].dims) == 0 ? Support::no("empty tensor") : Support{};
}

Compiled compile_dynamic_quantize(const NodeSpec& spec, const CompileContext& context) {
  Compiled compiled;
  compiled.name = "native dynamic_quantize";
  compiled.kernel =
      std::make_unique<DynamicQuantizeKernel>(element_count(spec.inputs[0].dims), context.threads);
  return compiled;
}

}  // namespace

const Family kNativeDynamicQuantize{"native dynamic_quantize", supports_dynamic_quantize,
                                    compile_dynamic_quantize};

}  // namespace treadle::cpu
