#include "backends/cpu/native_conv_weights.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "backends/cpu/onednn.h"
#include "backends/cpu/parallel.h"
#include "backends/cpu/simd_outer.h"
#include "graph/ops/conv_params.h"

namespace treadle::cpu {
namespace {

constexpr size_t kY = 0, kX = 1;
constexpr auto kTileRows = static_cast<int64_t>(kMostRows);
constexpr int64_t kMostRuns = 256;
// Floats of a block's panels, which should stay in a processor's own cache.
constexpr int64_t kBlockFloats = 65536;
// Positions of a block: fewer would read the sums too often, more gain nothing.
constexpr int64_t kFewestPositions = 128, kMostPositions = 1024;
// Inputs so thin or rows so short are packed a window's row at a time.
constexpr int64_t kThin = 8, kShortRow = 8;

// A convolution of planes; of lines it is one of a single row.
struct Planes {
  int64_t batch, in, out;  // channels
  int64_t height, width;   // of x
  int64_t rows, columns;   // of y
  std::array<int64_t, 2> kernel, stride, dilation, pad;
};

Planes planes_of(const ConvParams& p) {
  const size_t last = p.rank() - 1;
  const auto pair = [&](const Dims& d, int64_t otherwise) {
    return std::array<int64_t, 2>{p.rank() == 2 ? d[0] : otherwise, d[last]};
  };
  const auto x = pair(p.input, 1), y = pair(p.output, 1);
  return {.batch = p.batch,
          .in = p.in_channels,
          .out = p.out_channels,
          .height = x[0],
          .width = x[1],
          .rows = y[0],
          .columns = y[1],
          .kernel = pair(p.kernel, 1),
          .stride = pair(p.strides, 1),
          .dilation = pair(p.dilations, 1),
          .pad = pair(p.pads_begin, 0)};
}

// Output rows [row, row + rows) of `images` images from `image` on, and the rows of x they read.
struct Block {
  int64_t image, images;
  int64_t row, rows;
  int64_t first_x, x_rows;
};

template <int64_t kCount>
void copy_tiles(const float* from, int64_t step, int64_t count, float* to) {
  for (int64_t i = 0; i < count; ++i, from += step, to += kCount)
    std::memcpy(to, from, kCount * sizeof(float));
}

// `count` pieces of `size` floats, `step` apart, one after another.
void copy_pieces(const float* from, int64_t step, int64_t count, int64_t size, float* to) {
  switch (size) {
    case 6: return copy_tiles<6>(from, step, count, to);
    case 5: return copy_tiles<5>(from, step, count, to);
    case 16: return copy_tiles<16>(from, step, count, to);
    default:
      for (int64_t i = 0; i < count; ++i, from += step, to += size) std::copy_n(from, size, to);
  }
}

// The left side's panels hold x in tiles of `tile` channels; where x is thin or its rows short, a
// "channel" is one of a window's row, which makes long runs.
class WeightsKernel : public Kernel {
 public:
  WeightsKernel(const Planes& planes, int threads) : q_(planes), outer_(outer_functions()) {
    merged_ = q_.in < kThin || q_.columns <= kShortRow;
    channels_ = merged_ ? q_.kernel[1] * q_.in : q_.in;
    tiles_ = ceil_div(channels_, kTileRows);
    tile_ = ceil_div(channels_, tiles_);
    width_ = merged_ ? q_.columns : q_.width;
    cells_ = merged_ ? q_.kernel[0] : q_.kernel[0] * q_.kernel[1];
    panel_ = static_cast<int64_t>(outer_.columns);
    panels_ = ceil_div(q_.out, panel_);
    slots_ = std::min<int64_t>(threads, panels_);
    threads_ = threads;
    size_block();
  }

  size_t scratch_bytes() const {
    const int64_t sums = checked_mul(panels_, panel_sums());
    return static_cast<size_t>(byte_size(DType::kFloat, sums + checked_mul(slots_, slot_floats())));
  }

  void run(const KernelArgs& args) const override {
    parallel_for(threads_, slots_, 1, [&](int64_t begin, int64_t end) {
      for (int64_t slot = begin; slot < end; ++slot) run_slot(args, slot);
    });
  }

 private:
  // A thread's part: its panels of y, its scratch.
  struct Part {
    int64_t first, last;  // panels
    float* sums;          // of its first panel
    float* a;
    float* b;
    float* window;
  };

  void size_block() {
    const int64_t plane = q_.rows * q_.columns;
    const int64_t positions =
        std::clamp(kBlockFloats / (channels_ + q_.out), kFewestPositions, kMostPositions);
    rows_ = std::clamp<int64_t>(positions / q_.columns, 1, std::min(q_.rows, kMostRuns));
    images_ = plane >= positions ? 1
                                 : std::clamp<int64_t>(positions / plane, 1,
                                                       std::min(q_.batch, kMostRuns / rows_));
    x_rows_ =
        std::min(q_.height, (rows_ - 1) * q_.stride[0] + (q_.kernel[0] - 1) * q_.dilation[0] + 1);
  }
  int64_t panel_sums() const { return cells_ * tiles_ * tile_ * panel_; }
  int64_t a_floats() const { return images_ * x_rows_ * width_ * tiles_ * tile_; }
  int64_t b_floats() const {
    return ceil_div(panels_, slots_) * images_ * rows_ * q_.columns * panel_;
  }
  int64_t slot_floats() const { return a_floats() + b_floats() + tiles_ * tile_; }

  void run_slot(const KernelArgs& args, int64_t slot) const {
    auto* scratch = static_cast<float*>(args.scratch);
    Part part;
    part.first = slot * panels_ / slots_;
    part.last = (slot + 1) * panels_ / slots_;
    part.sums = scratch + part.first * panel_sums();
    part.a = scratch + panels_ * panel_sums() + slot * slot_floats();
    part.b = part.a + a_floats();
    part.window = part.b + b_floats();
    std::fill_n(part.sums, (part.last - part.first) * panel_sums(), 0.0F);
    for (int64_t image = 0; image < q_.batch; image += images_) {
      for (int64_t row = 0; row < q_.rows; row += rows_) {
        if (args.control != nullptr) args.control->poll();
        add_block(args, block_at(image, row), part);
      }
    }
    for (int64_t panel = part.first; panel < part.last; ++panel) {
      write_panel(part.sums + (panel - part.first) * panel_sums(), panel,
                  static_cast<float*>(args.outputs[0]));
    }
  }

  Block block_at(int64_t image, int64_t row) const {
    Block b{image, std::min(images_, q_.batch - image), row, std::min(rows_, q_.rows - row), 0, 0};
    const int64_t top = row * q_.stride[0] - q_.pad[0];
    const int64_t bottom =
        (row + b.rows - 1) * q_.stride[0] - q_.pad[0] + (q_.kernel[0] - 1) * q_.dilation[0];
    b.first_x = std::max<int64_t>(top, 0);
    b.x_rows = std::max<int64_t>(0, std::min(q_.height - 1, bottom) - b.first_x + 1);
    return b;
  }

  void add_block(const KernelArgs& args, const Block& block, const Part& part) const {
    const auto* x = static_cast<const float*>(args.inputs[kX]);
    if (merged_) {
      pack_windows(x, block, part);
    } else {
      pack_pixels(x, block, part);
    }
    pack_y(static_cast<const float*>(args.inputs[kY]), block, part);
    for (int64_t cell = 0; cell < cells_; ++cell) multiply(block, part, cell);
  }

  void pack_pixels(const float* x, const Block& block, const Part& part) const {
    const int64_t count = block.x_rows * q_.width;
    const int64_t positions = block.images * count;
    for (int64_t t = 0; t < tiles_; ++t) {
      const int64_t first = t * tile_;
      const int64_t size = std::min(tile_, q_.in - first);
      for (int64_t n = 0; n < block.images; ++n) {
        const int64_t pixel = ((block.image + n) * q_.height + block.first_x) * q_.width;
        float* to = part.a + (t * positions + n * count) * tile_;
        if (size == tile_) {
          copy_pieces(x + pixel * q_.in + first, q_.in, count, tile_, to);
          continue;
        }
        for (int64_t i = 0; i < count; ++i, to += tile_) {
          std::copy_n(x + (pixel + i) * q_.in + first, size, to);
          std::fill(to + size, to + tile_, 0.0F);
        }
      }
    }
  }

  // The row of a window at each position, zeros in the padding.
  void pack_windows(const float* x, const Block& block, const Part& part) const {
    const int64_t positions = block.images * block.x_rows * q_.columns;
    std::fill_n(part.window, tiles_ * tile_, 0.0F);
    int64_t position = 0;
    for (int64_t n = 0; n < block.images; ++n) {
      for (int64_t r = 0; r < block.x_rows; ++r) {
        const float* line =
            x + ((block.image + n) * q_.height + block.first_x + r) * q_.width * q_.in;
        for (int64_t o = 0; o < q_.columns; ++o, ++position) {
          fill_window(line, o, part.window);
          for (int64_t t = 0; t < tiles_; ++t) {
            std::copy_n(part.window + t * tile_, tile_,
                        part.a + (t * positions + position) * tile_);
          }
        }
      }
    }
  }
  void fill_window(const float* line, int64_t o, float* window) const {
    for (int64_t k = 0; k < q_.kernel[1]; ++k, window += q_.in) {
      const int64_t at = o * q_.stride[1] + k * q_.dilation[1] - q_.pad[1];
      if (at >= 0 && at < q_.width) {
        std::copy_n(line + at * q_.in, q_.in, window);
      } else {
        std::fill_n(window, q_.in, 0.0F);
      }
    }
  }

  void pack_y(const float* y, const Block& block, const Part& part) const {
    const int64_t count = block.rows * q_.columns;
    float* to = part.b;
    for (int64_t panel = part.first; panel < part.last; ++panel) {
      const int64_t first = panel * panel_;
      const int64_t size = std::min(panel_, q_.out - first);
      for (int64_t n = 0; n < block.images; ++n, to += count * panel_) {
        const float* from =
            y + ((block.image + n) * q_.rows + block.row) * q_.columns * q_.out + first;
        if (size == panel_) {
          copy_pieces(from, q_.out, count, panel_, to);
          continue;
        }
        for (int64_t i = 0; i < count; ++i) {
          std::copy_n(from + i * q_.out, size, to + i * panel_);
          std::fill(to + i * panel_ + size, to + (i + 1) * panel_, 0.0F);
        }
      }
    }
  }

  struct Runs {
    std::array<OuterRun, kMostRuns> list;
    size_t count = 0;
  };

  // Where a cell of the kernel meets x, row by row; rows that follow each other join.
  void find_runs(const Block& block, int64_t cell, Runs& runs) const {
    const int64_t ky = merged_ ? cell : cell / q_.kernel[1];
    const int64_t offset = merged_ ? 0 : cell % q_.kernel[1] * q_.dilation[1] - q_.pad[1];
    const int64_t stride = merged_ ? 1 : q_.stride[1];
    const int64_t begin = std::max<int64_t>(0, ceil_div(-offset, stride));
    const int64_t end = std::min(q_.columns, floor_div(width_ - 1 - offset, stride) + 1);
    runs.count = 0;
    if (begin >= end) return;
    for (int64_t i = 0; i < block.images * block.rows; ++i) {
      const int64_t image = i / block.rows;
      const int64_t x_row = (block.row + i % block.rows) * q_.stride[0] - q_.pad[0] +
                            ky * q_.dilation[0] - block.first_x;
      if (x_row < 0 || x_row >= block.x_rows) continue;
      const int64_t pixel = (image * block.x_rows + x_row) * width_ + offset + begin * stride;
      add_run({static_cast<size_t>(pixel * tile_),
               static_cast<size_t>((i * q_.columns + begin) * panel_),
               static_cast<size_t>(end - begin)},
              runs);
    }
  }
  void add_run(const OuterRun& run, Runs& runs) const {
    if (runs.count > 0) {
      OuterRun& last = runs.list[runs.count - 1];
      if (run.a == last.a + last.count * a_step() &&
          run.b == last.b + last.count * static_cast<size_t>(panel_)) {
        last.count += run.count;
        return;
      }
    }
    runs.list[runs.count++] = run;
  }
  size_t a_step() const { return static_cast<size_t>((merged_ ? 1 : q_.stride[1]) * tile_); }

  void multiply(const Block& block, const Part& part, int64_t cell) const {
    Runs runs;
    find_runs(block, cell, runs);
    if (runs.count == 0) return;
    const int64_t a_positions = block.images * block.x_rows * width_;
    const int64_t b_positions = block.images * block.rows * q_.columns;
    for (int64_t panel = 0; panel < part.last - part.first; ++panel) {
      float* sums = part.sums + panel * panel_sums() + cell * tiles_ * tile_ * panel_;
      for (int64_t t = 0; t < tiles_; ++t) {
        outer_.accumulate({.a = part.a + t * a_positions * tile_,
                           .b = part.b + panel * b_positions * panel_,
                           .runs = runs.list.data(),
                           .run_count = runs.count,
                           .a_step = a_step(),
                           .c = sums + t * tile_ * panel_,
                           .rows = static_cast<size_t>(tile_)});
      }
    }
  }

  // To [out, in, kernel…].
  void write_panel(const float* sums, int64_t panel, float* w) const {
    const int64_t window = q_.kernel[0] * q_.kernel[1];
    const int64_t across = merged_ ? q_.kernel[1] : 1;  // cells of the kernel among the channels
    const int64_t columns = std::min(panel_, q_.out - panel * panel_);
    for (int64_t c = 0; c < q_.in; ++c) {
      for (int64_t j = 0; j < columns; ++j) {
        float* to = w + ((panel * panel_ + j) * q_.in + c) * window;
        for (int64_t k = 0; k < window; ++k) {
          const int64_t row = k / across * tiles_ * tile_ + k % across * q_.in + c;
          to[k] = sums[row * panel_ + j];
        }
      }
    }
  }

  Planes q_;
  const OuterFunctions& outer_;
  bool merged_;
  int64_t channels_;  // of the left side
  int64_t tiles_, tile_;
  int64_t width_;  // positions of a packed row of x
  int64_t cells_;  // of the kernel that are told apart by runs
  int64_t panels_, panel_;
  int64_t images_, rows_;  // of a block
  int64_t x_rows_;
  int64_t slots_;
  int threads_;
};

Support supports_weights(const NodeSpec& spec) {
  for (const TensorSpec* t : {&spec.inputs[kY], &spec.inputs[kX], &spec.outputs[0]}) {
    if (t->dtype != DType::kFloat) return Support::no("not float");
    if (element_count(t->dims) == 0) return Support::no("nothing to compute");
  }
  if (conv_layout() != kChannelsLast) return Support::no("blocked layout");
  const size_t rank = spec.inputs[kX].dims.size();
  if (rank != 3 && rank != 4) return Support::no(cat("rank ", rank));
  if (spec.node->attributes.i("group", 1) != 1) return Support::no("groups");
  return {};
}

Compiled compile_weights(const NodeSpec& spec, const CompileContext& context) {
  const ConvParams p =
      conv_params(spec.node->attributes, spec.inputs[kX].dims, spec.outputs[0].dims);
  auto kernel = std::make_unique<WeightsKernel>(planes_of(p), context.threads);
  Compiled compiled;
  compiled.name = "native conv_grad_weights";
  compiled.scratch_bytes = kernel->scratch_bytes();
  compiled.kernel = std::move(kernel);
  compiled.input_layouts = {accept(spec.inputs[kY], kChannelsLast),
                            accept(spec.inputs[kX], kChannelsLast), kPlain};
  compiled.reads = {true, true, false};
  return compiled;
}

}  // namespace

const Family kNativeConvGradWeights{"native conv_grad_weights", supports_weights, compile_weights};

}  // namespace treadle::cpu
