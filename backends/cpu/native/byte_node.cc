#include "backends/cpu/native/byte_node.h"

#include <algorithm>
#include <cmath>

#include "backends/cpu/layout.h"
#include "backends/cpu/quantized_product.h"
#include "graph/ops/quantize.h"
#include "graph/ops/quantized_inputs.h"

namespace treadle::cpu {
namespace {

using namespace quantized;

bool is_int8(const TensorSpec& spec) { return spec.dtype == DType::kInt8; }

bool of_the_run(const NodeSpec& spec, size_t input) {
  return spec.has(input) && spec.constant(input) == nullptr;
}

float scale_of(const NodeSpec& spec, size_t input) {
  return spec.constant(input)->data<float>()[0];
}

ByteLevels levels_around(const NodeSpec& spec, size_t zero) {
  const uint8_t flip = is_int8(spec.outputs[0]) ? uint8_t{0} : kFlip;
  return {.zero = static_cast<int16_t>(zero_point(spec, zero) - flip), .flip = flip};
}

// Y rounded, plus Z, in the levels of their sum: rounded in the same places as onnxruntime's
// QLinearAdd where Y is its first input, and so equal to the bit.
ByteLevels sum_levels(const NodeSpec& spec) {
  const DType dtype = spec.has(kYZero) ? spec.inputs[kYZero].dtype : DType::kUint8;
  const QuantRange range = quant_range(dtype);
  const auto y_zero = static_cast<float>(zero_point(spec, kYZero));
  ByteLevels levels = levels_around(spec, kSumZero);
  levels.low = static_cast<float>(range.low) - y_zero;
  levels.high = static_cast<float>(range.high) - y_zero;
  levels.product_zero = y_zero;
  levels.factor = scale_of(spec, kYScale) / scale_of(spec, kSumScale);
  levels.plus_factor = scale_of(spec, kZScale) / scale_of(spec, kSumScale);
  const auto z_zero = static_cast<float>(zero_point(spec, kZZero));
  levels.term = static_cast<float>(zero_point(spec, kSumZero)) -
                std::fma(levels.factor, y_zero, levels.plus_factor * z_zero);
  levels.zero = static_cast<int16_t>(-levels.flip);  // the term has the zero point
  return levels;
}

bool fits(const ByteLevels& l) {
  constexpr float kMost = 512, kGreatest = 1 << 30;
  return kMost * (std::abs(l.factor) + std::abs(l.plus_factor)) < kGreatest;
}

}  // namespace

ByteInput::ByteInput(const NodeSpec& spec)
    : flip_(is_int8(spec.inputs[kX]) ? kFlip : uint8_t{0}),
      zero_of_run_(of_the_run(spec, kXZero)),
      scale_of_run_(of_the_run(spec, kXScale)) {
  zero_ = zero_of_run_ ? 0 : zero_point(spec, kXZero);
}

const uint8_t* ByteInput::x(const KernelArgs& args) const {
  return static_cast<const uint8_t*>(args.inputs[kX]);
}

int32_t ByteInput::zero(const KernelArgs& args) const {
  if (!zero_of_run_) return constant_zero();
  const void* zero = args.inputs[kXZero];
  return flip_ +
         (flip_ != 0 ? *static_cast<const int8_t*>(zero) : *static_cast<const uint8_t*>(zero));
}

const float* ByteInput::scales(const KernelArgs& args, std::span<const float> scales,
                               float* memory) const {
  if (!scale_of_run_) return scales.data();
  const float scale = *static_cast<const float*>(args.inputs[kXScale]);
  std::ranges::transform(scales, memory, [scale](float x) { return x * scale; });
  return memory;
}

ByteOutput::ByteOutput(const NodeSpec& spec)
    : dtype_(spec.outputs[0].dtype),
      levels_(spec.has(kZ) ? sum_levels(spec) : levels_around(spec, kYZero)),
      adds_(spec.has(kZ)) {
  TREADLE_CHECK(fits(levels_), kUnsupported, "levels beyond what an integer holds");
}

void ByteOutput::place(const KernelArgs& args, int64_t at, ByteLevels& levels,
                       ByteBlock& block) const {
  block.y = static_cast<std::byte*>(args.outputs[0]) + byte_size(dtype_, at);
  if (dtype_ == DType::kFloat) return;
  levels = levels_;
  if (adds_) levels.plus = static_cast<const uint8_t*>(args.inputs[kZ]) + at;
  block.levels = &levels;
}

Compiled compiled_product(const NodeSpec& spec, std::unique_ptr<Kernel> kernel, std::string name,
                          size_t scratch_bytes, Layout layout) {
  Compiled compiled;
  compiled.scratch_bytes = scratch_bytes;
  compiled.kernel = std::move(kernel);
  compiled.name = std::move(name);
  compiled.reads.assign(spec.inputs.size(), false);
  compiled.reads[kX] = true;
  compiled.input_layouts.assign(spec.inputs.size(), kPlain);
  compiled.input_layouts[kX] = accept(spec.inputs[kX], layout);
  for (size_t i : {kXScale, kXZero}) {
    if (of_the_run(spec, i)) compiled.reads[i] = true;
  }
  if (spec.has(kZ)) {
    compiled.reads[kZ] = true;
    compiled.input_layouts[kZ] = accept(spec.inputs[kZ], layout);
    compiled.in_place = {{kZ}};
  }
  compiled.output_layouts = {canonical(spec.outputs[0].dims, layout)};
  return compiled;
}

}  // namespace treadle::cpu
