#include "backends/cpu/native/quantized.h"

#include <algorithm>
#include <cmath>

#include "backends/cpu/layout.h"
#include "backends/cpu/native/activation.h"
#include "backends/cpu/native/byte_weights.h"
#include "backends/cpu/native/window_parts.h"
#include "backends/cpu/parallel.h"
#include "backends/cpu/quantized_product.h"
#include "graph/ops/quantize.h"
#include "graph/ops/quantized_inputs.h"

namespace treadle::cpu {
namespace {

using namespace quantized;

// One of each column of ByteWeights.
struct Columns {
  std::vector<int32_t> starts;  // empty: of the run
  std::vector<float> scales, biases;
};

// How rows and columns are shared out.
struct Pieces {
  int64_t down = 1;    // of the rows
  int64_t across = 1;  // of the columns
  int64_t columns = 1;
  int64_t rows = 1;  // at most
};

class QuantizedKernel : public Kernel {
 public:
  struct Output {
    DType dtype;
    ByteLevels levels;  // of bytes
    bool adds;
  };
  QuantizedKernel(const ConvParams& p, ByteWeights weights, Columns columns, Output output,
                  std::optional<Activation> activation, int threads)
      : windows_(p),
        weights_(std::move(weights)),
        columns_(std::move(columns)),
        output_(output),
        activation_(std::move(activation)),
        groups_(p.group),
        outputs_(p.group_outputs()),
        threads_(threads) {
    share_out();
  }
  void set_input(bool is_signed, int32_t zero, bool zero_input, bool scale_input) {
    flip_ = is_signed ? kFlip : uint8_t{0};
    zero_ = zero;
    zero_input_ = zero_input;
    scale_input_ = scale_input;
  }

  size_t scratch_bytes() const {
    return static_cast<size_t>(
        checked_add(checked_mul(slots_, slot_bytes_), line_bytes() + run_bytes()));
  }

  void run(const KernelArgs& args) const override {
    auto* scratch = static_cast<std::byte*>(args.scratch);
    auto* zeros = reinterpret_cast<uint8_t*>(scratch);
    const int32_t zero = zero_input_
                             ? (flip_ != 0 ? *static_cast<const int8_t*>(args.inputs[kXZero])
                                           : *static_cast<const uint8_t*>(args.inputs[kXZero]))
                             : zero_;
    std::fill_n(zeros, windows_.bytes(), static_cast<uint8_t>(zero));
    ByteBlock block = block_of(args, zero + flip_, scratch + line_bytes());
    if (zero + flip_ == 0) block.zeros = zeros;
    std::byte* slots = scratch + line_bytes() + run_bytes();
    const WindowParts::Source source{static_cast<const uint8_t*>(args.inputs[kX]), 0, zeros};
    parallel_for(threads_, slots_, 1, [&](int64_t begin, int64_t end) {
      for (int64_t slot = begin; slot < end; ++slot) {
        const int64_t last = (slot + 1) * tasks() / slots_;
        for (int64_t t = slot * tasks() / slots_; t < last; ++t)
          run_piece(args, block, source, t, slots + slot * slot_bytes_);
      }
    });
  }

 private:
  static constexpr int64_t kLine = 64;  // bytes
  static constexpr int64_t kRowsAtOnce = 48, kMostPieceBytes = 1 << 17;
  static constexpr int64_t kMostWeightBytes = 1 << 17;

  static int64_t aligned(int64_t bytes) { return ceil_div(bytes, kLine) * kLine; }
  int64_t tasks() const { return groups_ * pieces_.across * pieces_.down; }
  int64_t line_bytes() const { return aligned(windows_.bytes()); }
  int64_t all() const { return groups_ * weights_.padded(); }
  // What belongs to columns and is of the run.
  int64_t run_bytes() const {
    const int64_t floats = scale_input_ ? all() : 0, integers = zero_input_ ? all() : 0;
    return aligned(floats * 4) + aligned(integers * 4);
  }

  // Weights of as many columns as L2 keeps meet all rows, as many of them at a time as their parts
  // stay in L1 with; few rows share out their columns.
  void share_out() {
    const ByteForm form = byte_form();
    const auto most = static_cast<int64_t>(form.rows), block = static_cast<int64_t>(form.block);
    const int64_t rows = windows_.rows();
    const int64_t depth = windows_.count() * windows_.bytes() * (form.pairs ? 2 : 1);
    const int64_t row_bytes =
        windows_.count() * static_cast<int64_t>(sizeof(void*)) + windows_.copied();
    const int64_t at_once = std::clamp(kMostPieceBytes / row_bytes, most, kRowsAtOnce);
    pieces_.down = std::max<int64_t>(1, (rows + at_once / 2) / at_once);
    pieces_.across = ceil_div(checked_mul(outputs_, depth), kMostWeightBytes);
    if (pieces_.across > 1 || rows < threads_ * kRowsAtOnce) {
      pieces_.across = ceil_div(pieces_.across, threads_) * threads_;
    } else if (pieces_.down > 1) {
      pieces_.down = std::min(rows, ceil_div(pieces_.down, threads_) * threads_);
    }
    pieces_.rows = ceil_div(ceil_div(rows, pieces_.down), most) * most;
    pieces_.down = ceil_div(rows, pieces_.rows);
    pieces_.columns = ceil_div(ceil_div(outputs_, pieces_.across), block) * block;
    pieces_.across = ceil_div(outputs_, pieces_.columns);
    slot_bytes_ = aligned(checked_mul(pieces_.rows, row_bytes));
    const double work = static_cast<double>(rows) * static_cast<double>(groups_ * outputs_ * depth);
    constexpr double kMultiplications = 64.0 * kParallelGrain;  // that are worth a thread
    slots_ = std::clamp<int64_t>(static_cast<int64_t>(std::min(work / kMultiplications, 1e6)), 1,
                                 std::min<int64_t>(threads_, tasks()));
  }

  // All rows and columns.
  ByteBlock block_of(const KernelArgs& args, int32_t zero, std::byte* scratch) const {
    ByteBlock block{};
    block.count = static_cast<size_t>(windows_.count());
    block.quads = static_cast<size_t>(windows_.quads());
    block.flip = flip_ != 0;
    block.starts = columns_.starts.data();
    block.scales = columns_.scales.data();
    block.biases = columns_.biases.data();
    block.y_stride = static_cast<size_t>(groups_ * outputs_);
    if (scale_input_) {
      const float scale = *static_cast<const float*>(args.inputs[kXScale]);
      auto* scales = reinterpret_cast<float*>(scratch);
      std::ranges::transform(columns_.scales, scales, [scale](float x) { return x * scale; });
      block.scales = scales;
      scratch += aligned(all() * 4);
    }
    if (zero_input_) {
      auto* starts = reinterpret_cast<int32_t*>(scratch);
      std::ranges::transform(weights_.sums(), starts, [zero](int32_t x) { return -x * zero; });
      block.starts = starts;
    }
    return block;
  }

  void run_piece(const KernelArgs& args, ByteBlock block, WindowParts::Source source, int64_t task,
                 std::byte* slot) const {
    const int64_t piece = task % pieces_.down;
    const int64_t column = task / pieces_.down % pieces_.across * pieces_.columns;
    source.group = task / pieces_.down / pieces_.across;
    const int64_t first = pieces_.rows * piece;
    const int64_t rows = std::min(pieces_.rows, windows_.rows() - first);
    auto* parts = reinterpret_cast<const uint8_t**>(slot);
    windows_.find(source, first, rows, parts,
                  reinterpret_cast<uint8_t*>(parts + pieces_.rows * windows_.count()));
    block.parts = parts;
    block.rows = static_cast<size_t>(rows);
    block.columns = static_cast<size_t>(std::min(pieces_.columns, outputs_ - column));
    block.weights = weights_.at(source.group, column);
    const int64_t packed = source.group * weights_.padded() + column;
    block.starts += packed;
    block.scales += packed;
    block.biases += packed;
    const int64_t at = first * groups_ * outputs_ + source.group * outputs_ + column;
    ByteLevels levels = output_.levels;
    if (output_.dtype == DType::kFloat) {
      block.y = static_cast<float*>(args.outputs[0]) + at;
    } else {
      block.y = static_cast<uint8_t*>(args.outputs[0]) + at;
      if (output_.adds) levels.plus = static_cast<const uint8_t*>(args.inputs[kZ]) + at;
      block.levels = &levels;
    }
    function_(block);
    if (activation_)
      activation_->apply(static_cast<float*>(block.y), block.rows, block.columns, block.y_stride);
  }

  WindowParts windows_;
  ByteWeights weights_;
  Columns columns_;
  Output output_;
  std::optional<Activation> activation_;  // of floats
  int64_t groups_, outputs_;              // outputs of a group
  int threads_;
  ByteProductFn function_ = byte_product_function();
  Pieces pieces_;
  int64_t slots_ = 1, slot_bytes_ = 0;
  uint8_t flip_ = 0;
  int32_t zero_ = 0;
  bool zero_input_ = false, scale_input_ = false;
};

bool is_int8(const TensorSpec& spec) { return spec.dtype == DType::kInt8; }

float scale_of(const NodeSpec& spec, size_t input) {
  return spec.constant(input)->data<float>()[0];
}

ByteLevels levels_around(const NodeSpec& spec, size_t zero) {
  const uint8_t flip = is_int8(spec.outputs[0]) ? uint8_t{0} : kFlip;
  return {.zero = static_cast<int16_t>(zero_point(spec, zero) - flip), .flip = flip};
}

// Y rounded, plus Z, in the levels of their sum.
ByteLevels sum_levels(const NodeSpec& spec) {
  const DType dtype = spec.has(kYZero) ? spec.inputs[kYZero].dtype : DType::kUint8;
  const QuantRange range = quant_range(dtype);
  const auto y_zero = static_cast<float>(zero_point(spec, kYZero));
  const float z_factor = scale_of(spec, kZScale) / scale_of(spec, kSumScale);
  ByteLevels levels = levels_around(spec, kSumZero);
  levels.low = static_cast<float>(range.low) - y_zero;
  levels.high = static_cast<float>(range.high) - y_zero;
  levels.factor = scale_of(spec, kYScale) / scale_of(spec, kSumScale);
  levels.plus_factor = z_factor;
  levels.term = -z_factor * static_cast<float>(zero_point(spec, kZZero) - levels.flip);
  return levels;
}

bool fits(const ByteLevels& l) {
  constexpr float kMost = 512, kGreatest = 1 << 30;
  return kMost * (std::abs(l.factor) + std::abs(l.plus_factor)) < kGreatest;
}

QuantizedKernel::Output output_of(const NodeSpec& spec) {
  const bool adds = spec.has(kZ);
  return {spec.outputs[0].dtype, adds ? sum_levels(spec) : levels_around(spec, kYZero), adds};
}

Columns columns_of(const NodeSpec& spec, const ByteWeights& weights, const ConvParams& p,
                   int32_t zero, bool zero_input) {
  const ChannelScales scales(spec);
  const auto padded = static_cast<size_t>(weights.padded());
  const auto outputs = static_cast<size_t>(p.group_outputs());
  const size_t all = weights.sums().size();
  Columns c{std::vector<int32_t>(zero_input ? 0 : all), std::vector<float>(all),
            std::vector<float>(all)};
  for (size_t channel = 0; channel < outputs * static_cast<size_t>(p.group); ++channel) {
    const size_t at = channel / outputs * padded + channel % outputs;
    scales.check(channel, weights.sizes()[at]);
    c.scales[at] = scales.scale(channel);
    c.biases[at] = scales.bias(channel);
    if (!zero_input) c.starts[at] = -weights.sums()[at] * zero;
  }
  return c;
}

bool of_the_run(const NodeSpec& spec, size_t input) {
  return spec.has(input) && spec.constant(input) == nullptr;
}

Compiled compile(const NodeSpec& spec, const CompileContext& context, const ConvParams& p,
                 const ByteWeightSource& source, Layout layout) {
  const QuantizedKernel::Output output = output_of(spec);
  TREADLE_CHECK(fits(output.levels), kUnsupported, "levels beyond what an integer holds");
  const bool zero_input = of_the_run(spec, kXZero), is_signed = is_int8(spec.inputs[kX]);
  const int32_t zero = zero_input ? 0 : zero_point(spec, kXZero);
  ByteWeights weights(*spec.constant(kW), source, context);
  Columns columns = columns_of(spec, weights, p, zero + (is_signed ? kFlip : 0), zero_input);
  auto kernel = std::make_unique<QuantizedKernel>(p, std::move(weights), std::move(columns), output,
                                                  Activation::of(*spec.node), context.threads);
  kernel->set_input(is_signed, zero, zero_input, of_the_run(spec, kXScale));
  Compiled compiled;
  compiled.scratch_bytes = kernel->scratch_bytes();
  compiled.kernel = std::move(kernel);
  compiled.name = "native quantized";
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

// Sums of so many products stay within 32 bits.
Support supports_depth(int64_t depth) {
  constexpr int64_t kMost = (int64_t{1} << 31) / (255 * 128);
  if (byte_form().lanes == 0) return Support::no("no vectors");
  return depth < kMost ? Support{} : Support::no("sums beyond 32 bits");
}

// ---- Convolutions

Support supports_conv(const NodeSpec& spec) {
  if (Support s = supports_quantized_conv(spec); !s.ok) return s;
  const Dims& w = spec.inputs[kW].dims;
  return supports_depth(element_count(w) / w[0]);
}

Compiled compile_conv(const NodeSpec& spec, const CompileContext& context) {
  const Dims& w = spec.inputs[kW].dims;
  const ConvParams p = conv_params(spec.node->attributes, spec.inputs[kX].dims, w);
  const int64_t taps = element_count(w) / (w[0] * w[1]);
  const ByteWeightSource source{.groups = p.group,
                                .columns = p.group_outputs(),
                                .channels = p.group_inputs(),
                                .taps = taps,
                                .part_taps = WindowParts(p).taps(),
                                .column_step = p.group_inputs() * taps,
                                .channel_step = taps};
  return compile(spec, context, p, source, kChannelsLast);
}

// ---- Matrix products: their rows are pixels

bool turned(const NodeSpec& spec) { return spec.node->attributes.i("transB", 0) != 0; }

ConvParams product_of(const NodeSpec& spec) {
  const Dims& w = spec.inputs[kW].dims;
  ConvParams p;
  p.in_channels = w[turned(spec) ? 1 : 0];
  p.out_channels = w[turned(spec) ? 0 : 1];
  p.batch = element_count(spec.outputs[0].dims) / p.out_channels;
  return p;
}

Support supports_matmul(const NodeSpec& spec) {
  if (Support s = supports_quantized_product(spec); !s.ok) return s;
  const ConvParams p = product_of(spec);
  const int64_t scales = spec.constant(kWScale)->count();
  if (scales != 1 && scales != p.out_channels)
    return Support::no("scales that are not one a column");
  if (spec.has(kB) && spec.constant(kB)->count() != p.out_channels)
    return Support::no("bias that is not one a column");
  if (spec.has(kYScale) && !epilogue_of(*spec.node).activation.empty())
    return Support::no("an activation before levels");
  if (Support s = supports_activation(*spec.node); !s.ok) return s;
  return supports_depth(p.in_channels);
}

Compiled compile_matmul(const NodeSpec& spec, const CompileContext& context) {
  const ConvParams p = product_of(spec);
  const ByteWeightSource source{.columns = p.out_channels,
                                .channels = p.in_channels,
                                .column_step = turned(spec) ? p.in_channels : 1,
                                .channel_step = turned(spec) ? 1 : p.out_channels};
  return compile(spec, context, p, source, kPlain);
}

}  // namespace

const Family kQuantizedConv = {"native quantized conv", supports_conv, compile_conv};
const Family kQuantizedMatMul = {"native quantized matmul", supports_matmul, compile_matmul};

}  // namespace treadle::cpu
