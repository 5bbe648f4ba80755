// Attributes of the recurrent operators, and the shapes that follow.
#include <algorithm>
#include <cmath>

#include "graph/ops/expect.h"
#include "graph/ops/recurrent.h"

namespace treadle {
namespace {

struct ActivationRow {
  std::string_view name;
  Activation::Kind kind;
  bool takes_alpha;
  bool takes_beta;
  double alpha;
  double beta;
};
constexpr ActivationRow kActivations[] = {
    {"Affine", Activation::Kind::kAffine, true, true, 1, 0},
    {"Elu", Activation::Kind::kElu, true, false, 1, 0},
    {"HardSigmoid", Activation::Kind::kHardSigmoid, true, true, 0.2, 0.5},
    {"LeakyRelu", Activation::Kind::kLeakyRelu, true, false, 0.01, 0},
    {"Relu", Activation::Kind::kRelu, false, false, 0, 0},
    {"ScaledTanh", Activation::Kind::kScaledTanh, true, true, 1, 1},
    {"Sigmoid", Activation::Kind::kSigmoid, false, false, 0, 0},
    {"Softplus", Activation::Kind::kSoftplus, false, false, 0, 0},
    {"Softsign", Activation::Kind::kSoftsign, false, false, 0, 0},
    {"Tanh", Activation::Kind::kTanh, false, false, 0, 0},
    {"ThresholdedRelu", Activation::Kind::kThresholdedRelu, true, false, 1, 0},
};

bool same_letters(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, [](char x, char y) { return (x | 0x20) == (y | 0x20); });
}

const ActivationRow& find_activation(const std::string& name) {
  const auto* row =
      std::ranges::find_if(kActivations, [&](const auto& r) { return same_letters(r.name, name); });
  TREADLE_CHECK(row != std::end(kActivations), kInvalidModel, "activation '", name,
                "' is not known");
  return *row;
}

std::vector<Activation> read_activations(const Attributes& attributes, int64_t gates,
                                         int64_t directions) {
  std::vector<std::string> names = attributes.strings("activations");
  const std::vector<std::string> defaults =
      gates == 1   ? std::vector<std::string>{"Tanh"}
      : gates == 3 ? std::vector<std::string>{"Sigmoid", "Tanh"}
                   : std::vector<std::string>{"Sigmoid", "Tanh", "Tanh"};
  const size_t count = defaults.size() * static_cast<size_t>(directions);
  // RNN's row gives two names by default, whatever the directions.
  if (gates == 1 && names.size() == 2 && directions == 1) names.resize(1);
  for (size_t i = 0; names.size() < count && (i != 0 || names.empty()); ++i) {
    names.push_back(defaults[i % defaults.size()]);
  }
  TREADLE_CHECK(names.size() == count, kInvalidModel, "attribute activations has ", names.size(),
                " entries, expected ", count);
  // Only the functions that have a parameter consume one.
  const std::vector<float> alphas = attributes.floats("activation_alpha");
  const std::vector<float> betas = attributes.floats("activation_beta");
  size_t alpha = 0;
  size_t beta = 0;
  std::vector<Activation> list;
  for (const std::string& name : names) {
    const ActivationRow& row = find_activation(name);
    Activation a{row.kind, row.alpha, row.beta};
    if (row.takes_alpha && alpha < alphas.size()) a.alpha = static_cast<double>(alphas[alpha++]);
    if (row.takes_beta && beta < betas.size()) a.beta = static_cast<double>(betas[beta++]);
    list.push_back(a);
  }
  return list;
}

int64_t read_directions(const Attributes& attributes) {
  const std::string direction = attributes.s("direction", "forward");
  TREADLE_CHECK(direction == "forward" || direction == "reverse" || direction == "bidirectional",
                kInvalidModel, "attribute direction is '", direction,
                "', expected forward, reverse or bidirectional");
  return direction == "bidirectional" ? 2 : 1;
}

bool read_layout(const Attributes& attributes) {
  const int64_t layout = attributes.i("layout", 0);
  TREADLE_CHECK(layout == 0 || layout == 1, kInvalidModel, "attribute layout is ", layout,
                ", expected 0 or 1");
  return layout == 1;
}

}  // namespace

double Activation::operator()(double x) const {
  switch (kind) {
    case Kind::kAffine: return alpha * x + beta;
    case Kind::kElu: return x >= 0 ? x : alpha * std::expm1(x);
    case Kind::kHardSigmoid: return std::clamp(alpha * x + beta, 0.0, 1.0);
    case Kind::kLeakyRelu: return x >= 0 ? x : alpha * x;
    case Kind::kRelu: return x >= 0 ? x : 0;
    case Kind::kScaledTanh: return alpha * std::tanh(beta * x);
    case Kind::kSigmoid: return 1 / (1 + std::exp(-x));
    case Kind::kSoftplus: return x > 0 ? x + std::log1p(std::exp(-x)) : std::log1p(std::exp(x));
    case Kind::kSoftsign: return x / (1 + std::abs(x));
    case Kind::kTanh: return std::tanh(x);
    case Kind::kThresholdedRelu: return x > alpha ? x : 0;
  }
  return x;
}

double RecurrentParams::activate(int64_t direction, size_t index, double x) const {
  const size_t each = activations.size() / static_cast<size_t>(directions);
  return activations[static_cast<size_t>(direction) * each + index](
      clip ? std::clamp(x, -*clip, *clip) : x);
}

Dims RecurrentParams::output_dims() const {
  return batch_first ? Dims{batch, sequence, directions, hidden}
                     : Dims{sequence, directions, batch, hidden};
}

Dims RecurrentParams::state_dims() const {
  return batch_first ? Dims{batch, directions, hidden} : Dims{directions, batch, hidden};
}

RecurrentParams recurrent_params(const Attributes& attributes, int64_t gates, const Dims& x,
                                 int64_t hidden) {
  TREADLE_CHECK(x.size() == 3, kInvalidModel, "X has shape ", shape_text(x), ", expected rank 3");
  TREADLE_CHECK(attributes.i("hidden_size", hidden) == hidden, kInvalidModel,
                "attribute hidden_size is ", attributes.i("hidden_size", hidden),
                ", but R has a hidden size of ", hidden);
  RecurrentParams p;
  p.batch_first = read_layout(attributes);
  p.sequence = x[p.batch_first ? 1 : 0];
  p.batch = x[p.batch_first ? 0 : 1];
  p.input = x[2];
  p.hidden = hidden;
  p.gates = gates;
  p.directions = read_directions(attributes);
  p.reverse_first = attributes.s("direction", "forward") == "reverse";
  if (attributes.has("clip")) {
    p.clip = static_cast<double>(attributes.f("clip", 0));
    TREADLE_CHECK(*p.clip >= 0, kInvalidModel, "attribute clip is ", *p.clip,
                  ", expected at least 0");
  }
  p.activations = read_activations(attributes, gates, p.directions);
  return p;
}

void infer_recurrent(InferContext& c, int64_t gates, const Dim& hidden_of_r) {
  const Shape& x = c.shape(0);
  TREADLE_CHECK(x.size() == 3, kInvalidModel, "X has shape ", shape_text(x), ", expected rank 3");
  const bool batch_first = read_layout(c.attributes());
  const Dim sequence = x[batch_first ? 1 : 0];
  const Dim batch = x[batch_first ? 0 : 1];
  const Dim directions = read_directions(c.attributes());
  const Dim hidden =
      c.attributes().has("hidden_size") ? Dim(c.attributes().i("hidden_size", 0)) : hidden_of_r;
  c.set_shape(0, batch_first ? Shape{batch, sequence, directions, hidden}
                             : Shape{sequence, directions, batch, hidden});
  const Shape state =
      batch_first ? Shape{batch, directions, hidden} : Shape{directions, batch, hidden};
  for (size_t i = 1; i < c.output_count(); ++i) c.set_shape(i, state);
  for (size_t weights : {1, 2})
    expect_shape(c, weights, {directions, Dim::unknown(), Dim::unknown()});
  expect_shape(c, 3, {directions, hidden * (2 * gates)});
  expect_shape(c, 4, {batch});
  expect_shape(c, 5, state);
  expect_shape(c, 6, state);
  expect_shape(c, 7, {directions, hidden * 3});
}

}  // namespace treadle
