#include "graph/ops/expect.h"

namespace treadle {
namespace {

bool may_equal(const Dim& a, const Dim& b) { return !a.known() || !b.known() || a == b; }

void check_shape(const Node& node, size_t i, const Shape& shape, const Shape& expected) {
  bool fits = shape.size() == expected.size();
  for (size_t d = 0; fits && d < shape.size(); ++d) fits = may_equal(shape[d], expected[d]);
  TREADLE_CHECK(fits, kInvalidModel, "input '", node.op->input(i).name, "' has shape ",
                shape_text(shape), ", expected ", shape_text(expected));
}

void check_broadcast(const Node& node, size_t i, const Shape& shape, const Shape& target) {
  bool fits = shape.size() <= target.size();
  for (size_t d = 1; fits && d <= shape.size(); ++d) {
    const Dim& own = shape[shape.size() - d];
    fits = own.is(1) || may_equal(own, target[target.size() - d]);
  }
  TREADLE_CHECK(fits, kInvalidModel, "input '", node.op->input(i).name, "' of shape ",
                shape_text(shape), " does not broadcast to ", shape_text(target));
}

}  // namespace

void expect_shape(const InferContext& c, size_t i, const Shape& expected) {
  if (c.rank_known(i)) check_shape(c.node(), i, c.shape(i), expected);
}
void expect_shape(const EvalContext& c, size_t i, const Dims& expected) {
  if (c.has(i)) check_shape(c.node(), i, symbolic(c.input(i).dims()), symbolic(expected));
}

void expect_broadcast_to(const InferContext& c, size_t i, const Shape& target) {
  if (c.rank_known(i)) check_broadcast(c.node(), i, c.shape(i), target);
}
void expect_broadcast_to(const EvalContext& c, size_t i, const Dims& target) {
  if (c.has(i)) check_broadcast(c.node(), i, symbolic(c.input(i).dims()), symbolic(target));
}

}  // namespace treadle
