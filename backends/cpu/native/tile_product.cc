#include "backends/cpu/native/tile_product.h"

#include <algorithm>
#include <utility>

#include "backends/cpu/layout.h"
#include "backends/cpu/native/activation.h"
#include "backends/cpu/native/lines.h"
#include "backends/cpu/native/tile_weights.h"
#include "backends/cpu/native/winograd_tiling.h"
#include "backends/cpu/parallel.h"
#include "backends/cpu/product.h"

namespace treadle::cpu {
namespace {

constexpr size_t kX = 0, kW = 1, kBias = 2, kZ = 3;
constexpr auto kColumns = static_cast<int64_t>(kTileColumns);
constexpr auto kOutputs = static_cast<int64_t>(kTileOutputs);
constexpr auto kParts = static_cast<int64_t>(kTileParts);

bool is_conv(const Node& node) { return node.op->kind == "Conv" || node.op->kind == "FusedConv"; }
bool is_gemm(const Node& node) { return node.op->kind == "Gemm" || node.op->kind == "FusedGemm"; }

class TileKernel : public Kernel {
 public:
  struct Parts {
    std::shared_ptr<Buffer> weights;
    int64_t columns = 1;
    bool has_bias = false;
    bool has_residual = false;
    std::optional<Activation> activation;  // that is no bounds
    Bounds bounds;
    int threads = 1;
  };
  TileKernel(TileRows rows, Parts parts) : rows_(std::move(rows)), p_(std::move(parts)) {
    share_out();
  }

  size_t scratch_bytes() const { return static_cast<size_t>(checked_mul(slots_, slot_bytes())); }

  void run(const KernelArgs& args) const override {
    const Workload work{.n = chunks_ * groups_, .unit = groups_};
    auto* scratch = static_cast<std::byte*>(args.scratch);
    for (int64_t slot = 0; slot < slots_; ++slot)
      *memory_of(scratch + slot * slot_bytes()).held = -1;
    parallel_slots(p_.threads, slots_, work, [&](int64_t slot, int64_t begin, int64_t end) {
      const Memory memory = memory_of(scratch + slot * slot_bytes());
      for (int64_t i = begin; i < end; ++i) {
        const Tiles tiles = tiles_of(i / groups_);
        if (std::exchange(*memory.held, i / groups_) != i / groups_)
          prepare(static_cast<const float*>(args.inputs[kX]), tiles, memory);
        run_piece(args, memory, tiles, i % groups_ * group_);
      }
    });
  }

 private:
  static constexpr int64_t kMostBytes = 5 << 18;       // of planes, which L2 keeps
  static constexpr int64_t kMostDepth = 1024;          // numbers, whose split weights L2 keeps too
  static constexpr int64_t kMostPanelBytes = 1 << 18;  // of weights, before an activation
  static constexpr int64_t kFewRows = 256, kGreatestBytes = 1 << 26;  // of deep rows

  // A thread's: planes, split weights, and where the tiles of a chunk lie.
  struct Memory {
    uint16_t* planes;
    std::byte* panels;
    int64_t* places;
    int32_t* outputs;
    int64_t* held;  // the chunk
  };
  int64_t plane_bytes() const { return byte_size(DType::kBfloat16, kParts * plane_); }
  int64_t panel_bytes() const {
    const int64_t numbers = ceil_div(rows_.steps().count(), parts_) * rows_.steps().numbers;
    return byte_size(DType::kBfloat16, 2 * kParts * numbers * kColumns);
  }
  int64_t place_bytes() const { return whole_lines(byte_size(DType::kInt64, tiles_)); }
  int64_t output_bytes() const { return byte_size(DType::kInt32, tiles_ * kOutputs); }
  int64_t slot_bytes() const {
    return plane_bytes() + panel_bytes() + place_bytes() + output_bytes() + kLineBytes;
  }
  Memory memory_of(std::byte* at) const {
    std::byte* panels = at + plane_bytes();
    std::byte* places = panels + panel_bytes();
    return {reinterpret_cast<uint16_t*>(at), panels, reinterpret_cast<int64_t*>(places),
            reinterpret_cast<int32_t*>(places + place_bytes()),
            reinterpret_cast<int64_t*>(places + place_bytes() + output_bytes())};
  }

  struct Tiles {
    int64_t begin, end;
    TileRows::Lines lines;
  };
  Tiles tiles_of(int64_t chunk) const {
    const int64_t begin = chunk * tiles_;
    const int64_t end = std::min(begin + tiles_, rows_.tiles());
    return {begin, end, rows_.lines_of(begin, end)};
  }

  void prepare(const float* x, const Tiles& tiles, const Memory& memory) const {
    rows_.split(x, tiles.lines, {memory.planes, plane_});
    for (int64_t i = 0; i < tiles.end - tiles.begin; ++i) {
      memory.places[i] = rows_.place(tiles.begin + i);
      rows_.outputs(tiles.begin + i, memory.outputs + i * kOutputs);
    }
  }

  // Chunks of tiles, whose planes stay in L2 while all weights pass, meet groups of columns. Deep
  // products are added up in y part by part, in the same parts for any number of threads.
  void share_out() {
    const TileSteps& steps = rows_.steps();
    const int64_t tiles = rows_.tiles();
    const int64_t row = byte_size(DType::kBfloat16, rows_.row_step() * kParts);
    const int64_t few = rows_.points() ? std::min(kFewRows, kGreatestBytes / row) : 0;
    const int64_t most = std::max({kMostBytes / row, few, kOutputs});
    chunks_ = ceil_div(tiles * kOutputs, most);
    const int64_t bytes = ceil_div(tiles, chunks_) * kOutputs * row;
    parts_ = ceil_div(steps.count() * steps.numbers, kMostDepth);
    if (rows_.points()) parts_ = std::max(parts_, ceil_div(bytes, kMostBytes));
    parts_ = std::min(parts_, steps.count());
    const int64_t blocks = ceil_div(p_.columns, kColumns);
    const int64_t block_bytes = byte_size(DType::kFloat, tile_block(steps));
    int64_t at_once = blocks;
    if (p_.activation) at_once = std::clamp<int64_t>(kMostPanelBytes / block_bytes, 1, blocks);
    // Threads share out what is dearer, rows, which other threads have in their caches and which
    // each splits, or weights; in more pieces than one each where it matters little: one thread may
    // have less of its processor.
    constexpr double kManyWeights = 2.5;
    const auto numbers = static_cast<double>(tiles * kOutputs * steps.channels);
    const auto weights = static_cast<double>(p_.columns * steps.channels * steps.taps);
    if (chunks_ < p_.threads && weights > kManyWeights * numbers) {
      at_once = std::min(at_once, std::max<int64_t>(2, blocks / (2 * p_.threads)));
    } else if (p_.threads > 1) {
      constexpr int64_t kManyTiles = 12;
      chunks_ = std::max(chunks_, std::min<int64_t>(4 * p_.threads, tiles / kManyTiles));
      chunks_ = std::min(tiles, ceil_div(chunks_, p_.threads) * p_.threads);
      if (chunks_ <= 2 * p_.threads)
        at_once = std::min(at_once, std::max<int64_t>(2, blocks / (2 * p_.threads)));
    }
    tiles_ = ceil_div(tiles, chunks_);
    if (tiles_ * chunks_ > tiles + 1 || chunks_ > p_.threads) tiles_ = ceil_div(tiles_, 2) * 2;
    chunks_ = ceil_div(tiles, tiles_);
    groups_ = ceil_div(blocks, at_once);
    group_ = ceil_div(blocks, groups_) * kColumns;
    groups_ = ceil_div(p_.columns, group_);
    for (int64_t i = 0; i < chunks_; ++i) {
      const TileRows::Lines lines = tiles_of(i).lines;
      plane_ = std::max(plane_, whole_lines(rows_.plane(lines.end - lines.begin)));
    }
    constexpr double kMultiplications = 64.0 * kParallelGrain;  // that are worth a thread
    const double work = static_cast<double>(tiles * kOutputs * p_.columns) *
                        static_cast<double>(steps.count() * steps.numbers);
    slots_ = std::clamp<int64_t>(static_cast<int64_t>(std::min(work / kMultiplications, 1e6)), 1,
                                 std::min<int64_t>(p_.threads, chunks_ * groups_));
  }

  void run_piece(const KernelArgs& args, const Memory& memory, const Tiles& tiles,
                 int64_t column) const {
    const int64_t columns = std::min(group_, p_.columns - column);
    auto* y = static_cast<float*>(args.outputs[0]) + column;
    FloatTiles job{};
    job.a = memory.planes;
    job.origin = tiles.lines.begin * rows_.line();
    job.part_step = plane_;
    job.row_step = static_cast<size_t>(rows_.row_step());
    job.places = memory.places;
    job.outputs = memory.outputs;
    job.tiles = static_cast<size_t>(tiles.end - tiles.begin);
    job.numbers = static_cast<size_t>(rows_.steps().numbers);
    job.block_step = static_cast<size_t>(tile_block(rows_.steps()));
    job.panels = memory.panels;
    job.y = y;
    job.y_stride = static_cast<size_t>(p_.columns);
    job.columns = static_cast<size_t>(columns);
    for (int64_t part = 0; part < parts_; ++part) {
      const int64_t step = rows_.steps().count() * part / parts_;
      const int64_t last = rows_.steps().count() * (part + 1) / parts_;
      const Bounds bounds = part + 1 == parts_ ? p_.bounds : Bounds{};
      job.steps = rows_.offsets().data() + step;
      job.step_count = static_cast<size_t>(last - step);
      job.weights = reinterpret_cast<const float*>(p_.weights->data()) +
                    column / kColumns * tile_block(rows_.steps()) +
                    step * rows_.steps().numbers * kColumns;
      job.bias = part == 0 && p_.has_bias ? static_cast<const float*>(args.inputs[kBias]) + column
                                          : nullptr;
      job.plus = part > 0 ? y : residual(args, column);
      job.low = bounds.low;
      job.high = bounds.high;
      functions_.multiply(job);
    }
    if (!p_.activation) return;
    const int64_t first = rows_.first_output(tiles.begin);
    const int64_t behind = rows_.first_output(tiles.end);
    p_.activation->apply(y + first * p_.columns, static_cast<size_t>(behind - first),
                         static_cast<size_t>(columns), job.y_stride);
  }
  const float* residual(const KernelArgs& args, int64_t column) const {
    return p_.has_residual ? static_cast<const float*>(args.inputs[kZ]) + column : nullptr;
  }

  TileRows rows_;
  FloatTileFunctions functions_ = float_tile_functions();
  Parts p_;
  int64_t chunks_ = 1, tiles_ = 1;  // and the tiles of each
  int64_t groups_ = 1, group_ = 1;  // and the columns of each
  int64_t parts_ = 1;               // of the depth
  int64_t slots_ = 1, plane_ = 0;   // of threads; numbers of a plane of each
};

// ---- What a node multiplies

struct Problem {
  ConvParams conv;
  TileWeightSource weights;
};

Problem problem_of(const NodeSpec& spec) {
  const Attributes& attributes = spec.node->attributes;
  const Dims& x = spec.inputs[kX].dims;
  const Dims& w = spec.inputs[kW].dims;
  if (is_conv(*spec.node)) {
    const int64_t taps = element_count(w) / std::max<int64_t>(1, w[0] * w[1]);
    return {conv_params(attributes, x, w), {.n = w[0], .row = 1, .column = w[1] * taps}};
  }
  const bool turned = attributes.i("transB", 0) != 0;
  Problem p;
  p.conv.in_channels = w[turned ? 1 : 0];
  p.conv.out_channels = w[turned ? 0 : 1];
  p.conv.batch = element_count(spec.outputs[0].dims) / std::max<int64_t>(1, p.conv.out_channels);
  p.weights = {.n = p.conv.out_channels,
               .row = turned ? 1 : p.conv.out_channels,
               .column = turned ? p.conv.in_channels : 1,
               .scale = attributes.f("alpha", 1)};
  return p;
}

int64_t outputs_of(const ConvParams& p) { return p.batch * element_count(p.output); }

Support supports_conv(const NodeSpec& spec) {
  const size_t rank = spec.inputs[kX].dims.size();
  if (rank != 3 && rank != 4) return Support::no("not of one or two dimensions");
  if (spec.node->attributes.i("group", 1) != 1) return Support::no("groups");
  return {};
}

Support supports_product(const NodeSpec& spec) {
  const Attributes& attributes = spec.node->attributes;
  if (attributes.i("transA", 0) != 0) return Support::no("a left side that is transposed");
  if (spec.inputs[kX].dims.empty() || spec.inputs[kW].dims.size() != 2) return Support::no("shape");
  if (is_gemm(*spec.node) && spec.has(kBias) && attributes.f("beta", 1) != 1)
    return Support::no("beta");
  return {};
}

Support supports_tiles(const NodeSpec& spec) {
  if (float_tile_functions().multiply == nullptr) return Support::no("no tiles");
  if (Support s = supports_f32(spec); !s.ok) return s;
  if (spec.constant(kW) == nullptr) return Support::no("weights that are not constant");
  if (Support s = is_conv(*spec.node) ? supports_conv(spec) : supports_product(spec); !s.ok)
    return s;
  const Problem p = problem_of(spec);
  if (spec.has(kBias) && (element_count(spec.inputs[kBias].dims) != p.weights.n ||
                          (!is_conv(*spec.node) && spec.inputs[kBias].dims.back() != p.weights.n)))
    return Support::no("bias that is not one a column");
  if (spec.has(kZ) && spec.inputs[kZ].dims != spec.outputs[0].dims)
    return Support::no("residual that is broadcast");
  if (!TileRows::fits(p.conv)) return Support::no("planes beyond the input");
  constexpr int64_t kMostOutputs = INT32_MAX;
  if (outputs_of(p.conv) > kMostOutputs) return Support::no("too many outputs");
  return supports_activation(*spec.node);
}

// Tiles take 0.4 of a direct sum's time; Winograd's windows are 4 times the weights.
bool takes_winograd(const ConvParams& p) {
  constexpr double kFaster = 0.34;
  if (p.rank() == 0) return false;
  const ConvParams planes = in_planes(p);
  return supports_tiling(planes, Convolutions::kAll).ok && tiling_pays(planes, false) &&
         tiling_share(planes, false) <= kFaster;
}

// Splitting takes its time, as many numbers meet few others; and so do tiles that are not full.
bool tiles_pay(const NodeSpec& spec) {
  const Problem p = problem_of(spec);
  const int64_t depth = p.conv.in_channels * element_count(p.conv.kernel);
  const int64_t outputs = outputs_of(p.conv);
  constexpr int64_t kFewOutputs = 56, kFewNumbers = 256, kFewColumns = 256;
  // Weights from memory are split while the next ones come.
  constexpr int64_t kFewOfMany = 24, kManyNumbers = 1 << 20;
  if (depth < kFewNumbers || p.weights.n < kFewColumns) return false;
  if (outputs < (depth * p.weights.n >= kManyNumbers ? kFewOfMany : kFewOutputs)) return false;
  if (takes_winograd(p.conv)) return false;
  constexpr double kFull = 0.6;
  return static_cast<double>(outputs) >=
         kFull * static_cast<double>(TileRows(p.conv).tiles() * kOutputs);
}

Compiled compile_tiles(const NodeSpec& spec, const CompileContext& context) {
  const Problem p = problem_of(spec);
  TileRows rows(p.conv);
  TileKernel::Parts parts;
  parts.weights = tile_weights(*spec.constant(kW), p.weights, rows.steps(), context);
  parts.columns = p.weights.n;
  parts.has_bias = spec.has(kBias);
  parts.has_residual = spec.has(kZ);
  parts.activation = Activation::of(*spec.node);
  if (parts.activation->bounds()) {
    parts.bounds = *parts.activation->bounds();
    parts.activation.reset();
  }
  parts.threads = context.threads;
  auto kernel = std::make_unique<TileKernel>(std::move(rows), std::move(parts));
  Compiled compiled;
  compiled.name = "tiles";
  compiled.scratch_bytes = kernel->scratch_bytes();
  compiled.kernel = std::move(kernel);
  compiled.reads.assign(spec.inputs.size(), true);
  compiled.reads[kW] = false;
  compiled.input_layouts.assign(spec.inputs.size(), kPlain);
  const Layout layout = is_conv(*spec.node) ? kChannelsLast : kPlain;
  compiled.input_layouts[kX] = accept(spec.inputs[kX], layout);
  compiled.output_layouts = {canonical(spec.outputs[0].dims, layout)};
  if (spec.has(kZ)) {
    compiled.input_layouts[kZ] = accept(spec.inputs[kZ], layout);
    compiled.in_place = {{kZ}};
  }
  return compiled;
}

}  // namespace

const Family kTileProduct = {"tiles", supports_tiles, compile_tiles, tiles_pay};

}  // namespace treadle::cpu
