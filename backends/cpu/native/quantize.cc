#include "backends/cpu/native/quantize.h"

#include <algorithm>
#include <mutex>

#include "backends/cpu/parallel.h"
#include "backends/cpu/simd/quantize.h"
#include "backends/cpu/simd/tape.h"
#include "graph/ops/quantize.h"

namespace treadle::cpu {
namespace {

// Outputs: the bytes, their scale and their zero point.
class DynamicQuantizeKernel : public Kernel {
 public:
  DynamicQuantizeKernel(int64_t count, int threads) : count_(count), threads_(threads) {}

  void run(const KernelArgs& args) const override {
    const auto* x = static_cast<const float*>(args.inputs[0]);
    const Extremes found = extremes(x);
    const DynamicScale scale = dynamic_scale(found.low, found.high);
    if (args.outputs[1] != nullptr) *static_cast<float*>(args.outputs[1]) = scale.scale;
    if (args.outputs[2] != nullptr)
      *static_cast<uint8_t*>(args.outputs[2]) = static_cast<uint8_t>(scale.zero_point);
    auto* y = static_cast<uint8_t*>(args.outputs[0]);
    if (y == nullptr) return;
    const bool plain = found.finite && scale.scale > kLeastScale && scale.scale < 1 / kLeastScale;
    in_chunks([&](int64_t first, int64_t n) {
      const auto size = static_cast<size_t>(n);
      if (plain) {
        functions_.to_uint8(x + first, y + first, size, scale.scale,
                            static_cast<int32_t>(scale.zero_point));
      } else {
        quantize_any(x + first, y + first, size, scale);
      }
    });
  }

 private:
  // f(first element, how many).
  template <class F>
  void in_chunks(const F& f) const {
    parallel_for(threads_, count_, kParallelGrain,
                 [&](int64_t begin, int64_t end) { f(begin, end - begin); });
  }

  Extremes extremes(const float* x) const {
    Extremes all;
    std::mutex mutex;
    in_chunks([&](int64_t first, int64_t n) {
      const Extremes part = functions_.extremes(x + first, static_cast<size_t>(n));
      const std::lock_guard<std::mutex> lock(mutex);
      all.low = std::min(all.low, part.low);
      all.high = std::max(all.high, part.high);
      all.finite = all.finite && part.finite;
    });
    return all;
  }

  // Where there is something that is not finite, or a scale hardly so.
  void quantize_any(const float* x, uint8_t* y, size_t n, const DynamicScale& scale) const {
    const TapeInstr step{.op = TapeOp::kQuantizeUint8,
                         .out = 1,
                         .p = scale.scale,
                         .q = static_cast<float>(scale.zero_point)};
    alignas(64) float rounded[kTile];
    for (size_t i = 0; i < n; i += kTile) {
      const size_t some = std::min(kTile, n - i);
      // Sources are never written.
      float* const registers[] = {const_cast<float*>(x + i), rounded};
      tape_(&step, 1, registers, some);
      bytes_.narrow_uint8(rounded, y + i, some);
    }
  }

  int64_t count_;
  int threads_;
  TapeFn tape_ = tape_function();
  const QuantizeFunctions& functions_ = quantize_functions();
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
