// Gradients of matrix products: products with the other operand transposed.
#include "training/gradients/families.h"

namespace treadle {
namespace {

using Context = GradientContext;

// alpha * a' b' of matrices, ' = transposed where asked for.
Expr gemm(const Expr& a, bool transpose_a, const Expr& b, bool transpose_b, float alpha = 1) {
  Attributes attributes;
  if (alpha != 1) attributes.set("alpha", alpha);
  if (transpose_a) attributes.set("transA", int64_t{1});
  if (transpose_b) attributes.set("transB", int64_t{1});
  return a.op("Gemm", {b}, attributes);
}

// [..., m, k] as [all of the others, k].
Expr as_matrix(const Expr& x) {
  const Shape shape = x.shape();
  if (shape.size() == 2) return x;
  const Dim& last = shape.back();
  if (last.known() && last.value() > 0) return reshape(x, x.ints({-1, last.value()}));
  return reshape(x, concat({x.ints({-1}), size_of(x, x.rank() - 1)}, 0));
}

// Matrices both, perhaps with batch axes.
void matrix_product(Context& c, const Expr& a, const Expr& b, const Expr& gy) {
  const bool plain = a.rank() == 2 && b.rank() == 2;
  if (c.wants(0)) {
    const Expr ga = plain ? gemm(gy, false, b, true) : gy.op("MatMul", {swap_last(b)});
    c.set(0, reshape_like(sum_to(ga, a), c.x(0)));
  }
  if (!c.wants(1)) return;
  // One weight for all of a's batch: a single product sums over it.
  const Expr gb = b.rank() == 2 ? gemm(as_matrix(a), true, as_matrix(gy), false)
                                : swap_last(a).op("MatMul", {gy});
  c.set(1, reshape_like(sum_to(gb, b), c.x(1)));
}

// A vector on the left is a row, on the right a column; gy gets the axis back that went with it.
void matmul(Context& c) {
  Expr a = c.x(0);
  Expr b = c.x(1);
  Expr gy = c.gy();
  const bool column = b.rank() == 1;
  if (column) {
    b = unsqueeze(b, {1});
    gy = unsqueeze(gy, {-1});
  }
  if (a.rank() == 1) {
    a = unsqueeze(a, {0});
    gy = unsqueeze(gy, {-2});
  }
  matrix_product(c, a, b, gy);
}

void gemm_gradient(Context& c) {
  const Attributes& a = c.attributes();
  const float alpha = a.f("alpha", 1);
  const bool ta = a.i("transA", 0) != 0;
  const bool tb = a.i("transB", 0) != 0;
  const Expr gy = c.gy();
  if (c.wants(0)) {
    c.set(0, ta ? gemm(c.x(1), tb, gy, true, alpha) : gemm(gy, false, c.x(1), !tb, alpha));
  }
  if (c.wants(1)) {
    c.set(1, tb ? gemm(gy, true, c.x(0), ta, alpha) : gemm(c.x(0), !ta, gy, false, alpha));
  }
  if (c.has(2) && c.wants(2)) {
    const float beta = a.f("beta", 1);
    const Expr part = sum_to(gy, c.x(2));
    c.set(2, beta == 1 ? part : part * static_cast<double>(beta));
  }
}

constexpr GradientDef kRules[] = {
    {"MatMul", matmul},
    {"Gemm", gemm_gradient},
};

}  // namespace

std::span<const GradientDef> matmul_gradients() { return kRules; }

}  // namespace treadle
