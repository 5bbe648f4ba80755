// Identity: the smallest family, and the example to copy.
#include "graph/ops/families.h"
#include "graph/ops/op.h"

namespace treadle {
namespace {

void infer_identity(InferContext& c) {
  c.set_type(0, c.type(0));
  if (const auto* values = c.values(0)) c.set_values(0, *values);
}

void eval_identity(EvalContext& c) {
  const Value& x = c.value(0);
  if (!x.is_tensor()) return c.set_output(0, x);
  // The runtime may have placed the output, so the bytes are copied rather than shared.
  const Tensor& from = x.tensor();
  Tensor& to = c.output(0, from.dtype(), from.dims());
  copy_elements(from, to);
}

constexpr OpDef kRows[] = {
    {.kind = "Identity",
     .inputs = "input:any",
     .outputs = "output:any",
     .infer = infer_identity,
     .eval = eval_identity},
};

}  // namespace

std::span<const OpDef> identity_ops() { return kRows; }

}  // namespace treadle
