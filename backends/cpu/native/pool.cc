#include "backends/cpu/native/pool.h"

#include <array>
#include <limits>
#include <type_traits>

#include "backends/cpu/epilogue.h"
#include "backends/cpu/layout.h"
#include "backends/cpu/native/view.h"
#include "backends/cpu/parallel.h"
#include "backends/cpu/pool_window.h"
#include "backends/cpu/simd/channels.h"
#include "backends/cpu/simd/rows.h"
#include "graph/ops/iterate.h"
#include "graph/ops/window.h"

namespace treadle::cpu {
namespace {

bool is_byte(DType dtype) { return dtype == DType::kUint8 || dtype == DType::kInt8; }

Support supports_max_pool(const NodeSpec& spec) {
  if (spec.outputs.size() > 1 && spec.outputs[1].present()) return Support::no("Indices");
  const TensorSpec& x = spec.inputs[0];
  if (!is_byte(x.dtype)) {
    if (Support s = supports_f32(spec); !s.ok) return s;
  } else if (element_count(spec.outputs[0].dims) == 0) {
    return Support::no("empty tensor");
  }
  const size_t rank = x.dims.size();
  if (rank < 3 || rank > 5) return Support::no(cat("rank ", rank));
  if (!windows_meet_input(pool_params(spec.node->attributes, x.dims)))
    return Support::no("window within the padding");
  return {};
}

// Channels (or a block of them) lie innermost: `lanes` numbers a cell, `planes` in all.
class WindowKernel : public Kernel {
 public:
  WindowKernel(const PoolParams& p, int64_t planes, int64_t lanes, int threads)
      : planes_(planes), lanes_(lanes), threads_(threads) {
    WindowRows rows(p);
    for (int64_t row = 0; row < rows.row_count(); ++row) taps_.push_back(rows.taps(row));
    columns_ = rows.columns();
    row_length_ = rows.row_length();
    stride_ = rows.stride();
    input_plane_ = rows.input_plane();
    row_work_ = rows.row_length() * rows.kernel_size() * lanes;
  }

 protected:
  int64_t rows() const { return static_cast<int64_t>(taps_.size()); }  // of a plane
  int64_t grain(int64_t rows) const {
    return std::max<int64_t>(1, kParallelGrain / std::max<int64_t>(1, row_work_ * rows));
  }
  // f(offset) for each cell of the window at column o of an output row.
  template <class F>
  void for_cells(int64_t row, int64_t o, const F& f) const {
    for (const WindowRows::Tap& tap : taps(row)) {
      for (const WindowRows::Column& column : columns_) {
        if (o < column.begin || o >= column.end) continue;
        f((tap.input + column.first + o * stride_) * lanes_);
      }
    }
  }

  const std::vector<WindowRows::Tap>& taps(int64_t row) const {
    return taps_[static_cast<size_t>(row)];
  }
  const std::vector<WindowRows::Column>& columns() const { return columns_; }

  int64_t planes_;
  int64_t lanes_;
  int threads_;
  int64_t row_length_;
  int64_t stride_;
  int64_t input_plane_;

 private:
  std::vector<std::vector<WindowRows::Tap>> taps_;  // of each output row
  std::vector<WindowRows::Column> columns_;
  int64_t row_work_;
};

template <class T>
MaximumFn<T> maximum_function() {
  const RowFunctions& f = row_functions();
  if constexpr (std::is_same_v<T, float>) {
    return f.maximum;
  } else if constexpr (std::is_same_v<T, uint8_t>) {
    return f.maximum_uint8;
  } else {
    return f.maximum_int8;
  }
}

template <class T>
class MaxPoolKernel : public WindowKernel {
 public:
  MaxPoolKernel(const PoolParams& p, int64_t planes, int64_t lanes, int threads)
      : WindowKernel(p, planes, lanes, threads), width_(p.input.back()) {
    const auto across = static_cast<double>(p.kernel.back());
    const auto cells = static_cast<double>(element_count(p.kernel));
    const auto width = static_cast<double>(width_), length = static_cast<double>(row_length_);
    by_axes_ = cells / across * width + across * length < cells * length;
    for (const WindowRows::Column& column : columns()) {
      inner_begin_ = std::max(inner_begin_, column.begin);
      inner_end_ = std::min(inner_end_, column.end);
    }
    if (stride_ != 1 || inner_begin_ >= inner_end_) inner_begin_ = inner_end_ = -1;
  }
  size_t scratch_bytes() const {
    return by_axes_ ? static_cast<size_t>(threads_ * width_ * lanes_) * sizeof(T) : 0;
  }
  void run(const KernelArgs& args) const override {
    const auto* x = static_cast<const T*>(args.inputs[0]);
    auto* y = static_cast<T*>(args.outputs[0]);
    const int64_t all = planes_ * rows();
    const int64_t shares = std::clamp<int64_t>(all / grain(1), 1, threads_);
    parallel_for(threads_, shares, 1, [&](int64_t begin, int64_t end) {
      T* scratch = static_cast<T*>(args.scratch) + begin * width_ * lanes_;
      for (int64_t i = begin * all / shares; i < end * all / shares; ++i) {
        const T* plane = x + i / rows() * input_plane_ * lanes_;
        T* to = y + i * row_length_ * lanes_;
        if (by_axes_) {
          run_row_by_axes(i % rows(), plane, scratch, to);
        } else {
          run_row(i % rows(), plane, to);
        }
      }
    });
  }

 private:
  static constexpr size_t kMostCells = 64;  // that are looked at together

  // The greatest of cells that are added one by one.
  class Greatest {
   public:
    Greatest(MaximumFn<T> maximum, int64_t n, T* to)
        : maximum_(maximum), n_(static_cast<size_t>(n)), to_(to) {}
    void add(const T* cells) {
      if (count_ == kMostCells) {
        finish();
        cells_[0] = to_;
        count_ = 1;
      }
      cells_[count_++] = cells;
    }
    void finish() { maximum_(cells_.data(), count_, n_, to_); }

   private:
    MaximumFn<T> maximum_;
    size_t n_;
    T* to_;
    std::array<const T*, kMostCells> cells_;
    size_t count_ = 0;
  };

  void run_row(int64_t row, const T* plane, T* to) const {
    for (int64_t o = 0; o < row_length_; ++o, to += lanes_) {
      Greatest greatest(maximum_, lanes_, to);
      for_cells(row, o, [&](int64_t offset) { greatest.add(plane + offset); });
      greatest.finish();
    }
  }

  // First of whole rows of the input, then of the columns of what they give.
  void run_row_by_axes(int64_t row, const T* plane, T* scratch, T* to) const {
    Greatest down(maximum_, width_ * lanes_, scratch);
    for (const WindowRows::Tap& tap : taps(row)) down.add(plane + tap.input * lanes_);
    down.finish();
    for (int64_t o = 0; o < row_length_;) {
      const int64_t end = o == inner_begin_ ? inner_end_ : o + 1;
      Greatest across(maximum_, (end - o) * lanes_, to + o * lanes_);
      for (const WindowRows::Column& column : columns()) {
        if (o >= column.begin && o < column.end)
          across.add(scratch + (column.first + o * stride_) * lanes_);
      }
      across.finish();
      o = end;
    }
  }

  MaximumFn<T> maximum_ = maximum_function<T>();
  int64_t width_;
  bool by_axes_ = false;
  // Output cells whose windows lie within the row, where neighbours are next to one another.
  int64_t inner_begin_ = 0, inner_end_ = std::numeric_limits<int64_t>::max();
};

constexpr size_t kMostGradCells = 256;

class MaxPoolGradKernel : public WindowKernel {
 public:
  MaxPoolGradKernel(const PoolParams& p, int64_t planes, int64_t lanes, int threads)
      : WindowKernel(p, planes, lanes, threads) {
    for (size_t i = 0; i < p.rank(); ++i) {
      const bool dense = p.dilations[i] == 1 && p.kernel[i] == p.strides[i];
      const bool inside = p.pads_begin[i] == 0 && p.input[i] >= p.output[i] * p.strides[i];
      apart_ = apart_ && dense && inside;
      covered_ = covered_ && p.input[i] == p.output[i] * p.strides[i];
    }
  }
  void run(const KernelArgs& args) const override {
    const auto* dy = static_cast<const float*>(args.inputs[0]);
    const auto* x = static_cast<const float*>(args.inputs[1]);
    auto* dx = static_cast<float*>(args.outputs[0]);
    const int64_t size = input_plane_ * lanes_;
    parallel_for(threads_, planes_, grain(rows()), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        if (!apart_ || !covered_) std::fill_n(dx + i * size, size, 0.0F);
        run_plane(dy + i * rows() * row_length_ * lanes_, x + i * size, dx + i * size);
      }
    });
  }

 private:
  void run_plane(const float* dy, const float* x, float* dx) const {
    const auto spread = apart_ ? functions_.put_at_greatest : functions_.add_to_greatest;
    std::array<const float*, kMostGradCells> from;
    std::array<float*, kMostGradCells> to;
    size_t count = 0;
    for (int64_t row = 0; row < rows(); ++row) {
      for (int64_t o = 0; o < row_length_; ++o, dy += lanes_) {
        if (apart_ && o > 0) {
          for (size_t i = 0; i < count; ++i) from[i] += stride_ * lanes_;
          for (size_t i = 0; i < count; ++i) to[i] += stride_ * lanes_;
        } else {
          count = 0;
          for_cells(row, o, [&](int64_t offset) {
            from[count] = x + offset;
            to[count++] = dx + offset;
          });
        }
        spread({from.data(), to.data(), count, static_cast<size_t>(lanes_)}, dy);
      }
    }
  }

  const ChannelFunctions& functions_ = channel_functions();
  bool apart_ = true;    // each cell lies in one window at most, and windows have all their cells
  bool covered_ = true;  // each cell lies in one
};

// The layout that comes in unless that is plain, where neighbours belong to one window.
Layout window_layout(const TensorSpec& x) { return x.layout == kPlain ? kChannelsLast : x.layout; }

template <class K>
std::unique_ptr<K> make_kernel(const NodeSpec& spec, const Dims& x, Layout layout, int threads) {
  const Dims physical = physical_dims(x, layout);
  const int64_t blocks = layout == kBlocked16 ? physical[1] : 1;
  return std::make_unique<K>(pool_params(spec.node->attributes, x), x[0] * blocks, physical.back(),
                             threads);
}

Compiled compile_max_pool(const NodeSpec& spec, const CompileContext& context) {
  const TensorSpec& x = spec.inputs[0];
  const Layout layout = window_layout(x);
  Compiled compiled;
  dispatch(x.dtype, Types<float, uint8_t, int8_t>{}, [&]<class T>() {
    auto kernel = make_kernel<MaxPoolKernel<T>>(spec, x.dims, layout, context.threads);
    compiled.scratch_bytes = kernel->scratch_bytes();
    compiled.kernel = std::move(kernel);
  });
  compiled.name = "native max_pool";
  compiled.input_layouts = {accept(x, layout)};
  compiled.output_layouts = {canonical(spec.outputs[0].dims, layout)};
  return compiled;
}

Support supports_max_pool_grad(const NodeSpec& spec) {
  if (Support s = supports_f32(spec); !s.ok) return s;
  const Dims& x = spec.inputs[1].dims;
  if (x.size() < 3 || x.size() > 5) return Support::no(cat("rank ", x.size()));
  const PoolParams p = pool_params(spec.node->attributes, x);
  if (!windows_meet_input(p)) return Support::no("window within the padding");
  const int64_t cells = element_count(p.kernel);
  if (cells > static_cast<int64_t>(kMostGradCells)) return Support::no(cat(cells, " cells"));
  return {};
}

Compiled compile_max_pool_grad(const NodeSpec& spec, const CompileContext& context) {
  const TensorSpec& dy = spec.inputs[0];
  const TensorSpec& x = spec.inputs[1];
  const Layout layout = window_layout(x);
  Compiled compiled;
  compiled.kernel = make_kernel<MaxPoolGradKernel>(spec, x.dims, layout, context.threads);
  compiled.name = "native max_pool_grad";
  compiled.input_layouts = {accept(dy, layout), accept(x, layout)};
  compiled.output_layouts = {canonical(x.dims, layout)};
  return compiled;
}

}  // namespace

const Family kNativeMaxPool{"native max_pool", supports_max_pool, compile_max_pool};
const Family kNativeMaxPoolGrad{"native max_pool_grad", supports_max_pool_grad,
                                compile_max_pool_grad};

}  // namespace treadle::cpu
