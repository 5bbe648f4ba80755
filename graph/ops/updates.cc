// The optimizers of ai.onnx.preview.training: Adagrad, Adam, Momentum. Each takes the learning rate
// R, the count of updates T, and then the tensors of each kind (values, gradients, states) one
// after the other.
#include "graph/builder.h"
#include "graph/ops/families.h"
#include "graph/ops/op.h"

namespace treadle {
namespace {

using Values = std::vector<ValueId>;

// One variable's value, its gradient with the norm's added, and up to two states.
struct Variable {
  ValueId value, gradient, first, second;
};

// Arithmetic in the variable's type.
class Formula {
 public:
  Formula(Builder& builder, const Node& node, const Variable& v)
      : b_(builder), node_(node), dtype_(builder.type(v.value).dtype) {}
  ValueId attribute(const char* name, float fallback, double scale = 1, double shift = 0) {
    return constant(static_cast<double>(node_.attributes.f(name, fallback)) * scale + shift);
  }
  ValueId constant(double value) { return b_.scalar(dtype_, value); }
  // A scalar input.
  ValueId number(size_t input) {
    return b_.op("Cast", {node_.input(input)}, {{"to", static_cast<int64_t>(dtype_)}});
  }
  ValueId op(const char* kind, ValueId x, ValueId y = {}) {
    return b_.op(kind, y.valid() ? Values{x, y} : Values{x});
  }
  // a * x + y
  ValueId scaled_sum(ValueId a, ValueId x, ValueId y) { return op("Add", op("Mul", a, x), y); }
  // Y where some update was made before, else the constant.
  ValueId after_first(ValueId y, ValueId otherwise) {
    const ValueId later = b_.op("Greater", {node_.input(1), b_.scalar(DType::kInt64, 0)});
    return b_.op("Where", {later, y, otherwise});
  }

 private:
  Builder& b_;
  const Node& node_;
  DType dtype_;
};

constexpr size_t kFirst = 2;  // index of the first tensor

// Calls step(formula, variable) for each variable; it returns the new value and states.
template <class Step>
Values for_each_variable(Builder& b, const Node& n, size_t kinds, Step&& step) {
  const size_t count = n.inputs.size() > kFirst ? n.inputs.size() - kFirst : 0;
  TREADLE_CHECK(count > 0 && count % kinds == 0, kInvalidModel, n.inputs.size(),
                " inputs, expected 2 and ", kinds, " for each variable");
  for (ValueId input : n.inputs) TREADLE_CHECK(input.valid(), kInvalidModel, "an input is missing");
  const size_t variables = count / kinds;
  Values results(variables * (kinds - 1));
  for (size_t i = 0; i < variables; ++i) {
    auto input = [&](size_t kind) {
      return kind < kinds ? n.input(kFirst + kind * variables + i) : ValueId{};
    };
    Variable v{input(0), input(1), input(2), input(3)};
    Formula f(b, n, v);
    v.gradient = f.scaled_sum(f.attribute("norm_coefficient", 0), v.value, v.gradient);
    const Values fresh = step(f, v);
    for (size_t k = 0; k < fresh.size(); ++k) results[k * variables + i] = fresh[k];
  }
  return results;
}

Values adagrad(Builder& b, const Node& n) {
  return for_each_variable(b, n, 3, [](Formula& f, const Variable& v) -> Values {
    const ValueId decay = f.scaled_sum(f.attribute("decay_factor", 0), f.number(1), f.constant(1));
    const ValueId rate = f.op("Div", f.number(0), decay);
    const ValueId squares = f.scaled_sum(v.gradient, v.gradient, v.first);
    const ValueId root = f.op("Add", f.op("Sqrt", squares), f.attribute("epsilon", 1e-6F));
    const ValueId step = f.op("Div", f.op("Mul", rate, v.gradient), root);
    return {f.op("Sub", v.value, step), squares};
  });
}

Values adam(Builder& b, const Node& n) {
  return for_each_variable(b, n, 4, [](Formula& f, const Variable& v) -> Values {
    const ValueId alpha = f.attribute("alpha", 0.9F);
    const ValueId beta = f.attribute("beta", 0.999F);
    const ValueId one = f.constant(1);
    const ValueId means =
        f.scaled_sum(alpha, v.first, f.op("Mul", f.op("Sub", one, alpha), v.gradient));
    const ValueId squares = f.scaled_sum(
        beta, v.second, f.op("Mul", f.op("Sub", one, beta), f.op("Mul", v.gradient, v.gradient)));
    const ValueId root = f.op("Add", f.op("Sqrt", squares), f.attribute("epsilon", 1e-6F));
    const ValueId rate = f.number(0);
    const ValueId count = f.number(1);
    const ValueId corrected =
        f.op("Div", f.op("Mul", rate, f.op("Sqrt", f.op("Sub", one, f.op("Pow", beta, count)))),
             f.op("Sub", one, f.op("Pow", alpha, count)));
    const ValueId step = f.op("Div", f.op("Mul", f.after_first(corrected, rate), means), root);
    const ValueId moved = f.op("Sub", v.value, step);
    return {f.op("Mul", f.attribute("norm_coefficient_post", 0, -1, 1), moved), means, squares};
  });
}

Values momentum(Builder& b, const Node& n) {
  const std::string mode = n.attributes.s("mode", "");
  TREADLE_CHECK(mode == "standard" || mode == "nesterov", kInvalidModel, "attribute 'mode' is '",
                mode, "', expected standard or nesterov");
  return for_each_variable(b, n, 3, [&](Formula& f, const Variable& v) -> Values {
    const ValueId alpha = f.attribute("alpha", 0);
    const ValueId weight = f.after_first(f.attribute("beta", 1), f.constant(1));
    const ValueId moment = f.scaled_sum(alpha, v.first, f.op("Mul", weight, v.gradient));
    const ValueId direction = mode == "standard" ? moment : f.scaled_sum(alpha, moment, v.gradient);
    return {f.op("Sub", v.value, f.op("Mul", f.number(0), direction)), moment};
  });
}

// The outputs are the values and states, in the order of the inputs, without the gradients.
void infer_update(InferContext& c, size_t kinds) {
  const size_t variables = (c.node().inputs.size() - kFirst) / kinds;
  for (size_t i = 0; i < c.output_count(); ++i) {
    const size_t from = kFirst + i + (i >= variables ? variables : 0);
    if (!c.has(from)) continue;
    c.set_dtype(i, c.dtype(from));
    if (c.rank_known(from)) c.set_shape(i, c.shape(from));
  }
}
void infer_two_states(InferContext& c) { infer_update(c, 4); }
void infer_one_state(InferContext& c) { infer_update(c, 3); }

// Gradient names values of its graph, which a kernel does not see: what loads a model replaces it.
void infer_gradient(InferContext& c) {
  for (size_t i = 0; i < c.output_count() && i < c.input_count(); ++i) c.set_type(i, c.type(i));
}
void eval_gradient(EvalContext&) {
  fail(Code::kUnsupported, "a Gradient within a body, or in a graph that was not loaded for it");
}

constexpr OpDef row(const char* kind, const char* attributes, InferFn infer,
                    DecomposeFn decompose) {
  return {.kind = kind,
          .inputs = "R:T1 T:int64 inputs*:T3",
          .outputs = "outputs*:T3",
          .types = "T1=float,double T3=float,double",
          .attributes = attributes,
          .infer = infer,
          .decompose = decompose,
          .domain = "ai.onnx.preview.training"};
}

constexpr OpDef kRows[] = {
    row("Adagrad", "decay_factor:f=0 epsilon:f=1e-06 norm_coefficient:f=0", infer_one_state,
        adagrad),
    row("Adam",
        "alpha:f=0.9 beta:f=0.999 epsilon:f=1e-06 norm_coefficient:f=0 norm_coefficient_post:f=0",
        infer_two_states, adam),
    row("Momentum", "alpha:f! beta:f! mode:s! norm_coefficient:f!", infer_one_state, momentum),
    {.kind = "Gradient",
     .inputs = "Inputs*:any",
     .outputs = "Outputs*:any",
     .attributes = "xs:ss! y:s! zs:ss",
     .infer = infer_gradient,
     .eval = eval_gradient,
     .traits = kDataDependent,
     .domain = "ai.onnx.preview.training"},
};

}  // namespace

std::span<const OpDef> update_ops() { return kRows; }

}  // namespace treadle
