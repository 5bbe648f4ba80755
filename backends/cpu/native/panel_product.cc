#include "backends/cpu/native/panel_product.h"

#include <algorithm>

#include "backends/cpu/native/lines.h"
#include "backends/cpu/parallel.h"

namespace treadle::cpu {
namespace {

constexpr int64_t kPanelFloats = 1 << 17, kMostDepth = 1536;
constexpr int64_t kRowFloats = 1 << 21;
constexpr int64_t kFewRows = 4;

}  // namespace

PanelProduct::PanelProduct(const Shape& shape, Panels panels, std::optional<Activation> activation,
                           int threads)
    : s_(shape), panels_(std::move(panels)), threads_(threads), functions_(gemm_functions()) {
  if (activation && activation->bounds()) {
    bounds_ = *activation->bounds();
  } else {
    activation_ = std::move(activation);
  }
  const auto panel = static_cast<int64_t>(functions_.panel);
  const auto most = static_cast<int64_t>(functions_.rows);
  // A piece is some rows by a stretch of columns; the epilogue runs over it while it is in L1.
  // Stretches are about equal, and so are pieces of rows, of which each thread has as many. The
  // panels of a stretch stay in L2, a part of their depth at a time where they are deep, and rows
  // in L3, which all stretches read.
  depth_ = ceil_div(s_.k, ceil_div(s_.k, kMostDepth));
  // Several threads share out shorter stretches more evenly.
  const int64_t floats = threads_ == 1 ? kPanelFloats : kPanelFloats / 2;
  const int64_t widest = std::clamp(floats / depth_, 2 * panel, static_cast<int64_t>(kTile));
  across_ = ceil_div(s_.n, widest);
  const int64_t equal = ceil_div(s_.n, across_);
  const int64_t unit = equal < 4 * panel ? 2 * panel : panel;  // narrow ones for the inner loop
  columns_ = ceil_div(equal, unit) * unit;
  blocks_ = ceil_div(s_.m, std::max(kRowFloats / s_.k, most));
  const int64_t rows = ceil_div(s_.m, blocks_);
  down_ = ceil_div(rows, most);
  if (down_ > 1) down_ = std::min(rows, ceil_div(down_, threads_) * threads_);
  if (threads_ > 1 && down_ == 1) columns_ = std::min(columns_, 4 * panel);
  across_ = ceil_div(s_.n, columns_);
  // Few rows take as long as reading the panels.
  const int64_t at_once = s_.m <= kFewRows ? 4 : 16;  // multiplications
  grain_ = std::max<int64_t>(
      1, at_once * kParallelGrain / std::max<int64_t>(1, ceil_div(rows, down_) * columns_ * s_.k));
}

void PanelProduct::run(const Operands& o) const {
  // A thread's rows lie in its cache where it made them; of what other threads made it reads least.
  if (threads_ > 1 && blocks_ == 1 && down_ >= threads_ && s_.m * (s_.k + s_.n) > s_.n * s_.k) {
    parallel_for(threads_, {.n = down_, .grain = ceil_div(grain_, across_)},
                 [&](int64_t begin, int64_t end) {
                   for (int64_t i = 0; i < across_; ++i) run_stretch(o, i, begin, end);
                 });
    return;
  }
  // Column by column, so that a thread reads few panels.
  const Workload work{.n = blocks_ * across_ * down_, .grain = grain_, .unit = down_};
  parallel_for(threads_, work, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end;) {
      const int64_t first = i % down_, last = std::min(down_, first + end - i);
      const bool turned = o.backward && down_ == 1;
      run_stretch(o, turned ? begin + end - 1 - i : i / down_, first, last);
      i += last - first;
    }
  });
}

// Pieces of rows from `first` to `last`, of a stretch of a block.
void PanelProduct::run_stretch(const Operands& o, int64_t stretch, int64_t first,
                               int64_t last) const {
  const int64_t column = stretch % across_ * columns_, block = stretch / across_ * down_;
  for (int64_t k = 0; k < s_.k; k += depth_) {
    for (int64_t i = first; i < last; ++i) run_piece(o, column, k, block + i);
  }
}

void PanelProduct::run_piece(const Operands& o, int64_t column, int64_t k, int64_t i) const {
  const auto panel = static_cast<int64_t>(functions_.panel);
  const bool turned = panels_.form == PanelForm::kTurned;
  const int64_t pieces = blocks_ * down_;
  const int64_t row = s_.m * i / pieces, end = s_.m * (i + 1) / pieces;
  const int64_t at = row * s_.n + column;
  float* y = o.y + at;
  GemmBlock block{.a = o.a + row * s_.a_stride + k,
                  .a_stride = static_cast<size_t>(s_.a_stride),
                  .panels = panels_.at(turned ? k : column * s_.k + k * panel),
                  .k = static_cast<size_t>(std::min(depth_, s_.k - k)),
                  .depth = static_cast<size_t>(s_.k),
                  .bias = o.bias == nullptr || k > 0 ? nullptr : o.bias + column,
                  .plus = k > 0 ? y : nullptr,
                  .y = y,
                  .y_stride = static_cast<size_t>(s_.n),
                  .rows = static_cast<size_t>(end - row),
                  .columns = static_cast<size_t>(std::min(columns_, s_.n - column)),
                  .form = panels_.form};
  if (!o.backward && !turned) fetch_next(block, column, k, i);
  if (k == 0 && o.plus != nullptr) block.plus = o.plus + at;
  const bool last = k + depth_ >= s_.k;
  if (last) {
    block.low = bounds_.low;
    block.high = bounds_.high;
  }
  functions_.multiply(block);
  if (last && activation_) activation_->apply(y, block.rows, block.columns, block.y_stride);
}

// Each piece of rows fetches its share of the panels that come after these. A part of the depth
// of neighbouring panels lies s_.k rows apart.
void PanelProduct::fetch_next(GemmBlock& block, int64_t column, int64_t k, int64_t i) const {
  const bool deeper = k + depth_ < s_.k;
  if (!deeper && column + columns_ >= s_.n) return;
  const auto panel = static_cast<int64_t>(functions_.panel);
  const int64_t part = depth_ * panel, numbers = columns_ / panel * part;
  const int64_t from = numbers * (i % down_) / down_;
  const int64_t start = deeper ? column * s_.k + (k + depth_) * panel : (column + columns_) * s_.k;
  const int64_t at = start + from / part * panel * s_.k + from % part;
  const int64_t count = std::min(numbers / down_, part - from % part);
  if (at + count > panels_.count()) return;
  block.next = panels_.at(at);
  block.next_lines = static_cast<size_t>(panels_.at(at + count) - block.next) / kLineBytes;
}

}  // namespace treadle::cpu
