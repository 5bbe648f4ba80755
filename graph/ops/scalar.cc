#include "graph/ops/scalar.h"

namespace treadle {
namespace {

const Tensor& single(const EvalContext& c, size_t input) {
  const Tensor& t = c.input(input);
  TREADLE_CHECK(t.count() == 1, kInvalidData, "input '", c.node().op->input(input).name, "' has ",
                t.count(), " elements, expected 1");
  return t;
}

}  // namespace

int64_t scalar_int(const EvalContext& c, size_t input) { return single(c, input).to_ints()[0]; }
double scalar_double(const EvalContext& c, size_t input) {
  return single(c, input).to_doubles()[0];
}

Dim scalar_dim(const InferContext& c, size_t input) {
  const std::vector<Dim>* values = c.values(input);
  return values != nullptr && values->size() == 1 ? values->front() : Dim::unknown();
}

DType dtype_attribute(const Attributes& a, std::string_view name, DType otherwise) {
  const int64_t dtype = a.i(name, static_cast<int64_t>(otherwise));
  TREADLE_CHECK(dtype > 0 && dtype < kDTypeCount, kInvalidModel, "attribute '", name, "' is ",
                dtype, ", expected an element type");
  return static_cast<DType>(dtype);
}

}  // namespace treadle
