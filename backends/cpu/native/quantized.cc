#include "backends/cpu/native/quantized.h"

#include <algorithm>

#include "backends/cpu/native/activation.h"
#include "backends/cpu/native/byte_node.h"
#include "backends/cpu/native/byte_rows.h"
#include "backends/cpu/native/byte_weights.h"
#include "backends/cpu/native/lines.h"
#include "backends/cpu/parallel.h"
#include "backends/cpu/quantized_product.h"
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
  QuantizedKernel(const ConvParams& p, ByteWeights weights, Columns columns, ByteInput input,
                  ByteOutput output, std::optional<Activation> activation, int threads)
      : rows_(p),
        weights_(std::move(weights)),
        columns_(std::move(columns)),
        input_(input),
        output_(output),
        activation_(std::move(activation)),
        groups_(p.group),
        outputs_(p.group_outputs()),
        threads_(threads) {
    share_out();
  }
  size_t scratch_bytes() const {
    return static_cast<size_t>(
        checked_add(checked_mul(slots_, slot_bytes_), padding_bytes() + run_bytes()));
  }

  void run(const KernelArgs& args) const override {
    auto* scratch = static_cast<std::byte*>(args.scratch);
    const int32_t zero = input_.zero(args);
    auto* padding = reinterpret_cast<uint8_t*>(scratch);
    std::fill_n(padding, rows_.part_bytes(), static_cast<uint8_t>(zero - input_.flip()));
    const ByteRows::Source source{input_.x(args), input_.flip(), padding};
    ByteBlock block = block_of(args, zero, scratch + padding_bytes());
    if (zero == 0) block.zeros = padding;
    std::byte* slots = scratch + padding_bytes() + run_bytes();
    const Workload work{.n = tasks(), .unit = meets_all_weights() ? pieces_.across : pieces_.down};
    parallel_slots(threads_, slots_, work, [&](int64_t slot, int64_t begin, int64_t end) {
      Found found{slots + slot * slot_bytes_};
      for (int64_t t = begin; t < end; ++t) run_piece(args, block, source, t, found);
    });
  }

 private:
  static constexpr int64_t kRowsAtOnce = 48, kMostPieceBytes = 1 << 17, kMostTileBytes = 1 << 18;
  static constexpr int64_t kMostWeightBytes = 1 << 17;

  // The rows whose parts lie in a thread's memory.
  struct Found {
    std::byte* memory;
    const uint8_t* const* parts = nullptr;
    int64_t group = -1, first = -1;
  };

  // A row, before the next ones are found: what is copied is dear.
  bool meets_all_weights() const { return functions_.form.kind != ByteKind::kParts; }
  int64_t tasks() const { return groups_ * pieces_.across * pieces_.down; }
  int64_t padding_bytes() const { return whole_lines(rows_.part_bytes()); }
  int64_t all() const { return groups_ * weights_.padded(); }
  // What belongs to columns and is of the run.
  int64_t run_bytes() const {
    const int64_t floats = input_.scale_of_run() ? all() : 0;
    const int64_t integers = input_.zero_of_run() ? all() : 0;
    return whole_lines(floats * 4) + whole_lines(integers * 4);
  }

  // Weights of as many columns as L2 keeps meet all rows, as many of them at a time as their parts
  // stay in L1 with; few rows share out their columns. Rows that are copied meet all weights, as
  // tiles as many as L2 keeps beside them.
  void share_out() {
    const ByteForm& form = functions_.form;
    const auto most = static_cast<int64_t>(form.rows), block = static_cast<int64_t>(form.block);
    const int64_t rows = rows_.rows();
    const int64_t depth = rows_.depth();
    const bool tiles = form.kind == ByteKind::kTiles;
    const int64_t at_once =
        tiles ? std::max(kMostTileBytes / rows_.row_bytes(), most)
              : std::clamp(kMostPieceBytes / rows_.row_bytes(), most, kRowsAtOnce);
    pieces_.down = std::max<int64_t>(1, (rows + at_once / 2) / at_once);
    pieces_.across = tiles ? 1 : ceil_div(checked_mul(outputs_, depth), kMostWeightBytes);
    if (pieces_.across > 1 || rows < threads_ * kRowsAtOnce) {
      pieces_.across = ceil_div(pieces_.across, threads_) * threads_;
    } else {
      pieces_.down = std::min(rows, ceil_div(pieces_.down, threads_) * threads_);
    }
    pieces_.rows = ceil_div(ceil_div(rows, pieces_.down), most) * most;
    pieces_.down = ceil_div(rows, pieces_.rows);
    pieces_.columns = ceil_div(ceil_div(outputs_, pieces_.across), block) * block;
    pieces_.across = ceil_div(outputs_, pieces_.columns);
    slot_bytes_ = rows_.bytes(pieces_.rows);
    const double work = static_cast<double>(rows) * static_cast<double>(groups_ * outputs_ * depth);
    constexpr double kMultiplications = 64.0 * kParallelGrain;  // that are worth a thread
    slots_ = std::clamp<int64_t>(static_cast<int64_t>(std::min(work / kMultiplications, 1e6)), 1,
                                 std::min<int64_t>(threads_, tasks()));
  }

  // All rows and columns.
  ByteBlock block_of(const KernelArgs& args, int32_t zero, std::byte* scratch) const {
    ByteBlock block{};
    block.count = static_cast<size_t>(rows_.parts());
    block.quads = static_cast<size_t>(rows_.part_bytes() / ByteForm::kQuad);
    block.flip = input_.flip() != 0;
    block.starts = columns_.starts.data();
    auto* scales = reinterpret_cast<float*>(scratch);
    block.scales = input_.scales(args, columns_.scales, scales);
    block.biases = columns_.biases.data();
    block.y_stride = static_cast<size_t>(groups_ * outputs_);
    if (input_.zero_of_run()) {
      const int64_t floats = input_.scale_of_run() ? all() : 0;
      auto* starts = reinterpret_cast<int32_t*>(scratch + whole_lines(floats * 4));
      std::ranges::transform(weights_.sums(), starts, [zero](int32_t x) { return -x * zero; });
      block.starts = starts;
    }
    return block;
  }

  // The rows, those of the task's group.
  void find(const ByteRows::Source& source, const ByteRows::Range& rows, Found& found) const {
    if (found.group == rows.group && found.first == rows.first) return;
    found = {found.memory, rows_.find(source, rows, found.memory), rows.group, rows.first};
  }

  void run_piece(const KernelArgs& args, ByteBlock block, const ByteRows::Source& source,
                 int64_t task, Found& found) const {
    const bool copied = meets_all_weights();
    const int64_t group = task / pieces_.down / pieces_.across;
    const int64_t in_group = task % (pieces_.down * pieces_.across);
    const int64_t piece = copied ? in_group / pieces_.across : in_group % pieces_.down;
    const int64_t column =
        (copied ? in_group % pieces_.across : in_group / pieces_.down) * pieces_.columns;
    const int64_t first = pieces_.rows * piece;
    const int64_t rows = std::min(pieces_.rows, rows_.rows() - first);
    find(source, {group, first, rows, pieces_.rows}, found);
    block.parts = found.parts;
    block.rows = static_cast<size_t>(rows);
    block.columns = static_cast<size_t>(std::min(pieces_.columns, outputs_ - column));
    weights_.place(group, column, block);
    const int64_t packed = group * weights_.padded() + column;
    block.starts += packed;
    block.scales += packed;
    block.biases += packed;
    const int64_t at = first * groups_ * outputs_ + group * outputs_ + column;
    ByteLevels levels;
    output_.place(args, at, levels, block);
    functions_.multiply(block);
    if (activation_)
      activation_->apply(static_cast<float*>(block.y), block.rows, block.columns, block.y_stride);
  }

  ByteRows rows_;
  ByteWeights weights_;
  Columns columns_;
  ByteInput input_;
  ByteOutput output_;
  std::optional<Activation> activation_;  // of floats
  int64_t groups_, outputs_;              // outputs of a group
  int threads_;
  ByteProductFunctions functions_ = byte_product_functions();
  Pieces pieces_;
  int64_t slots_ = 1, slot_bytes_ = 0;
};

Columns columns_of(const NodeSpec& spec, const ByteWeights& weights, const ConvParams& p,
                   const ByteInput& input) {
  const ChannelScales scales(spec);
  const auto padded = static_cast<size_t>(weights.padded());
  const auto outputs = static_cast<size_t>(p.group_outputs());
  const size_t all = weights.sums().size();
  const bool fixed = !input.zero_of_run();
  Columns c{std::vector<int32_t>(fixed ? all : 0), std::vector<float>(all),
            std::vector<float>(all)};
  for (size_t channel = 0; channel < outputs * static_cast<size_t>(p.group); ++channel) {
    const size_t at = channel / outputs * padded + channel % outputs;
    const ChannelTerms terms = scales.terms(channel, weights.sizes()[at]);
    c.scales[at] = terms.scale;
    c.biases[at] = terms.bias;
    if (fixed) c.starts[at] = terms.start - weights.sums()[at] * input.constant_zero();
  }
  return c;
}

Compiled compile(const NodeSpec& spec, const CompileContext& context, const ConvParams& p,
                 const ByteWeightSource& source, Layout layout) {
  const ByteInput input(spec);
  const ByteOutput output(spec);
  ByteWeights weights(*spec.constant(kW), source, context);
  Columns columns = columns_of(spec, weights, p, input);
  auto kernel =
      std::make_unique<QuantizedKernel>(p, std::move(weights), std::move(columns), input, output,
                                        Activation::of(*spec.node), context.threads);
  const size_t scratch = kernel->scratch_bytes();
  return compiled_product(spec, std::move(kernel), "native quantized", scratch, layout);
}

// Sums of so many products stay within 32 bits.
Support supports_depth(int64_t depth) {
  constexpr int64_t kMost = (int64_t{1} << 31) / (255 * 128);
  if (byte_product_functions().form.lanes == 0) return Support::no("no vectors");
  return depth < kMost ? Support{} : Support::no("sums beyond 32 bits");
}

// ---- Convolutions

Support supports_conv(const NodeSpec& spec) {
  if (Support s = supports_quantized_conv(spec); !s.ok) return s;
  const Dims& w = spec.inputs[kW].dims;
  return supports_depth(element_count(w) / w[0]);
}

// How many groups have a vector of outputs.
int64_t groups_together(const ConvParams& p) {
  const auto lanes = static_cast<int64_t>(byte_product_functions().form.lanes);
  int64_t count = std::min(p.group, ceil_div(lanes, p.group_outputs()));
  while (p.group % count != 0) ++count;
  return count;
}

Compiled compile_conv(const NodeSpec& spec, const CompileContext& context) {
  const Dims& w = spec.inputs[kW].dims;
  ConvParams p = conv_params(spec.node->attributes, spec.inputs[kX].dims, w);
  const int64_t taps = element_count(w) / (w[0] * w[1]), together = groups_together(p);
  p.group /= together;
  const ByteWeightSource source{.groups = p.group,
                                .together = together,
                                .columns = p.group_outputs(),
                                .channels = p.group_inputs(),
                                .taps = taps,
                                .part_taps = WindowParts(p).taps(),
                                .column_step = w[1] * taps,
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
