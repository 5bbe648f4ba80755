#include "backends/cpu/native/quantized_winograd.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "backends/cpu/native/byte_node.h"
#include "backends/cpu/native/winograd_tiling.h"
#include "backends/cpu/parallel.h"
#include "backends/cpu/quantized_product.h"
#include "backends/cpu/simd/byte_winograd.h"
#include "backends/cpu/simd/transpose.h"
#include "graph/base/lasting.h"
#include "graph/ops/quantized_inputs.h"

namespace treadle::cpu {
namespace {

using namespace quantized;

constexpr int64_t kElements = kTileElements, kOut = 2, kSide = 4, kTaps = 9;

// The windows' elements: for each a matrix [C, M], packed for simd/byte_winograd.h. Behind them the
// size of each channel's weights, as int32.
struct ByteWindows {
  std::shared_ptr<Buffer> packed;
  int64_t ins, outs;

  int64_t element_bytes() const { return ins * outs * static_cast<int64_t>(sizeof(int16_t)); }
  const std::byte* element(int64_t e) const { return packed->data() + e * element_bytes(); }
  const int32_t* sizes() const { return reinterpret_cast<const int32_t*>(element(kElements)); }
};

// Transforms the windows of an output channel.
class WindowTransform {
 public:
  explicit WindowTransform(int64_t ins)
      : ins_(ins),
        taps_(static_cast<size_t>(kTaps * ins)),
        columns_(static_cast<size_t>(3 * kSide * ins)) {}

  // w[ins][9] becomes elements[16][ins]; the sum of the weights' sizes.
  int32_t run(const int8_t* w, int16_t* elements) {
    int32_t size = 0;
    for (int64_t c = 0; c < ins_; ++c) {
      for (int64_t k = 0; k < kTaps; ++k, ++w) {
        taps_[static_cast<size_t>(k * ins_ + c)] = *w;
        size += std::abs(*w);
      }
    }
    for (int64_t j = 0; j < 3; ++j)
      transform(taps_.data() + j * ins_, 3, columns_.data() + j * kSide * ins_);
    for (int64_t i = 0; i < kSide; ++i)
      transform(columns_.data() + i * ins_, kSide, elements + i * kSide * ins_);
    return size;
  }

 private:
  // Twice one dimension: three rows, so many apart, become four.
  void transform(const int16_t* from, int64_t apart, int16_t* to) const {
    const int16_t *b = from + apart * ins_, *c = b + apart * ins_;
    for (int64_t i = 0; i < ins_; ++i) {
      const int ends = from[i] + c[i];
      to[i] = static_cast<int16_t>(2 * from[i]);
      to[ins_ + i] = static_cast<int16_t>(ends + b[i]);
      to[2 * ins_ + i] = static_cast<int16_t>(ends - b[i]);
      to[3 * ins_ + i] = static_cast<int16_t>(2 * c[i]);
    }
  }

  int64_t ins_;
  std::vector<int16_t> taps_, columns_;
};

std::shared_ptr<Buffer> pack_windows(const int8_t* w, const ByteWindows& m, int64_t block) {
  auto buffer = allocate_lasting(static_cast<size_t>(checked_add(
      checked_mul(kElements, m.element_bytes()), m.outs * static_cast<int64_t>(sizeof(int32_t)))));
  auto* sizes = reinterpret_cast<int32_t*>(buffer->data() + kElements * m.element_bytes());
  const int64_t words = m.ins / 2;
  const auto step = static_cast<size_t>(words);
  std::vector<uint32_t> rows(static_cast<size_t>(block * kElements * words));  // [M, 16, C]
  WindowTransform windows(m.ins);
  for (int64_t column = 0; column < m.outs; column += block) {
    for (int64_t i = 0; i < block; ++i, w += m.ins * kTaps) {
      auto* row = reinterpret_cast<int16_t*>(rows.data() + i * kElements * words);
      sizes[column + i] = windows.run(w, row);
    }
    for (int64_t e = 0; e < kElements; ++e) {
      std::byte* to = buffer->data() + e * m.element_bytes() + column * m.ins * 2;
      transpose_function()({.from = rows.data() + e * words,
                            .from_step = static_cast<size_t>(kElements) * step,
                            .to = reinterpret_cast<uint32_t*>(to),
                            .to_step = static_cast<size_t>(block),
                            .rows = static_cast<size_t>(block),
                            .columns = step});
    }
  }
  return buffer;
}

class QuantizedWinogradKernel : public Kernel {
 public:
  struct Scales {
    std::vector<float> scales, biases;  // of each output channel
  };
  QuantizedWinogradKernel(const ConvParams& conv, ByteWindows windows, Scales scales,
                          ByteInput input, ByteOutput output, int threads)
      : conv_(conv),
        tiling_(tiling_of(conv, kOut)),
        windows_(std::move(windows)),
        scales_(std::move(scales)),
        input_(input),
        output_(output),
        threads_(threads) {
    blocks_ = blocks_of(tiling_, static_cast<int64_t>(functions_.rows), tile_bytes(),
                        kElements * windows_.element_bytes(), threads);
  }

  size_t scratch_bytes() const {
    const int64_t scales = input_.scale_of_run() ? windows_.outs * 4 : 0;
    return static_cast<size_t>(
        checked_add(aligned(scales), checked_mul(blocks_.slots, slot_bytes())));
  }

  void run(const KernelArgs& args) const override {
    auto* scratch = static_cast<std::byte*>(args.scratch);
    ByteBlock block{};
    block.scales = input_.scales(args, scales_.scales, reinterpret_cast<float*>(scratch));
    block.biases = scales_.biases.data();
    block.columns = static_cast<size_t>(windows_.outs);
    block.y_stride = block.columns;
    if (input_.scale_of_run()) scratch += aligned(windows_.outs * 4);
    parallel_slots(threads_, blocks_.slots, blocks_.count,
                   [&](int64_t slot, int64_t begin, int64_t end) {
                     for (int64_t i = begin; i < end; ++i)
                       run_block(args, block, i, scratch + slot * slot_bytes());
                   });
  }

 private:
  static constexpr int64_t kLine = 64;  // bytes

  static int64_t aligned(int64_t bytes) { return ceil_div(bytes, kLine) * kLine; }
  int64_t in_bytes() const { return kElements * windows_.ins * 2; }    // of a tile
  int64_t out_bytes() const { return kElements * windows_.outs * 4; }  // of a tile
  int64_t tile_bytes() const { return in_bytes() + out_bytes(); }
  int64_t slot_bytes() const { return aligned(checked_mul(blocks_.most, tile_bytes())); }

  struct Work {
    int64_t first;  // tile
    int64_t count;
    int16_t* in;   // [element, tile, channel]
    int32_t* out;  // the same
  };

  void run_block(const KernelArgs& args, const ByteBlock& block, int64_t index,
                 std::byte* memory) const {
    const int64_t first = tiling_.count * index / blocks_.count;
    const int64_t last = tiling_.count * (index + 1) / blocks_.count;
    const Work work{first, last - first,
                    reinterpret_cast<int16_t*>(memory + blocks_.most * out_bytes()),
                    reinterpret_cast<int32_t*>(memory)};
    for (int64_t i = 0; i < work.count; ++i) transform_input(args, work, i);
    for (int64_t e = 0; e < kElements; ++e) multiply(work, e);
    for (int64_t i = 0; i < work.count; ++i) transform_output(args, work, i, block);
  }

  void transform_input(const KernelArgs& args, const Work& work, int64_t i) const {
    const Tiling::Place at = tiling_.place(work.first + i);
    const uint8_t* x =
        input_.x(args) + at.image * conv_.input[0] * conv_.input[1] * conv_.in_channels;
    const uint8_t* pixels[kElements];
    for (int64_t e = 0; e < kElements; ++e) {
      const int64_t row = at.row - conv_.pads_begin[0] + e / kSide;
      const int64_t column = at.column - conv_.pads_begin[1] + e % kSide;
      const bool inside =
          row >= 0 && row < conv_.input[0] && column >= 0 && column < conv_.input[1];
      pixels[e] = inside ? x + (row * conv_.input[1] + column) * conv_.in_channels : nullptr;
    }
    functions_.input({.pixels = pixels,
                      .channels = static_cast<size_t>(windows_.ins),
                      .flip = input_.flip(),
                      .zero = static_cast<int16_t>(input_.zero(args)),
                      .out = work.in + i * windows_.ins,
                      .stride = static_cast<size_t>(work.count * windows_.ins)});
  }

  void multiply(const Work& work, int64_t e) const {
    functions_.multiply({.a = work.in + e * work.count * windows_.ins,
                         .a_stride = static_cast<size_t>(windows_.ins),
                         .words = static_cast<size_t>(windows_.ins / 2),
                         .weights = windows_.element(e),
                         .rows = static_cast<size_t>(work.count),
                         .columns = static_cast<size_t>(windows_.outs),
                         .y = work.out + e * work.count * windows_.outs,
                         .y_stride = static_cast<size_t>(windows_.outs)});
  }

  void transform_output(const KernelArgs& args, const Work& work, int64_t i,
                        ByteBlock block) const {
    const Tiling::Place at = tiling_.place(work.first + i);
    const int64_t pixel = (at.image * conv_.output[0] + at.row) * conv_.output[1] + at.column;
    ByteLevels levels;
    output_.place(args, pixel * windows_.outs, levels, block);
    functions_.output(
        {.in = work.out + i * windows_.outs,
         .stride = static_cast<size_t>(work.count * windows_.outs),
         .block = &block,
         .row_stride = static_cast<size_t>(conv_.output[1] * windows_.outs),
         .tile_rows = static_cast<size_t>(std::min(kOut, conv_.output[0] - at.row)),
         .tile_columns = static_cast<size_t>(std::min(kOut, conv_.output[1] - at.column))});
  }

  ConvParams conv_;
  Tiling tiling_;
  ByteWindows windows_;
  Scales scales_;
  ByteInput input_;
  ByteOutput output_;
  int threads_;
  ByteWinogradFunctions functions_ = byte_winograd_functions();
  TileBlocks blocks_;
};

ConvParams params_of(const NodeSpec& spec) {
  return conv_params(spec.node->attributes, spec.inputs[kX].dims, spec.inputs[kW].dims);
}

Support supports_winograd(const NodeSpec& spec) {
  if (Support s = supports_quantized_conv(spec); !s.ok) return s;
  const ByteWinogradFunctions functions = byte_winograd_functions();
  if (functions.lanes == 0) return Support::no("not AVX2 without VNNI");
  if (spec.inputs[kX].dims.size() != 4) return Support::no("not two-dimensional");
  const ConvParams p = params_of(spec);
  if (Support s = supports_tiling(p); !s.ok) return s;
  const auto lanes = static_cast<int64_t>(functions.lanes);
  if (p.in_channels < lanes || p.in_channels % 2 != 0)
    return Support::no(cat("channels that are odd or fewer than ", lanes));
  // 4 · the sums stay within 32 bits.
  constexpr int64_t kMost = (int64_t{1} << 31) / (4 * kTaps * 255 * 128);
  return p.in_channels < kMost ? Support{} : Support::no("sums beyond 32 bits");
}

// Products and the reading of packed weights, in multiplications of a weight each.
bool winograd_pays(const NodeSpec& spec) {
  constexpr int64_t kFewChannels = 16, kReadWeight = 5;
  const ConvParams p = params_of(spec);
  const int64_t tiles = tiling_of(p, kOut).count;
  const int64_t pixels = p.batch * p.output[0] * p.output[1];
  return std::min(p.in_channels, p.out_channels) >= kFewChannels &&
         kElements * (tiles + kReadWeight) * 4 <= kTaps * (pixels + kReadWeight) * 3;
}

Compiled compile_winograd(const NodeSpec& spec, const CompileContext& context) {
  TREADLE_CHECK(context.winograd, kUnsupported, "switched off");
  const ConvParams p = params_of(spec);
  const auto block = static_cast<int64_t>(byte_winograd_functions().block);
  ByteWindows windows{nullptr, p.in_channels, p.out_channels};
  windows.packed = packed(context, *spec.constant(kW), cat("byte windows in blocks of ", block),
                          [&](const Tensor& plain) {
                            const auto* w = reinterpret_cast<const int8_t*>(plain.raw());
                            return pack_windows(w, windows, block);
                          });
  const ChannelScales of_channels(spec);
  QuantizedWinogradKernel::Scales scales;
  for (size_t channel = 0; channel < static_cast<size_t>(p.out_channels); ++channel) {
    of_channels.check(channel, windows.sizes()[channel]);
    scales.scales.push_back(of_channels.scale(channel));
    scales.biases.push_back(of_channels.bias(channel));
  }
  auto kernel = std::make_unique<QuantizedWinogradKernel>(
      p, std::move(windows), std::move(scales), ByteInput(spec), ByteOutput(spec), context.threads);
  const size_t scratch = kernel->scratch_bytes();
  return compiled_product(spec, std::move(kernel), "native quantized winograd", scratch,
                          kChannelsLast);
}

}  // namespace

const Family kQuantizedWinograd = {"native quantized winograd", supports_winograd, compile_winograd,
                                   winograd_pays};

}  // namespace treadle::cpu
