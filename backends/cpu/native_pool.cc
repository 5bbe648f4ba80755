#include "backends/cpu/native_pool.h"

#include <array>

#include "backends/cpu/epilogue.h"
#include "backends/cpu/native_view.h"
#include "backends/cpu/onednn.h"
#include "backends/cpu/parallel.h"
#include "backends/cpu/pool.h"
#include "backends/cpu/simd_rows.h"
#include "graph/ops/window.h"

namespace treadle::cpu {
namespace {

Support supports_max_pool(const NodeSpec& spec) {
  if (spec.outputs.size() > 1 && spec.outputs[1].present()) return Support::no("Indices");
  if (Support s = supports_f32(spec); !s.ok) return s;
  const size_t rank = spec.inputs[0].dims.size();
  if (rank < 3 || rank > 5) return Support::no(cat("rank ", rank));
  if (!windows_meet_input(pool_params(spec.node->attributes, spec.inputs[0].dims)))
    return Support::no("window within the padding");
  return {};
}

// Channels (or a block of them) lie innermost: `lanes` floats a cell, `planes` in all.
class MaxPoolKernel : public Kernel {
 public:
  MaxPoolKernel(const PoolParams& p, int64_t planes, int64_t lanes, int threads)
      : planes_(planes), lanes_(lanes), functions_(row_functions()), threads_(threads) {
    WindowRows rows(p);
    for (int64_t row = 0; row < rows.row_count(); ++row) taps_.push_back(rows.taps(row));
    columns_ = rows.columns();
    row_length_ = rows.row_length();
    stride_ = rows.stride();
    input_plane_ = rows.input_plane();
    const int64_t work = rows.row_length() * rows.kernel_size() * lanes;
    grain_ = std::max<int64_t>(1, kParallelGrain / std::max<int64_t>(1, work));
  }

  void run(const KernelArgs& args) const override {
    const auto* x = static_cast<const float*>(args.inputs[0]);
    auto* y = static_cast<float*>(args.outputs[0]);
    const auto rows = static_cast<int64_t>(taps_.size());
    parallel_for(threads_, planes_ * rows, grain_, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const float* plane = x + i / rows * input_plane_ * lanes_;
        run_row(taps_[static_cast<size_t>(i % rows)], plane, y + i * row_length_ * lanes_);
      }
    });
  }

 private:
  static constexpr size_t kMostCells = 64;  // that are looked at together

  void run_row(const std::vector<WindowRows::Tap>& taps, const float* plane, float* to) const {
    std::array<const float*, kMostCells> cells;
    for (int64_t o = 0; o < row_length_; ++o, to += lanes_) {
      size_t count = 0;
      for (const WindowRows::Tap& tap : taps) {
        for (const WindowRows::Column& column : columns_) {
          if (o < column.begin || o >= column.end) continue;
          if (count == kMostCells) {
            functions_.maximum(cells.data(), count, static_cast<size_t>(lanes_), to);
            cells[0] = to;
            count = 1;
          }
          cells[count++] = plane + (tap.input + column.first + o * stride_) * lanes_;
        }
      }
      functions_.maximum(cells.data(), count, static_cast<size_t>(lanes_), to);
    }
  }

  int64_t planes_;
  int64_t lanes_;
  const RowFunctions& functions_;
  int threads_;
  std::vector<std::vector<WindowRows::Tap>> taps_;  // of each output row
  std::vector<WindowRows::Column> columns_;
  int64_t row_length_;
  int64_t stride_;
  int64_t input_plane_;
  int64_t grain_;
};

// Keeps the layout that comes in unless that is plain, where neighbours belong to one window.
Compiled compile_max_pool(const NodeSpec& spec, const CompileContext& context) {
  const TensorSpec& x = spec.inputs[0];
  const Layout layout = x.layout == kPlain ? conv_layout() : x.layout;
  const Dims physical = physical_dims(x.dims, layout);
  const int64_t blocks = layout == kBlocked16 ? physical[1] : 1;
  Compiled compiled;
  compiled.kernel =
      std::make_unique<MaxPoolKernel>(pool_params(spec.node->attributes, x.dims),
                                      x.dims[0] * blocks, physical.back(), context.threads);
  compiled.name = "native max_pool";
  compiled.input_layouts = {accept(x, layout)};
  compiled.output_layouts = {canonical(spec.outputs[0].dims, layout)};
  return compiled;
}

}  // namespace

const Family kNativeMaxPool{"native max_pool", supports_max_pool, compile_max_pool};

}  // namespace treadle::cpu
