// Products of matrices that change from run to run, in blocks that the caches hold: a stretch of
// rows of the right side is packed in panels, and blocks of the left side pass over them
// (K. Goto and R. van de Geijn, "Anatomy of High-Performance Matrix Multiplication", 2008).
#pragma once

#include "backends/cpu/parallel.h"
#include "backends/cpu/product.h"
#include "backends/cpu/simd/product.h"
#include "graph/ops/op.h"

namespace treadle::cpu {

class BlockedProduct {
 public:
  // `product` has no empty dimension.
  BlockedProduct(const Product& product, int threads);
  int64_t n() const { return n_; }
  size_t scratch_bytes() const {
    return static_cast<size_t>(slots_ * slot_floats_) * sizeof(float);
  }

  struct Operands {
    const float* a;
    const float* b;
    float* y;     // row-major
    float scale;  // of the product
    bool add;     // to what y holds
    float* scratch;
    const RunControl* control;  // may be null
  };
  // Rows of y by columns of it, both up to an end.
  struct Block {
    int64_t at;  // element of y where it begins
    int64_t rows;
    int64_t column, columns;
  };
  // Calls before(block) ahead of the first write to a block of y, after(block) behind the last.
  template <class Before, class After>
  void run(const Operands& o, const Before& before, const After& after) const {
    parallel_for(slots_, slots_, 1, [&](int64_t begin, int64_t end) {
      for (int64_t slot = begin; slot < end; ++slot) {
        float* scratch = o.scratch + slot * slot_floats_;
        for (int64_t i = slot * pieces_ / slots_; i < (slot + 1) * pieces_ / slots_; ++i)
          run_piece(o, piece_at(i), scratch, before, after);
      }
    });
  }

 private:
  static constexpr int64_t kDepth = 256;  // rows of b that are packed at a time
  static constexpr int64_t kRows = 96;    // of a block
  static constexpr int64_t kColumns = 512;

  // One thread's, within one product of the batch.
  struct Piece {
    int64_t batch;
    int64_t row, rows_end;
    int64_t column, columns_end;
  };
  struct Depth {
    int64_t first, count;
  };

  template <class Before, class After>
  void run_piece(const Operands& o, const Piece& p, float* scratch, const Before& before,
                 const After& after) const {
    for (int64_t column = p.column; column < p.columns_end; column += kColumns) {
      const int64_t columns = std::min(kColumns, p.columns_end - column);
      for (int64_t k = 0; k < k_; k += kDepth) {
        if (o.control != nullptr) o.control->poll();
        const Depth depth{k, std::min(kDepth, k_ - k)};
        pack_right(o, p.batch, depth, column, columns, scratch);
        for (int64_t row = p.row; row < p.rows_end; row += kRows) {
          const int64_t rows = std::min(kRows, p.rows_end - row);
          const Block block{(p.batch * m_ + row) * n_ + column, rows, column, columns};
          if (k == 0) before(block);
          multiply(o, p.batch, row, depth, block, scratch);
          if (k + kDepth >= k_) after(block);
        }
      }
    }
  }

  Piece piece_at(int64_t i) const;
  bool lies_well(int64_t columns) const;
  const float* right(const Operands& o, int64_t batch, const Depth& depth, int64_t column) const;
  void pack_right(const Operands& o, int64_t batch, const Depth& depth, int64_t column,
                  int64_t columns, float* to) const;
  void pack_left(const float* a, const Depth& depth, int64_t rows, float* to) const;
  void multiply(const Operands& o, int64_t batch, int64_t row, const Depth& depth,
                const Block& block, float* scratch) const;
  void split(int threads);

  const ProductFunctions& functions_;
  int64_t panel_, tile_;
  int64_t m_, n_, k_;
  int64_t a_row_, a_step_;
  int64_t b_row_, b_column_;
  std::vector<std::pair<int64_t, int64_t>> batch_;  // where its matrices begin
  int64_t row_parts_ = 1, column_parts_ = 1;        // of each product
  int64_t pieces_ = 1;
  int slots_ = 1;
  int64_t panels_floats_ = 0, slot_floats_ = 0;
};

}  // namespace treadle::cpu
