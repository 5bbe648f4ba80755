// Gradients of Det and Inverse. That of Det are the cofactors, each the determinant of a minor, so
// that singular matrices have theirs too.
#include "training/gradients/families.h"

namespace treadle {
namespace {

using Context = GradientContext;

// Row i: the indices 0 … n-1 without i.
Expr others(const Expr& n) {
  const Expr left_out = unsqueeze(range(n), {1});
  const Expr k = range(n - 1);
  return k + cast(less(k, left_out).op("Not"), DType::kInt64);
}

// 1 and -1, as on a chessboard.
Expr signs(const Expr& n, DType dtype) {
  const Expr sum = unsqueeze(range(n), {1}) + range(n);
  return cast(1 - sum.op("Mod", {sum.number(2)}) * 2, dtype);
}

void det(Context& c) {
  const Expr x = c.x();
  const int64_t rank = x.rank();
  constexpr int64_t kMost = 256;  // the minors are n^4 numbers
  const Dim size = x.shape().back();
  if (size.known() && size.value() > kMost) {
    Context::refuse(cat("its matrices have ", size.value(), " rows, at most ", kMost));
  }
  const Expr n = size_of(x, rank - 1);
  const Expr index = others(n);
  // [..., i, row, j, column]
  const Expr minors =
      x.op("Gather", {index}, {{"axis", rank - 2}}).op("Gather", {index}, {{"axis", rank}});
  std::vector<int64_t> order;
  for (int64_t d = 0; d < rank - 2; ++d) order.push_back(d);
  for (int64_t d : {0, 2, 1, 3}) order.push_back(rank - 2 + d);
  const Expr cofactors = transpose(minors, order).op("Det") * signs(n, x.dtype());
  c.set(0, unsqueeze(c.gy(), {-2, -1}) * cofactors);
}

void inverse(Context& c) {
  const Expr transposed = swap_last(c.y());
  c.set(0, -matmul(matmul(transposed, c.gy()), transposed));
}

constexpr GradientDef kRules[] = {
    {"Det", det},
    {"Inverse", inverse, nullptr, "com.microsoft"},
};

}  // namespace

std::span<const GradientDef> det_gradients() { return kRules; }

}  // namespace treadle
