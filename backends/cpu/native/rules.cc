#include "backends/cpu/native/rules.h"

#include <cmath>
#include <limits>
#include <numbers>

namespace treadle::cpu {
namespace {

using Values = std::vector<TapeValue>;
using B = TapeBuilder;

// One node's rule: its operands (absent ones are NaN constants) to its value; nothing where it has
// none after all.
struct Rule {
  const char* kind;
  std::optional<TapeValue> (*apply)(B& b, const Node& node, const Values& in);
};

template <TapeOp op>
std::optional<TapeValue> one(B& b, const Node&, const Values& in) {
  return b.unary(op, in[0]);
}
template <TapeOp op>
std::optional<TapeValue> two(B& b, const Node&, const Values& in) {
  return b.binary(op, in[0], in[1]);
}
template <TapeOp op>
std::optional<TapeValue> two_swapped(B& b, const Node&, const Values& in) {
  return b.binary(op, in[1], in[0]);
}
template <TapeOp op>
std::optional<TapeValue> many(B& b, const Node&, const Values& in) {
  TapeValue v = in[0];
  for (size_t i = 1; i < in.size(); ++i) v = b.binary(op, v, in[i]);
  return v;
}
template <float (*function)(float)>
std::optional<TapeValue> call(B& b, const Node&, const Values& in) {
  return b.call(function, in[0]);
}

std::optional<TapeValue> relu(B& b, const Node&, const Values& in) {
  return b.clamp(in[0], 0, std::numeric_limits<float>::infinity());
}

std::optional<TapeValue> identity(B&, const Node&, const Values& in) { return in[0]; }

std::optional<TapeValue> mean(B& b, const Node& node, const Values& in) {
  return b.binary(TapeOp::kDiv, *many<TapeOp::kAdd>(b, node, in),
                  B::number(static_cast<float>(in.size())));
}

std::optional<TapeValue> clip(B& b, const Node& node, const Values& in) {
  TapeValue v = in[0];
  if (node.input(1).valid()) v = b.binary(TapeOp::kMax, v, in[1]);
  if (node.input(2).valid()) v = b.binary(TapeOp::kMin, v, in[2]);
  return v;
}

std::optional<TapeValue> select_negative(B& b, TapeValue x, TapeValue negative, TapeValue other) {
  return b.ternary(TapeOp::kWhere, b.binary(TapeOp::kLess, x, B::number(0)), negative, other);
}

std::optional<TapeValue> leaky_relu(B& b, const Node& node, const Values& in) {
  const float alpha = node.attributes.f("alpha", 0.01f);
  const TapeValue scaled = b.binary(TapeOp::kMul, in[0], B::number(alpha));
  if (alpha > 0 && alpha <= 1) return b.binary(TapeOp::kMax, in[0], scaled);
  return select_negative(b, in[0], scaled, in[0]);
}
std::optional<TapeValue> prelu(B& b, const Node&, const Values& in) {
  return select_negative(b, in[0], b.binary(TapeOp::kMul, in[0], in[1]), in[0]);
}

TapeValue scaled_expm1(B& b, TapeValue x, float scale) {
  return b.affine(b.unary(TapeOp::kExp, x), scale, -scale);
}
std::optional<TapeValue> elu(B& b, const Node& node, const Values& in) {
  const float alpha = node.attributes.f("alpha", 1);
  return select_negative(b, in[0], scaled_expm1(b, in[0], alpha), in[0]);
}
std::optional<TapeValue> selu(B& b, const Node& node, const Values& in) {
  const float alpha = node.attributes.f("alpha", 1.67326319217681884765625f);
  const float gamma = node.attributes.f("gamma", 1.05070102214813232421875f);
  const TapeValue positive = b.binary(TapeOp::kMul, in[0], B::number(gamma));
  return select_negative(b, in[0], scaled_expm1(b, in[0], alpha * gamma), positive);
}
std::optional<TapeValue> celu(B& b, const Node& node, const Values& in) {
  const float alpha = node.attributes.f("alpha", 1);
  const TapeValue inner = b.binary(TapeOp::kDiv, in[0], B::number(alpha));
  const TapeValue low = b.binary(TapeOp::kMin, scaled_expm1(b, inner, alpha), B::number(0));
  return b.binary(TapeOp::kAdd, b.binary(TapeOp::kMax, in[0], B::number(0)), low);
}
std::optional<TapeValue> thresholded_relu(B& b, const Node& node, const Values& in) {
  const TapeValue alpha = B::number(node.attributes.f("alpha", 1));
  const TapeValue above = b.binary(TapeOp::kLess, alpha, in[0]);
  return b.ternary(TapeOp::kWhere, above, in[0], B::number(0));
}
std::optional<TapeValue> hard_sigmoid(B& b, const Node& node, const Values& in) {
  return b.clamp(b.affine(in[0], node.attributes.f("alpha", 0.2f), node.attributes.f("beta", 0.5f)),
                 0, 1);
}

// The logarithm of 1 + x for x in [0, 1]: the rounded sum's, times what the rounding lost.
TapeValue log1p_of(B& b, TapeValue x) {
  const TapeValue sum = b.affine(x, 1, 1);
  const TapeValue lost = b.binary(TapeOp::kDiv, x, b.affine(sum, 1, -1));
  const TapeValue scaled = b.binary(TapeOp::kMul, b.unary(TapeOp::kLog, sum), lost);
  return b.ternary(TapeOp::kWhere, b.binary(TapeOp::kEqual, sum, B::number(1)), x, scaled);
}
TapeValue softplus_of(B& b, TapeValue x) {
  const TapeValue e = b.unary(TapeOp::kExp, b.unary(TapeOp::kNeg, b.unary(TapeOp::kAbs, x)));
  return b.binary(TapeOp::kAdd, b.binary(TapeOp::kMax, x, B::number(0)), log1p_of(b, e));
}
std::optional<TapeValue> softplus(B& b, const Node&, const Values& in) {
  return softplus_of(b, in[0]);
}
// x tanh(log(1 + e^x)) = x n / (n + 2) for n = e^x (e^x + 2); from 20 on it is x.
std::optional<TapeValue> mish(B& b, const Node&, const Values& in) {
  const TapeValue e =
      b.unary(TapeOp::kExp, b.clamp(in[0], -std::numeric_limits<float>::infinity(), 20));
  const TapeValue n = b.binary(TapeOp::kMul, e, b.affine(e, 1, 2));
  return b.binary(TapeOp::kMul, in[0], b.binary(TapeOp::kDiv, n, b.affine(n, 1, 2)));
}
std::optional<TapeValue> softsign(B& b, const Node&, const Values& in) {
  return b.binary(TapeOp::kDiv, in[0], b.affine(b.unary(TapeOp::kAbs, in[0]), 1, 1));
}
std::optional<TapeValue> swish(B& b, const Node& node, const Values& in) {
  return b.with(TapeOp::kSilu, in[0], node.attributes.f("alpha", 1));
}
std::optional<TapeValue> gelu(B& b, const Node& node, const Values& in) {
  const std::string approximate = node.attributes.s("approximate", "none");
  if (approximate == "none") return b.unary(TapeOp::kGelu, in[0]);
  if (approximate != "tanh") return std::nullopt;
  const TapeValue square = b.binary(TapeOp::kMul, in[0], in[0]);
  const TapeValue inner = b.affine(square, 0.044715f, 1);
  const TapeValue scaled = b.affine(b.binary(TapeOp::kMul, in[0], inner),
                                    std::sqrt(2 / std::numbers::pi_v<float>), -0.0f);
  const TapeValue gate = b.affine(b.unary(TapeOp::kTanh, scaled), 0.5f, 0.5f);
  return b.binary(TapeOp::kMul, in[0], gate);
}

std::optional<TapeValue> pow(B& b, const Node&, const Values& in) {
  const float e = in[1].number;
  if (in[1].known && !in[0].known) {
    const TapeValue square = b.binary(TapeOp::kMul, in[0], in[0]);  // dropped where not read
    if (e == 1) return in[0];
    if (e == 2) return square;
    if (e == 3) return b.binary(TapeOp::kMul, square, in[0]);
    if (e == 4) return b.binary(TapeOp::kMul, square, square);
    if (e == -1) return b.unary(TapeOp::kReciprocal, in[0]);
    if (e == -2) return b.unary(TapeOp::kReciprocal, square);
    // The root differs from pow only at -0 (its sign) and at -∞ (NaN).
  }
  return b.call([](float x, float y) { return std::pow(x, y); }, in[0], in[1]);
}

std::optional<TapeValue> mod(B& b, const Node& node, const Values& in) {
  if (node.attributes.i("fmod", 0) == 0) return std::nullopt;
  return b.call([](float x, float y) { return std::fmod(x, y); }, in[0], in[1]);
}

std::optional<TapeValue> where(B& b, const Node&, const Values& in) {
  return b.ternary(TapeOp::kWhere, in[0], in[1], in[2]);
}

std::optional<TapeValue> cast(B& b, const Node& node, const Values& in) {
  const auto to = static_cast<DType>(node.attributes.i("to", 0));
  if (!is_tape_dtype(to)) return std::nullopt;
  return to == DType::kBool ? b.binary(TapeOp::kOr, in[0], in[0]) : in[0];
}

constexpr Rule kRules[] = {
    {"Add", two<TapeOp::kAdd>},
    {"Sub", two<TapeOp::kSub>},
    {"Mul", two<TapeOp::kMul>},
    {"Div", two<TapeOp::kDiv>},
    {"Relu", relu},
    {"Sigmoid", one<TapeOp::kSigmoid>},
    {"Clip", clip},
    {"Tanh", one<TapeOp::kTanh>},
    {"Erf", one<TapeOp::kErf>},
    {"Gelu", gelu},
    {"HardSwish", one<TapeOp::kHardSwish>},
    {"HardSigmoid", hard_sigmoid},
    {"Swish", swish},
    {"Sqrt", one<TapeOp::kSqrt>},
    {"Pow", pow},
    {"Exp", one<TapeOp::kExp>},
    {"Log", one<TapeOp::kLog>},
    {"Neg", one<TapeOp::kNeg>},
    {"Abs", one<TapeOp::kAbs>},
    {"Reciprocal", one<TapeOp::kReciprocal>},
    {"Sign", one<TapeOp::kSign>},
    {"Floor", one<TapeOp::kFloor>},
    {"Ceil", one<TapeOp::kCeil>},
    {"Round", one<TapeOp::kRound>},
    {"Max", many<TapeOp::kMax>},
    {"Min", many<TapeOp::kMin>},
    {"Sum", many<TapeOp::kAdd>},
    {"Mean", mean},
    {"LeakyRelu", leaky_relu},
    {"PRelu", prelu},
    {"Elu", elu},
    {"Selu", selu},
    {"Celu", celu},
    {"ThresholdedRelu", thresholded_relu},
    {"Softplus", softplus},
    {"Softsign", softsign},
    {"Mish", mish},
    {"Identity", identity},
    {"Cast", cast},
    {"Equal", two<TapeOp::kEqual>},
    {"Less", two<TapeOp::kLess>},
    {"LessOrEqual", two<TapeOp::kLessOrEqual>},
    {"Greater", two_swapped<TapeOp::kLess>},
    {"GreaterOrEqual", two_swapped<TapeOp::kLessOrEqual>},
    {"Not", one<TapeOp::kNot>},
    {"And", two<TapeOp::kAnd>},
    {"Or", two<TapeOp::kOr>},
    {"Xor", two<TapeOp::kXor>},
    {"Where", where},
    {"IsNaN", one<TapeOp::kIsNan>},
    {"Mod", mod},
    {"Sin", call<std::sin>},
    {"Cos", call<std::cos>},
    {"Tan", call<std::tan>},
    {"Asin", call<std::asin>},
    {"Acos", call<std::acos>},
    {"Atan", call<std::atan>},
    {"Sinh", call<std::sinh>},
    {"Cosh", call<std::cosh>},
    {"Asinh", call<std::asinh>},
    {"Acosh", call<std::acosh>},
    {"Atanh", call<std::atanh>},
};

const Rule* find_rule(const Node& node) {
  if (!node.op->domain.empty()) return nullptr;
  for (const Rule& rule : kRules) {
    if (node.op->kind == rule.kind) return &rule;
  }
  return nullptr;
}

}  // namespace

std::optional<TapeValue> apply_rule(B& b, const Node& node, const Values& in, std::string* why) {
  const Rule* rule = find_rule(node);
  std::optional<TapeValue> value;
  if (rule != nullptr) value = rule->apply(b, node, in);
  if (!value) *why = cat("no elementwise rule for ", node.op->full_name());
  return value;
}

std::vector<const char*> ruled_kinds() {
  std::vector<const char*> kinds;
  for (const Rule& rule : kRules) kinds.push_back(rule.kind);
  return kinds;
}

}  // namespace treadle::cpu
