#include "backends/cpu/native/conv_input.h"

#include <algorithm>

#include "backends/cpu/layout.h"
#include "backends/cpu/native/conv_planes.h"
#include "backends/cpu/parallel.h"
#include "backends/cpu/simd/gemm.h"
#include "backends/cpu/simd/outer.h"

namespace treadle::cpu {
namespace {

constexpr size_t kY = 0, kW = 1;
// Floats of y's part of a block, and its positions.
constexpr int64_t kBlockFloats = 65536;
constexpr int64_t kFewestPositions = 64, kMostPositions = 512;

// The weights are one matrix [out, cells of the kernel x in], in panels of its columns. A panel's
// product with rows of y is added to x, cell by cell.
class InputKernel : public Kernel {
 public:
  InputKernel(const Planes& planes, int threads)
      : q_(planes), gemm_(gemm_functions()), outer_(outer_functions()), threads_(threads) {
    panel_ = static_cast<int64_t>(gemm_.panel);
    columns_ = q_.kernel[0] * q_.kernel[1] * q_.in;
    panels_ = ceil_div(columns_, panel_);
    const int64_t positions = std::clamp(kBlockFloats / q_.out, kFewestPositions, kMostPositions);
    const int64_t plane = q_.rows * q_.columns;
    rows_ = std::clamp<int64_t>(positions / q_.columns, 1, q_.rows);
    images_ = std::clamp<int64_t>(positions / plane, 1, q_.batch);
    groups_ = ceil_div(q_.batch, images_);
    slots_ = std::min<int64_t>(threads, groups_);
  }

  size_t scratch_bytes() const {
    const int64_t packed = checked_mul(panels_ * panel_, q_.out);
    return static_cast<size_t>(byte_size(DType::kFloat, packed + slots_ * product_floats()));
  }

  void run(const KernelArgs& args) const override {
    auto* panels = static_cast<float*>(args.scratch);
    parallel_for(threads_, panels_, 1, [&](int64_t begin, int64_t end) {
      pack(static_cast<const float*>(args.inputs[kW]), panels, begin, end);
    });
    float* products = panels + panels_ * panel_ * q_.out;
    parallel_slots(threads_, slots_, {.n = groups_}, [&](int64_t slot, int64_t begin, int64_t end) {
      for (int64_t g = begin; g < end; ++g)
        run_group(args, g, panels, products + slot * product_floats());
    });
  }

 private:
  int64_t product_floats() const { return rows_ * q_.columns * panel_; }

  // [out, in, kernel…] to columns (cell, in).
  void pack(const float* w, float* panels, int64_t begin, int64_t end) const {
    const int64_t cells = q_.kernel[0] * q_.kernel[1];
    for (int64_t panel = begin; panel < end; ++panel) {
      float* to = panels + panel * panel_ * q_.out;
      const int64_t count = std::min(panel_, columns_ - panel * panel_);
      for (int64_t m = 0; m < q_.out; ++m, to += panel_) {
        const float* from = w + m * columns_;
        for (int64_t j = 0; j < count; ++j) {
          const int64_t column = panel * panel_ + j;
          to[j] = from[column % q_.in * cells + column / q_.in];
        }
        std::fill(to + count, to + panel_, 0.0F);
      }
    }
  }

  void run_group(const KernelArgs& args, int64_t group, const float* panels,
                 float* products) const {
    if (args.control != nullptr) args.control->poll();
    const int64_t first = group * images_;
    const int64_t count = std::min(images_, q_.batch - first);
    const int64_t x_plane = q_.height * q_.width * q_.in;
    const int64_t y_plane = q_.rows * q_.columns * q_.out;
    auto* x = static_cast<float*>(args.outputs[0]) + first * x_plane;
    const auto* y = static_cast<const float*>(args.inputs[kY]) + first * y_plane;
    std::fill_n(x, count * x_plane, 0.0F);
    for (int64_t row = 0; row < q_.rows; row += rows_) {
      const int64_t last = std::min(row + rows_, q_.rows);
      for (int64_t panel = 0; panel < panels_; ++panel) {
        for (int64_t n = 0; n < count; ++n) {
          add_panel({panels + panel * panel_ * q_.out, y + n * y_plane, x + n * x_plane, products},
                    panel, row, last);
        }
      }
    }
  }

  struct Operands {
    const float* panel;
    const float* y;  // of an image
    float* x;
    float* products;
  };
  struct Range {
    int64_t begin, end;
  };
  // Output positions of an axis at which the cell of the kernel lies within x.
  Range within(size_t axis, int64_t cell, int64_t size, int64_t count) const {
    const int64_t offset = cell * q_.dilation[axis] - q_.pad[axis];
    return {std::max<int64_t>(0, ceil_div(-offset, q_.stride[axis])),
            std::min(count, floor_div(size - 1 - offset, q_.stride[axis]) + 1)};
  }

  void add_panel(const Operands& o, int64_t panel, int64_t row, int64_t last) const {
    const int64_t first_column = panel * panel_;
    const int64_t end_column = std::min(first_column + panel_, columns_);
    const int64_t across = q_.in * q_.kernel[1];
    const Range top = within(0, first_column / across, q_.height, q_.rows);
    const Range bottom = within(0, (end_column - 1) / across, q_.height, q_.rows);
    const int64_t begin = std::max(row, std::min(top.begin, bottom.begin));
    const int64_t end = std::min(last, std::max(top.end, bottom.end));
    if (begin >= end) return;
    gemm_.multiply({.a = o.y + begin * q_.columns * q_.out,
                    .a_stride = static_cast<size_t>(q_.out),
                    .panels = o.panel,
                    .k = static_cast<size_t>(q_.out),
                    .bias = nullptr,
                    .y = o.products,
                    .y_stride = static_cast<size_t>(panel_),
                    .rows = static_cast<size_t>((end - begin) * q_.columns),
                    .columns = static_cast<size_t>(panel_)});
    for (int64_t column = first_column; column < end_column;) {
      const int64_t next = std::min(end_column, (column / q_.in + 1) * q_.in);
      add_cell(o, {column, next}, first_column, {begin, end});
      column = next;
    }
  }

  // The columns of one cell of the kernel, from the products of rows [rows.begin, rows.end).
  void add_cell(const Operands& o, Range columns, int64_t first_column, Range rows) const {
    const int64_t cell = columns.begin / q_.in;
    const int64_t ky = cell / q_.kernel[1], kx = cell % q_.kernel[1];
    const Range down = within(0, ky, q_.height, q_.rows);
    const Range across = within(1, kx, q_.width, q_.columns);
    if (across.begin >= across.end) return;
    for (int64_t r = std::max(rows.begin, down.begin); r < std::min(rows.end, down.end); ++r) {
      const int64_t y = r * q_.stride[0] + ky * q_.dilation[0] - q_.pad[0];
      const int64_t x = across.begin * q_.stride[1] + kx * q_.dilation[1] - q_.pad[1];
      const int64_t from = ((r - rows.begin) * q_.columns + across.begin) * panel_;
      outer_.add({.from = o.products + from + columns.begin - first_column,
                  .from_step = static_cast<size_t>(panel_),
                  .to = o.x + (y * q_.width + x) * q_.in + columns.begin % q_.in,
                  .to_step = static_cast<size_t>(q_.stride[1] * q_.in),
                  .count = static_cast<size_t>(across.end - across.begin),
                  .n = static_cast<size_t>(columns.end - columns.begin)});
    }
  }

  Planes q_;
  const GemmFunctions& gemm_;
  const OuterFunctions& outer_;
  int threads_;
  int64_t panel_, panels_;
  int64_t columns_;         // of the weights as a matrix
  int64_t rows_, images_;   // of a block
  int64_t groups_, slots_;  // of images; of threads that work
};

// Of whole vectors of channels and with stride 1, oneDNN's are faster.
bool input_pays(const NodeSpec& spec) {
  const ConvParams p =
      conv_params(spec.node->attributes, spec.outputs[0].dims, spec.inputs[kW].dims);
  const bool steps = std::ranges::all_of(p.strides, [](int64_t s) { return s == 1; });
  const int64_t panel = static_cast<int64_t>(gemm_functions().panel);
  const bool whole = p.in_channels % panel == 0 && p.out_channels % panel == 0;
  return !steps || !whole;
}

Compiled compile_input(const NodeSpec& spec, const CompileContext& context) {
  const ConvParams p =
      conv_params(spec.node->attributes, spec.outputs[0].dims, spec.inputs[kW].dims);
  auto kernel = std::make_unique<InputKernel>(planes_of(p), context.threads);
  Compiled compiled = channels_last_conv(spec, {2});
  compiled.name = "native conv_grad_input";
  compiled.scratch_bytes = kernel->scratch_bytes();
  compiled.kernel = std::move(kernel);
  return compiled;
}

}  // namespace

const Family kNativeConvGradInput{"native conv_grad_input", supports_planes, compile_input,
                                  input_pays};

}  // namespace treadle::cpu
