// Products of rows with packed panels, in pieces for the caches and the threads.
#pragma once

#include "backends/cpu/native/activation.h"
#include "backends/cpu/native/panels.h"

namespace treadle::cpu {

class PanelProduct {
 public:
  struct Shape {
    int64_t m = 1;
    int64_t n = 1;
    int64_t k = 1;
    int64_t a_stride = k;  // from a row of a to the next
  };
  struct Operands {
    const float* a;               // [m, k], rows a_stride apart
    const float* bias = nullptr;  // [n]
    const float* plus = nullptr;  // [m, n]; may be y
    float* y;                     // [m, n]
    // Columns from the last on (of few rows): a product again and again finds in the caches what
    // the last one ended with.
    bool backward = false;
  };
  // Without an activation, none.
  PanelProduct(const Shape& shape, Panels panels, std::optional<Activation> activation,
               int threads);
  // y = activation(a . panels + bias + plus)
  void run(const Operands& o) const;
  const Panels& panels() const { return panels_; }

 private:
  void run_stretch(const Operands& o, int64_t stretch, int64_t first, int64_t last) const;
  void run_piece(const Operands& o, int64_t column, int64_t k, int64_t i) const;
  void fetch_next(GemmBlock& block, int64_t column, int64_t k, int64_t i) const;

  Shape s_;
  Panels panels_;
  std::optional<Activation> activation_;  // that is no bounds
  Bounds bounds_;
  int threads_;
  const GemmFunctions& functions_;
  int64_t depth_ = 1;
  int64_t blocks_ = 1;                // of rows
  int64_t down_ = 1;                  // pieces of rows of a block
  int64_t across_ = 1, columns_ = 0;  // stretches, and how wide
  int64_t grain_ = 1;
};

}  // namespace treadle::cpu
