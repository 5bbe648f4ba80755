// Operators that permute axes: Transpose, DepthToSpace, SpaceToDepth.
#include <algorithm>

#include "graph/builder.h"
#include "graph/ops/families.h"
#include "graph/ops/move.h"
#include "graph/ops/op.h"

namespace treadle {
namespace {

// The permutation, reversed axes by default; kInvalidModel when it is none.
std::vector<size_t> permutation(const Attributes& attributes, size_t rank) {
  std::vector<int64_t> given = attributes.ints("perm");
  if (!attributes.has("perm")) {
    for (size_t i = rank; i-- > 0;) given.push_back(static_cast<int64_t>(i));
  }
  TREADLE_CHECK(given.size() == rank, kInvalidModel, "perm has ", given.size(),
                " entries for rank ", rank);
  std::vector<size_t> perm;
  std::vector<bool> seen(rank, false);
  for (int64_t p : given) {
    TREADLE_CHECK(p >= 0 && p < static_cast<int64_t>(rank), kInvalidModel, "perm ",
                  shape_text(given), " names axis ", p, " of ", rank);
    const auto axis = static_cast<size_t>(p);
    TREADLE_CHECK(!seen[axis], kInvalidModel, "perm ", shape_text(given), " names axis ", axis,
                  " twice");
    seen[axis] = true;
    perm.push_back(axis);
  }
  return perm;
}

void transpose_to(const Tensor& from, const std::vector<size_t>& perm, Tensor& to) {
  const Dims own = strides_of(from.dims());
  Dims strides;
  for (size_t p : perm) strides.push_back(own[p]);
  copy_strided(from, strides, 0, to);
}

void infer_transpose(InferContext& c) {
  const Shape& shape = c.shape(0);
  Shape out;
  for (size_t p : permutation(c.attributes(), shape.size())) out.push_back(shape[p]);
  c.set_shape(0, out);
  if (const auto* values = c.values(0)) c.set_values(0, *values);
}

void eval_transpose(EvalContext& c) {
  const Tensor& x = c.input(0);
  const std::vector<size_t> perm = permutation(c.attributes(), x.dims().size());
  Dims dims;
  for (size_t p : perm) dims.push_back(x.dim(p));
  transpose_to(x, perm, c.output(0, dims));
}

// ---- DepthToSpace and SpaceToDepth over [N, C, H, W]: reshape to six axes, permute them, reshape
// back.

struct Blocks {
  int64_t size;
  bool depth_first;  // DCR: the block's two axes are outside of the channels
};

Blocks blocks_of(const Attributes& attributes, int64_t rank) {
  TREADLE_CHECK(rank == 4, kInvalidModel, "the input has rank ", rank, ", expected 4 (N, C, H, W)");
  const Blocks b{attributes.i("blocksize", 0), attributes.s("mode", "DCR") == "DCR"};
  TREADLE_CHECK(b.size > 0, kInvalidModel, "blocksize is ", b.size, ", expected at least 1");
  TREADLE_CHECK(b.depth_first || attributes.s("mode", "") == "CRD", kInvalidModel, "mode is '",
                attributes.s("mode", ""), "', expected DCR or CRD");
  return b;
}

Dim divided(const Dim& d, int64_t by, std::string_view what) {
  TREADLE_CHECK(!d.known() || d.value() % by == 0, kInvalidModel, what, " ", d.value(),
                " is not a multiple of ", by);
  return Dim::floor_div(d, by);
}

Shape depth_to_space_shape(const Shape& s, int64_t b) {
  return {s[0], divided(s[1], checked_mul(b, b), "the number of channels"), s[2] * Dim(b),
          s[3] * Dim(b)};
}

Shape space_to_depth_shape(const Shape& s, int64_t b) {
  return {s[0], s[1] * Dim(checked_mul(b, b)), divided(s[2], b, "the height"),
          divided(s[3], b, "the width")};
}

void infer_depth_to_space(InferContext& c) {
  const Blocks b = blocks_of(c.attributes(), c.rank(0));
  c.set_shape(0, depth_to_space_shape(c.shape(0), b.size));
}

void infer_space_to_depth(InferContext& c) {
  const Blocks b = blocks_of(c.attributes(), c.rank(0));
  c.set_shape(0, space_to_depth_shape(c.shape(0), b.size));
}

void eval_depth_to_space(EvalContext& c) {
  const Tensor& x = c.input(0);
  const Blocks b = blocks_of(c.attributes(), x.rank());
  const Dims out = *concrete(depth_to_space_shape(symbolic(x.dims()), b.size));
  const Dims split = b.depth_first ? Dims{out[0], b.size, b.size, out[1], x.dim(2), x.dim(3)}
                                   : Dims{out[0], out[1], b.size, b.size, x.dim(2), x.dim(3)};
  const std::vector<size_t> perm =
      b.depth_first ? std::vector<size_t>{0, 3, 4, 1, 5, 2} : std::vector<size_t>{0, 1, 4, 2, 5, 3};
  Tensor six = c.output(0, out).reshaped({out[0], out[1], x.dim(2), b.size, x.dim(3), b.size});
  transpose_to(x.reshaped(split), perm, six);
}

void eval_space_to_depth(EvalContext& c) {
  const Tensor& x = c.input(0);
  const Blocks b = blocks_of(c.attributes(), x.rank());
  const Dims out = *concrete(space_to_depth_shape(symbolic(x.dims()), b.size));
  const std::vector<size_t> perm =
      b.depth_first ? std::vector<size_t>{0, 3, 5, 1, 2, 4} : std::vector<size_t>{0, 1, 3, 5, 2, 4};
  const Dims permuted = b.depth_first ? Dims{out[0], b.size, b.size, x.dim(1), out[2], out[3]}
                                      : Dims{out[0], x.dim(1), b.size, b.size, out[2], out[3]};
  Tensor six = c.output(0, out).reshaped(permuted);
  transpose_to(x.reshaped({out[0], x.dim(1), out[2], b.size, out[3], b.size}), perm, six);
}

constexpr OpDef kRows[] = {
    {.kind = "Transpose",
     .inputs = "data:T",
     .outputs = "transposed:T",
     .types = "T=all",
     .attributes = "perm:is",
     .infer = infer_transpose,
     .eval = eval_transpose},
    {.kind = "DepthToSpace",
     .inputs = "input:T",
     .outputs = "output:T",
     .types = "T=all",
     .attributes = "blocksize:i! mode:s=DCR",
     .infer = infer_depth_to_space,
     .eval = eval_depth_to_space},
    {.kind = "SpaceToDepth",
     .inputs = "input:T",
     .outputs = "output:T",
     .types = "T=all",
     .attributes = "blocksize:i! mode:s=DCR",
     .infer = infer_space_to_depth,
     .eval = eval_space_to_depth},
};

}  // namespace

std::span<const OpDef> transpose_ops() { return kRows; }

}  // namespace treadle
