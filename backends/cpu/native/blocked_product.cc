#include "backends/cpu/native/blocked_product.h"

#include <algorithm>
#include <cstring>

namespace treadle::cpu {
namespace {

constexpr int64_t kShallow = 16;  // up to so many rows of b are read where they lie

// Where the matrices of each product begin, in elements.
std::vector<std::pair<int64_t, int64_t>> batch_of(const Product& p) {
  std::vector<std::pair<int64_t, int64_t>> all{{0, 0}};
  for (size_t i = 0; i + 2 < p.y.size(); ++i) {
    const int64_t a = p.a.dims[i] == 1 ? 0 : p.a.strides[i];
    const int64_t b = p.b.dims[i] == 1 ? 0 : p.b.strides[i];
    std::vector<std::pair<int64_t, int64_t>> next;
    next.reserve(all.size() * static_cast<size_t>(p.y[i]));
    for (const auto& [at_a, at_b] : all) {
      for (int64_t j = 0; j < p.y[i]; ++j) next.emplace_back(at_a + j * a, at_b + j * b);
    }
    all = std::move(next);
  }
  return all;
}

// Where part i begins of a size that is divided in about equal multiples of `grain`.
int64_t part(int64_t size, int64_t grain, int64_t parts, int64_t i) {
  return std::min(size, ceil_div(size, grain) * i / parts * grain);
}

}  // namespace

BlockedProduct::BlockedProduct(const Product& p, int threads)
    : functions_(product_functions()),
      panel_(static_cast<int64_t>(functions_.panel)),
      tile_(static_cast<int64_t>(functions_.rows)),
      m_(p.m()),
      n_(p.n()),
      k_(p.k()),
      a_row_(p.a.strides[p.y.size() - 2]),
      a_step_(p.a.strides.back()),
      b_row_(p.b.strides[p.y.size() - 2]),
      b_column_(p.b.strides.back()),
      batch_(batch_of(p)) {
  split(threads);
  const int64_t depth = std::min(kDepth, k_);
  const int64_t columns = ceil_div(n_, column_parts_) + panel_;
  panels_floats_ = ceil_div(std::min(kColumns, columns), panel_) * panel_ * depth;
  slot_floats_ = panels_floats_ + ceil_div(std::min(kRows, m_), tile_) * tile_ * depth;
}

// A thread takes whole products of the batch, or else rows, or else columns.
void BlockedProduct::split(int threads) {
  const auto batch = static_cast<int64_t>(batch_.size());
  const double grains = product_work(batch, m_, n_, k_) / (16.0 * kParallelGrain);
  const int64_t wanted =
      grains < threads ? std::max<int64_t>(1, static_cast<int64_t>(grains)) : threads;
  if (batch % wanted != 0 && batch < 4 * wanted) {
    row_parts_ = m_ >= n_ ? std::min(wanted, ceil_div(m_, tile_)) : 1;
    if (row_parts_ == 1) column_parts_ = std::min(wanted, ceil_div(n_, panel_));
  }
  pieces_ = batch * row_parts_ * column_parts_;
  slots_ = static_cast<int>(std::min(wanted, pieces_));
}

BlockedProduct::Piece BlockedProduct::piece_at(int64_t i) const {
  const int64_t parts = row_parts_ * column_parts_;
  const int64_t row = i % row_parts_, column = i % parts / row_parts_;
  return {i / parts, part(m_, tile_, row_parts_, row), part(m_, tile_, row_parts_, row + 1),
          part(n_, panel_, column_parts_, column), part(n_, panel_, column_parts_, column + 1)};
}

bool BlockedProduct::lies_well(int64_t columns) const {
  return b_column_ == 1 && k_ <= kShallow && columns == panel_;
}

const float* BlockedProduct::right(const Operands& o, int64_t batch, const Depth& depth,
                                   int64_t column) const {
  return o.b + batch_[static_cast<size_t>(batch)].second + depth.first * b_row_ +
         column * b_column_;
}

void BlockedProduct::pack_right(const Operands& o, int64_t batch, const Depth& depth,
                                int64_t column, int64_t columns, float* to) const {
  // Few rows at a time are few pages at a time; columns that are contiguous are read along.
  const int64_t most = b_row_ == 1 ? depth.count : kShallow;
  for (int64_t k = 0; k < depth.count; k += most) {
    const Depth rows{depth.first + k, std::min(most, depth.count - k)};
    for (int64_t c = 0; c < columns; c += panel_) {
      const int64_t width = std::min(panel_, columns - c);
      if (lies_well(width)) continue;
      functions_.pack({.from = right(o, batch, rows, column + c),
                       .row = static_cast<size_t>(b_row_),
                       .column = static_cast<size_t>(b_column_),
                       .k = static_cast<size_t>(rows.count),
                       .columns = static_cast<size_t>(width)},
                      to + c * depth.count + k * panel_);
    }
  }
}

// Tiles of rows, each its columns one after another: what is read in columns would cost a line of
// the cache for each.
void BlockedProduct::pack_left(const float* a, const Depth& depth, int64_t rows, float* to) const {
  for (int64_t k = 0; k < depth.count; ++k, a += a_step_) {
    float* tile = to + k * tile_;
    int64_t r = 0;
    for (; r + tile_ <= rows; r += tile_, tile += depth.count * tile_)
      std::memcpy(tile, a + r, static_cast<size_t>(tile_) * sizeof(float));
    std::copy_n(a + r, rows - r, tile);
  }
}

void BlockedProduct::multiply(const Operands& o, int64_t batch, int64_t row, const Depth& depth,
                              const Block& block, float* scratch) const {
  const float* a =
      o.a + batch_[static_cast<size_t>(batch)].first + row * a_row_ + depth.first * a_step_;
  const bool packs = a_row_ == 1 && a_step_ != 1 && block.rows > tile_;
  float* tiles = scratch + panels_floats_;
  if (packs) pack_left(a, depth, block.rows, tiles);
  const int64_t step = packs ? tile_ : block.rows;
  for (int64_t c = 0; c < block.columns; c += panel_) {
    const int64_t columns = std::min(panel_, block.columns - c);
    const bool in_place = lies_well(columns);
    for (int64_t r = 0; r < block.rows; r += step) {
      functions_.multiply(
          {.a = packs ? tiles + r * depth.count : a,
           .a_row = static_cast<size_t>(a_row_),
           .a_step = static_cast<size_t>(packs ? tile_ : a_step_),
           .b = in_place ? right(o, batch, depth, block.column + c) : scratch + c * depth.count,
           .b_step = static_cast<size_t>(in_place ? b_row_ : panel_),
           .k = static_cast<size_t>(depth.count),
           .y = o.y + block.at + r * n_ + c,
           .y_row = static_cast<size_t>(n_),
           .rows = static_cast<size_t>(std::min(step, block.rows - r)),
           .columns = static_cast<size_t>(columns),
           .scale = o.scale,
           .add = o.add || depth.first > 0});
    }
  }
}

}  // namespace treadle::cpu
