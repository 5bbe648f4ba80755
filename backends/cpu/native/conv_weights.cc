#include "backends/cpu/native/conv_weights.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "backends/cpu/layout.h"
#include "backends/cpu/native/conv_planes.h"
#include "backends/cpu/parallel.h"
#include "backends/cpu/simd/outer.h"

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

// `count` pieces of `size` floats, `step` apart, one after another. What lies behind a piece's own
// floats may come with it, up to `end`: its sums are never read.
void copy_pieces(const float* from, int64_t step, int64_t count, int64_t size, const float* end,
                 float* to) {
  int64_t whole = end - from < size ? 0 : std::min(count, (end - from - size) / step + 1);
  switch (size) {
    case 5: copy_tiles<5>(from, step, whole, to); break;
    case 6: copy_tiles<6>(from, step, whole, to); break;
    case 8: copy_tiles<8>(from, step, whole, to); break;
    case 16: copy_tiles<16>(from, step, whole, to); break;
    default: whole = 0;
  }
  for (int64_t i = whole; i < count; ++i) {
    const int64_t own = std::min<int64_t>(size, end - (from + i * step));
    std::copy_n(from + i * step, own, to + i * size);
    std::fill(to + i * size + own, to + (i + 1) * size, 0.0F);
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
  // Columns of a panel; the last may do with half of them.
  int64_t width_of(int64_t panel) const {
    return q_.out - panel * panel_ <= panel_ / 2 ? panel_ / 2 : panel_;
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
    const float* end = x + q_.batch * q_.height * q_.width * q_.in;
    for (int64_t t = 0; t < tiles_; ++t) {
      for (int64_t n = 0; n < block.images; ++n) {
        const int64_t pixel = ((block.image + n) * q_.height + block.first_x) * q_.width;
        copy_pieces(x + pixel * q_.in + t * tile_, q_.in, count, tile_, end,
                    part.a + (t * positions + n * count) * tile_);
      }
    }
  }

  // The row of a window at each position, zeros in the padding.
  void pack_windows(const float* x, const Block& block, const Part& part) const {
    const int64_t positions = block.images * block.x_rows * q_.columns;
    const float* end = x + q_.batch * q_.height * q_.width * q_.in;
    const bool inside = (q_.columns - 1) * q_.stride[1] + q_.kernel[1] <= q_.width;
    const bool dense = q_.dilation[1] == 1 && q_.pad[1] == 0 && inside;
    std::fill_n(part.window, tiles_ * tile_, 0.0F);
    int64_t position = 0;
    for (int64_t n = 0; n < block.images; ++n) {
      for (int64_t r = 0; r < block.x_rows; ++r, position += q_.columns) {
        const float* line =
            x + ((block.image + n) * q_.height + block.first_x + r) * q_.width * q_.in;
        for (int64_t t = 0; t < tiles_ && dense; ++t) {
          copy_pieces(line + t * tile_, q_.stride[1] * q_.in, q_.columns, tile_, end,
                      part.a + (t * positions + position) * tile_);
        }
        for (int64_t o = 0; o < q_.columns && !dense; ++o) {
          fill_window(line, o * q_.stride[1] - q_.pad[1], part.window);
          for (int64_t t = 0; t < tiles_; ++t) {
            std::copy_n(part.window + t * tile_, tile_,
                        part.a + (t * positions + position + o) * tile_);
          }
        }
      }
    }
  }
  void fill_window(const float* line, int64_t first, float* window) const {
    const int64_t size = q_.kernel[1] * q_.in;
    if (q_.dilation[1] == 1 && first >= 0 && first + q_.kernel[1] <= q_.width) {
      std::copy_n(line + first * q_.in, size, window);
      return;
    }
    for (int64_t k = 0; k < q_.kernel[1]; ++k, window += q_.in) {
      const int64_t at = first + k * q_.dilation[1];
      if (at >= 0 && at < q_.width) {
        std::copy_n(line + at * q_.in, q_.in, window);
      } else {
        std::fill_n(window, q_.in, 0.0F);
      }
    }
  }

  // Panel after panel, each as if it were whole.
  void pack_y(const float* y, const Block& block, const Part& part) const {
    const int64_t count = block.rows * q_.columns;
    const float* end = y + q_.batch * q_.rows * q_.columns * q_.out;
    for (int64_t panel = part.first; panel < part.last; ++panel) {
      const int64_t width = width_of(panel);
      float* to = part.b + (panel - part.first) * block.images * count * panel_;
      for (int64_t n = 0; n < block.images; ++n, to += count * width) {
        const int64_t pixel = ((block.image + n) * q_.rows + block.row) * q_.columns;
        copy_pieces(y + pixel * q_.out + panel * panel_, q_.out, count, width, end, to);
      }
    }
  }

  struct Runs {
    std::array<OuterRun, kMostRuns> list;
    size_t count = 0;
  };

  // Where a cell of the kernel meets x, row by row; rows that follow each other join.
  void find_runs(const Block& block, int64_t cell, int64_t width, Runs& runs) const {
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
      add_run(
          {static_cast<size_t>(pixel * tile_),
           static_cast<size_t>((i * q_.columns + begin) * width), static_cast<size_t>(end - begin)},
          static_cast<size_t>(width), runs);
    }
  }
  void add_run(const OuterRun& run, size_t width, Runs& runs) const {
    if (runs.count > 0) {
      OuterRun& last = runs.list[runs.count - 1];
      if (run.a == last.a + last.count * a_step() && run.b == last.b + last.count * width) {
        last.count += run.count;
        return;
      }
    }
    runs.list[runs.count++] = run;
  }
  size_t a_step() const { return static_cast<size_t>((merged_ ? 1 : q_.stride[1]) * tile_); }

  void multiply(const Block& block, const Part& part, int64_t cell) const {
    const int64_t a_positions = block.images * block.x_rows * width_;
    const int64_t b_positions = block.images * block.rows * q_.columns;
    Runs runs;
    int64_t runs_width = 0;
    for (int64_t panel = part.first; panel < part.last; ++panel) {
      const int64_t width = width_of(panel);
      if (width != runs_width) find_runs(block, cell, width, runs);
      runs_width = width;
      if (runs.count == 0) return;
      float* sums = part.sums + (panel - part.first) * panel_sums() + cell * tiles_ * tile_ * width;
      for (int64_t t = 0; t < tiles_; ++t) {
        outer_.accumulate({.a = part.a + t * a_positions * tile_,
                           .b = part.b + (panel - part.first) * b_positions * panel_,
                           .runs = runs.list.data(),
                           .run_count = runs.count,
                           .a_step = a_step(),
                           .c = sums + t * tile_ * width,
                           .rows = static_cast<size_t>(tile_),
                           .narrow = width != panel_});
      }
    }
  }

  // To [out, in, kernel…].
  void write_panel(const float* sums, int64_t panel, float* w) const {
    const int64_t window = q_.kernel[0] * q_.kernel[1];
    const int64_t across = merged_ ? q_.kernel[1] : 1;  // cells of the kernel among the channels
    const int64_t width = width_of(panel);
    const int64_t columns = std::min(width, q_.out - panel * panel_);
    for (int64_t c = 0; c < q_.in; ++c) {
      for (int64_t j = 0; j < columns; ++j) {
        float* to = w + ((panel * panel_ + j) * q_.in + c) * window;
        for (int64_t k = 0; k < window; ++k) {
          const int64_t row = k / across * tiles_ * tile_ + k % across * q_.in + c;
          to[k] = sums[row * width_of(panel) + j];
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

const Family kNativeConvGradWeights{"native conv_grad_weights", supports_planes, compile_weights};

}  // namespace treadle::cpu
