#include "backends/cpu/native/quantized_winograd.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>

#include "backends/cpu/native/byte_node.h"
#include "backends/cpu/native/lines.h"
#include "backends/cpu/native/winograd_tiling.h"
#include "backends/cpu/parallel.h"
#include "backends/cpu/quantized_product.h"
#include "backends/cpu/simd/byte_product.h"
#include "backends/cpu/simd/byte_winograd.h"
#include "backends/cpu/simd/transpose.h"
#include "graph/base/lasting.h"
#include "graph/ops/quantized_inputs.h"

namespace treadle::cpu {
namespace {

using namespace quantized;

constexpr int64_t kTaps = 9;
constexpr size_t kMostElements = 36;

// The windows' elements: for each a matrix [C, M], packed for simd/byte_winograd.h, with zeros
// beyond the last output. Behind them the size of each channel's weights, as int32.
struct ByteWindows {
  std::shared_ptr<Buffer> packed;
  int64_t elements, ins, outs;  // outs: in whole blocks

  int64_t element_bytes() const { return ins * outs * static_cast<int64_t>(sizeof(int16_t)); }
  const std::byte* element(int64_t e) const { return packed->data() + e * element_bytes(); }
  const int32_t* sizes() const { return reinterpret_cast<const int32_t*>(element(elements)); }
};

// Transforms the windows of an output channel.
class WindowTransform {
 public:
  WindowTransform(const WindowFactors* factors, int64_t side, int64_t ins)
      : factors_(factors),
        side_(side),
        ins_(ins),
        taps_(static_cast<size_t>(kTaps * ins)),
        columns_(static_cast<size_t>(3 * side * ins)) {}

  // w[ins][9] becomes elements[side²][ins]; the sum of the weights' sizes.
  int32_t run(const int8_t* w, int16_t* elements) {
    int32_t size = 0;
    for (int64_t c = 0; c < ins_; ++c) {
      for (int64_t k = 0; k < kTaps; ++k, ++w) {
        taps_[static_cast<size_t>(k * ins_ + c)] = *w;
        size += std::abs(*w);
      }
    }
    for (int64_t j = 0; j < 3; ++j)
      transform(taps_.data() + j * ins_, 3, columns_.data() + j * side_ * ins_);
    for (int64_t i = 0; i < side_; ++i)
      transform(columns_.data() + i * ins_, side_, elements + i * side_ * ins_);
    return size;
  }

 private:
  // One dimension: three rows, so many apart, become as many as a side.
  void transform(const int16_t* from, int64_t apart, int16_t* to) const {
    const int16_t *b = from + apart * ins_, *c = b + apart * ins_;
    for (int64_t i = 0; i < side_; ++i) {
      const auto [f, g, h] = factors_[i];
      for (int64_t k = 0; k < ins_; ++k, ++to)
        *to = static_cast<int16_t>(f * from[k] + g * b[k] + h * c[k]);
    }
  }

  const WindowFactors* factors_;
  int64_t side_, ins_;
  std::vector<int16_t> taps_, columns_;
};

// w[outputs, C, 9]
std::shared_ptr<Buffer> pack_windows(const int8_t* w, int64_t outputs, const ByteWindows& m,
                                     const WindowFactors* factors, int64_t side, int64_t block) {
  auto buffer = allocate_lasting(static_cast<size_t>(checked_add(
      checked_mul(m.elements, m.element_bytes()), m.outs * static_cast<int64_t>(sizeof(int32_t)))));
  auto* sizes = reinterpret_cast<int32_t*>(buffer->data() + m.elements * m.element_bytes());
  const int64_t row = m.elements * m.ins;
  std::vector<int16_t> rows(static_cast<size_t>(block * row));  // [M, element, C]
  const auto* words = reinterpret_cast<const uint32_t*>(rows.data());
  WindowTransform windows(factors, side, m.ins);
  for (int64_t column = 0; column < m.outs; column += block) {
    const int64_t here = std::min(block, outputs - column);
    for (int64_t i = 0; i < here; ++i)
      sizes[column + i] = windows.run(w + (column + i) * m.ins * kTaps, rows.data() + i * row);
    std::fill(rows.begin() + here * row, rows.end(), int16_t{0});
    std::fill_n(sizes + column + here, block - here, 0);
    for (int64_t e = 0; e < m.elements; ++e) {
      std::byte* to = buffer->data() + e * m.element_bytes() + column * m.ins * 2;
      transpose_function()({.from = words + e * m.ins / 2,
                            .from_step = static_cast<size_t>(row / 2),
                            .to = reinterpret_cast<uint32_t*>(to),
                            .to_step = static_cast<size_t>(block),
                            .rows = static_cast<size_t>(block),
                            .columns = static_cast<size_t>(m.ins / 2)});
    }
  }
  return buffer;
}

class QuantizedWinogradKernel : public Kernel {
 public:
  struct Terms {  // of each output channel
    std::vector<int32_t> starts;
    std::vector<float> scales, biases;
  };
  QuantizedWinogradKernel(const ConvParams& conv, const Tiling& tiling, ByteWindows windows,
                          Terms terms, ByteInput input, ByteOutput output, int threads)
      : conv_(conv),
        tiling_(tiling),
        windows_(std::move(windows)),
        terms_(std::move(terms)),
        input_(input),
        output_(output),
        threads_(threads),
        functions_(byte_winograd_functions(tiling.out)) {
    blocks_ = blocks_of(tiling_, static_cast<int64_t>(functions_.rows), tile_bytes(),
                        windows_.elements * windows_.element_bytes(), threads);
  }

  size_t scratch_bytes() const {
    const int64_t scales = input_.scale_of_run() ? windows_.outs * 4 : 0;
    return static_cast<size_t>(
        checked_add(whole_lines(scales), checked_mul(blocks_.slots, slot_bytes())));
  }

  void run(const KernelArgs& args) const override {
    auto* scratch = static_cast<std::byte*>(args.scratch);
    ByteBlock block{};
    block.starts = terms_.starts.data();
    block.scales = input_.scales(args, terms_.scales, reinterpret_cast<float*>(scratch));
    block.biases = terms_.biases.data();
    block.columns = static_cast<size_t>(conv_.out_channels);
    block.y_stride = block.columns;
    if (input_.scale_of_run()) scratch += whole_lines(windows_.outs * 4);
    parallel_slots(threads_, blocks_.slots, {.n = blocks_.count},
                   [&](int64_t slot, int64_t begin, int64_t end) {
                     for (int64_t i = begin; i < end; ++i)
                       run_block(args, block, i, scratch + slot * slot_bytes());
                   });
  }

 private:
  int64_t in_bytes() const { return windows_.elements * windows_.ins * 2; }    // of a tile
  int64_t out_bytes() const { return windows_.elements * windows_.outs * 4; }  // of a tile
  int64_t tile_bytes() const { return in_bytes() + out_bytes(); }
  int64_t slot_bytes() const { return whole_lines(checked_mul(blocks_.most, tile_bytes())); }

  struct Tiles {
    int64_t first;  // tile
    int64_t count;
    int16_t* in;   // [element, tile, channel]
    int32_t* out;  // the same
  };

  void run_block(const KernelArgs& args, const ByteBlock& block, int64_t index,
                 std::byte* memory) const {
    const int64_t first = tiling_.count * index / blocks_.count;
    const int64_t last = tiling_.count * (index + 1) / blocks_.count;
    const Tiles work{first, last - first,
                     reinterpret_cast<int16_t*>(memory + blocks_.most * out_bytes()),
                     reinterpret_cast<int32_t*>(memory)};
    for (int64_t i = 0; i < work.count; ++i) transform_input(args, work, i);
    for (int64_t e = 0; e < windows_.elements; ++e) multiply(work, e);
    for (int64_t i = 0; i < work.count; ++i) transform_output(args, work, i, block);
  }

  void transform_input(const KernelArgs& args, const Tiles& work, int64_t i) const {
    const Tiling::Place at = tiling_.place(work.first + i);
    const uint8_t* x =
        input_.x(args) + at.image * conv_.input[0] * conv_.input[1] * conv_.in_channels;
    std::array<const uint8_t*, kMostElements> pixels;
    for (int64_t e = 0; e < windows_.elements; ++e) {
      const int64_t row = at.row - conv_.pads_begin[0] + e / tiling_.side();
      const int64_t column = at.column - conv_.pads_begin[1] + e % tiling_.side();
      const bool inside =
          row >= 0 && row < conv_.input[0] && column >= 0 && column < conv_.input[1];
      pixels[static_cast<size_t>(e)] =
          inside ? x + (row * conv_.input[1] + column) * conv_.in_channels : nullptr;
    }
    functions_.input({.pixels = pixels.data(),
                      .channels = static_cast<size_t>(windows_.ins),
                      .flip = input_.flip(),
                      .zero = static_cast<int16_t>(input_.zero(args)),
                      .out = work.in + i * windows_.ins,
                      .stride = static_cast<size_t>(work.count * windows_.ins)});
  }

  void multiply(const Tiles& work, int64_t e) const {
    functions_.multiply({.a = work.in + e * work.count * windows_.ins,
                         .a_stride = static_cast<size_t>(windows_.ins),
                         .words = static_cast<size_t>(windows_.ins / 2),
                         .weights = windows_.element(e),
                         .rows = static_cast<size_t>(work.count),
                         .columns = static_cast<size_t>(windows_.outs),
                         .y = work.out + e * work.count * windows_.outs,
                         .y_stride = static_cast<size_t>(windows_.outs)});
  }

  void transform_output(const KernelArgs& args, const Tiles& work, int64_t i,
                        ByteBlock block) const {
    const Tiling::Place at = tiling_.place(work.first + i);
    const int64_t pixel = (at.image * conv_.output[0] + at.row) * conv_.output[1] + at.column;
    ByteLevels levels;
    output_.place(args, pixel * conv_.out_channels, levels, block);
    functions_.output(
        {.in = work.out + i * windows_.outs,
         .stride = static_cast<size_t>(work.count * windows_.outs),
         .block = &block,
         .row_stride = static_cast<size_t>(conv_.output[1] * conv_.out_channels),
         .tile_rows = static_cast<size_t>(std::min(tiling_.out, conv_.output[0] - at.row)),
         .tile_columns = static_cast<size_t>(std::min(tiling_.out, conv_.output[1] - at.column))});
  }

  ConvParams conv_;
  Tiling tiling_;
  ByteWindows windows_;
  Terms terms_;
  ByteInput input_;
  ByteOutput output_;
  int threads_;
  ByteWinogradFunctions functions_;
  TileBlocks blocks_;
};

ConvParams params_of(const NodeSpec& spec) {
  return conv_params(spec.node->attributes, spec.inputs[kX].dims, spec.inputs[kW].dims);
}

// Products, and the reading of weights, in the time of multiplications of bytes.
int64_t cost(int64_t products, int64_t rows, int64_t bytes_at_once) {
  constexpr int64_t kReadWeight = 6;
  return products * (rows + kReadWeight) * bytes_at_once;
}
int64_t cost(const Tiling& t) {
  const size_t bytes_at_once = byte_winograd_functions(t.out).bytes_at_once;
  return cost(t.elements(), t.count, static_cast<int64_t>(bytes_at_once));
}

Tiling choose_tiling_of_bytes(const ConvParams& p) {
  const Tiling two = tiling_of(p, 2), four = tiling_of(p, 4);
  return cost(four) * 5 < cost(two) * 4 ? four : two;
}

Support supports_winograd(const NodeSpec& spec) {
  if (Support s = supports_quantized_conv(spec); !s.ok) return s;
  const ByteWinogradFunctions functions = byte_winograd_functions(2);
  if (functions.lanes == 0) return Support::no("no vectors");
  if (spec.inputs[kX].dims.size() != 4) return Support::no("not two-dimensional");
  const ConvParams p = params_of(spec);
  if (Support s = supports_tiling(p, functions.lanes, Convolutions::kPlain); !s.ok) return s;
  if (p.in_channels % 2 != 0) return Support::no("channels that are odd");
  // 4 · the sums stay within 32 bits.
  constexpr int64_t kMost = (int64_t{1} << 31) / (4 * kTaps * 255 * 128);
  return p.in_channels < kMost ? Support{} : Support::no("sums beyond 32 bits");
}

// Tiles of AMX multiply faster than windows are transformed.
bool winograd_pays(const NodeSpec& spec) {
  if (byte_product_functions().form.kind == ByteKind::kTiles) return false;
  constexpr int64_t kFewChannels = 16;
  const ConvParams p = params_of(spec);
  const int64_t direct = cost(kTaps, p.batch * p.output[0] * p.output[1], 1);
  const Tiling tiling = choose_tiling_of_bytes(p);
  const auto block = static_cast<int64_t>(byte_winograd_functions(tiling.out).block);
  const int64_t padded = ceil_div(p.out_channels, block) * block;
  return std::min(p.in_channels, p.out_channels) >= kFewChannels &&
         cost(tiling) * padded * 4 <= direct * p.out_channels * 3;
}

Compiled compile_winograd(const NodeSpec& spec, const CompileContext& context) {
  TREADLE_CHECK(context.winograd, kUnsupported, "switched off");
  const ConvParams p = params_of(spec);
  const Tiling tiling = choose_tiling_of_bytes(p);
  const ByteWinogradFunctions functions = byte_winograd_functions(tiling.out);
  const auto block = static_cast<int64_t>(functions.block);
  ByteWindows windows{nullptr, tiling.elements(), p.in_channels,
                      ceil_div(p.out_channels, block) * block};
  windows.packed = packed(
      context, *spec.constant(kW), cat("byte windows ", tiling.out, " in blocks of ", block),
      [&](const Tensor& plain) {
        const auto* w = reinterpret_cast<const int8_t*>(plain.raw());
        return pack_windows(w, p.out_channels, windows, functions.windows, tiling.side(), block);
      });
  const ChannelScales scales(spec);
  QuantizedWinogradKernel::Terms terms;
  const auto padded = static_cast<size_t>(windows.outs);
  terms.starts.resize(padded), terms.scales.resize(padded), terms.biases.resize(padded);
  for (size_t channel = 0; channel < static_cast<size_t>(p.out_channels); ++channel) {
    const ChannelTerms of_channel = scales.terms(channel, windows.sizes()[channel]);
    terms.starts[channel] = of_channel.start;
    terms.scales[channel] = of_channel.scale;
    terms.biases[channel] = of_channel.bias;
  }
  auto kernel =
      std::make_unique<QuantizedWinogradKernel>(p, tiling, std::move(windows), std::move(terms),
                                                ByteInput(spec), ByteOutput(spec), context.threads);
  const size_t scratch = kernel->scratch_bytes();
  return compiled_product(spec, std::move(kernel),
                          cat("native quantized winograd ", tiling.out, "x", tiling.out), scratch,
                          kChannelsLast);
}

}  // namespace

const Family kQuantizedWinograd = {"native quantized winograd", supports_winograd, compile_winograd,
                                   winograd_pays};

}  // namespace treadle::cpu
