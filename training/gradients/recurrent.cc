// RNN, GRU and LSTM for differentiation: a Scan over time for each direction. What does not depend
// on the state, the product with the inputs, is computed before it at once.
#include "graph/ops/recurrent.h"

#include "training/body.h"
#include "training/gradients/families.h"

namespace treadle {
namespace {

using Context = GradientContext;

enum Input : size_t { kX, kW, kR, kB, kLengths, kInitialH, kInitialC, kPeepholes };

Expr apply(const Activation& a, const Expr& x) {
  switch (a.kind) {
    case Activation::Kind::kAffine: return x * a.alpha + a.beta;
    case Activation::Kind::kElu:
      return where(less(x, 0), (minimum(x, x.number(0)).op("Exp") - 1) * a.alpha, x);
    case Activation::Kind::kHardSigmoid:
      return (x * a.alpha + a.beta).op("Clip", {x.number(0), x.number(1)});
    case Activation::Kind::kLeakyRelu: return where(less(x, 0), x * a.alpha, x);
    case Activation::Kind::kRelu: return x.op("Relu");
    case Activation::Kind::kScaledTanh: return (x * a.beta).op("Tanh") * a.alpha;
    case Activation::Kind::kSigmoid: return x.op("Sigmoid");
    case Activation::Kind::kSoftplus: return x.op("Softplus");
    case Activation::Kind::kSoftsign: return x.op("Softsign");
    case Activation::Kind::kTanh: return x.op("Tanh");
    case Activation::Kind::kThresholdedRelu: return where(less(a.alpha, x), x, 0);
  }
  return x;
}

// One direction: its parameters, laid out for the steps.
struct Direction {
  const RecurrentParams& p;
  int64_t index;
  Expr x;        // [time, batch, gates * hidden]: the inputs' part of the gates, with the biases
  Expr r;        // [hidden, gates * hidden]
  Expr r_fresh;  // GRU: of the new state, [hidden, hidden], and the bias of this part
  Expr b_fresh;
  Expr peepholes;  // LSTM: [3 * hidden], or absent

  Expr activate(size_t which, const Expr& at) const {
    const size_t each = p.activations.size() / static_cast<size_t>(p.directions);
    const Activation& a = p.activations[static_cast<size_t>(index) * each + which];
    if (!p.clip) return apply(a, at);
    return apply(a, at.op("Clip", {at.number(-*p.clip), at.number(*p.clip)}));
  }
  Expr part(const Expr& of, int64_t axis, int64_t k) const {
    return slice(of, axis, k * p.hidden, (k + 1) * p.hidden);
  }
};

// What one step reads, [batch, …], in the Scan's body.
struct Step {
  Context& c;
  const Direction& d;
  Body& body;
  Expr x;
  Expr h;
  Expr cell = {};

  Expr weights(const Expr& outer) const { return body.capture(outer.id()); }
};
using CellFn = std::vector<Expr> (*)(const Step&);  // the next h, and cell

std::vector<Expr> rnn_cell(const Step& s) {
  return {s.d.activate(0, s.x + matmul(s.h, s.weights(s.d.r)))};
}

std::vector<Expr> gru_cell(const Step& s) {
  const int64_t n = s.d.p.hidden;
  const Expr gates = slice(s.x, 1, 0, 2 * n) + matmul(s.h, s.weights(s.d.r));
  const Expr update = s.d.activate(0, s.d.part(gates, 1, 0));
  const Expr reset = s.d.activate(0, s.d.part(gates, 1, 1));
  const Expr r = s.weights(s.d.r_fresh);
  const Expr b = s.weights(s.d.b_fresh);
  const bool late = s.c.attributes().i("linear_before_reset", 0) != 0;
  const Expr product = late ? reset * (matmul(s.h, r) + b) : matmul(reset * s.h, r) + b;
  const Expr fresh = s.d.activate(1, s.d.part(s.x, 1, 2) + product);
  return {(1 - update) * fresh + update * s.h};
}

std::vector<Expr> lstm_cell(const Step& s) {
  const Expr all = s.x + matmul(s.h, s.weights(s.d.r));
  auto gate = [&](int64_t k, int64_t peephole, const Expr& cell) {
    const Expr own = s.d.part(all, 1, k);
    if (!s.d.peepholes.id().valid()) return s.d.activate(0, own);
    return s.d.activate(0, own + s.d.part(s.weights(s.d.peepholes), 0, peephole) * cell);
  };
  const Expr in = gate(0, 0, s.cell);
  const bool coupled = s.c.attributes().i("input_forget", 0) != 0;
  const Expr forget = coupled ? 1 - in : gate(2, 2, s.cell);
  const Expr cell = forget * s.cell + in * s.d.activate(1, s.d.part(all, 1, 3));
  return {gate(1, 1, cell) * s.d.activate(2, cell), cell};
}

struct Recurrent {
  Context& c;
  RecurrentParams p;
  CellFn cell;
  size_t states;      // of the cell
  Expr x = {};        // [time, batch, input]
  Expr lengths = {};  // int64 [batch], or absent
  Expr alive = {};    // bool [time, batch, 1], where there are lengths

  Expr of_direction(size_t input, int64_t d) const {
    return squeeze(slice(c.x(input), 0, d, d + 1), {0});
  }
};

Direction direction_of(const Recurrent& r, int64_t d) {
  Context& c = r.c;
  const int64_t n = r.p.hidden;
  const int64_t width = r.p.gates * n;
  Direction made{r.p, d, {}, swap_last(r.of_direction(kR, d)), {}, {}, {}};
  made.x = matmul(r.x, swap_last(r.of_direction(kW, d)));
  const bool gru = r.p.gates == 3;
  Expr state_bias = c.x(kX).number(0);
  if (c.has(kB)) {
    const Expr bias = r.of_direction(kB, d);
    made.x = made.x + slice(bias, 0, 0, width);
    state_bias = slice(bias, 0, width, 2 * width);
    // GRU's last gate may scale the state's bias with the product.
    const Expr early = gru ? concat({slice(state_bias, 0, 0, 2 * n),
                                     zeros_like(slice(state_bias, 0, 2 * n, width))},
                                    0)
                           : state_bias;
    made.x = made.x + early;
  }
  if (gru) {
    made.r_fresh = slice(made.r, 1, 2 * n, width);
    made.r = slice(made.r, 1, 0, 2 * n);
    made.b_fresh = c.has(kB) ? slice(state_bias, 0, 2 * n, width) : state_bias;
  }
  if (c.has(kPeepholes)) made.peepholes = r.of_direction(kPeepholes, d);
  return made;
}

Expr initial_state(const Recurrent& r, size_t input, int64_t d) {
  Context& c = r.c;
  if (c.has(input)) {
    const Expr all = r.p.batch_first ? transpose(c.x(input), {1, 0, 2}) : c.x(input);
    return squeeze(slice(all, 0, d, d + 1), {0});
  }
  return c.x(kX).number(0).op("Expand", {concat({size_of(r.x, 1), c.ints({r.p.hidden})}, 0)});
}

// As the sequences run: each backwards within its own length.
Expr reversed(const Recurrent& r, const Expr& x) {
  return x.op("ReverseSequence", {maximum(r.lengths, r.lengths.number(1))},
              {{"time_axis", int64_t{0}}, {"batch_axis", int64_t{1}}});
}

// Y of this direction [time, batch, hidden], then its final states.
std::vector<Expr> run_direction(const Recurrent& r, int64_t index) {
  Context& c = r.c;
  const bool backwards = r.p.reverse(index);
  const bool masked = r.lengths.id().valid();
  Direction d = direction_of(r, index);
  if (backwards && masked) d.x = reversed(r, d.x);
  Node node;
  node.op = find_op("Scan");
  node.name = cat(c.node().name, "/Scan_", index);
  Body body(c.builder());
  std::vector<Expr> states;
  for (size_t i = 0; i < r.states; ++i) {
    const Expr initial = initial_state(r, i == 0 ? kInitialH : kInitialC, index);
    node.inputs.push_back(initial.id());
    states.push_back(body.formal(initial.type()));
  }
  const Shape x = d.x.shape();
  node.inputs.push_back(d.x.id());
  Step step{c, d, body, body.formal(Type::tensor(d.x.dtype(), Shape{x[1], x[2]})), states[0]};
  if (r.states > 1) step.cell = states[1];
  Expr alive;
  if (masked) {
    node.inputs.push_back(r.alive.id());
    alive = body.formal(Type::tensor(DType::kBool, Shape{x[1], 1}));
  }
  std::vector<Expr> next = r.cell(step);
  Expr y = next[0];
  if (masked) {
    y = where(alive, y, 0);
    for (size_t i = 0; i < r.states; ++i) next[i] = where(alive, next[i], states[i]);
  }
  for (const Expr& e : next) body.output(e);
  body.output(y.op("Identity"));
  const int64_t scans = masked ? 2 : 1;
  node.attributes = {{"num_scan_inputs", scans}};
  if (backwards && !masked) {
    node.attributes.set("scan_input_directions", std::vector<int64_t>{1});
    node.attributes.set("scan_output_directions", std::vector<int64_t>{1});
  }
  node.outputs.resize(r.states + 1);
  node.subgraphs.push_back(body.take("body"));
  std::vector<Expr> made = add_with_bodies(c.builder(), std::move(node));
  std::vector<Expr> results = {backwards && masked ? reversed(r, made.back()) : made.back()};
  for (size_t i = 0; i < r.states; ++i) {
    // The final state of an empty sequence is zero.
    const Expr& state = made[i];
    results.push_back(masked ? where(unsqueeze(less(0, r.lengths), {1}), state, 0) : state);
  }
  return results;
}

int64_t known_hidden(Context& c) {
  if (c.attributes().has("hidden_size")) return c.attributes().i("hidden_size", 0);
  const Dim hidden = c.x(kR).shape().back();
  if (!hidden.known()) Context::refuse("its hidden size is known at run time only");
  return hidden.value();
}

std::vector<Expr> run(Context& c, int64_t gates, CellFn cell, size_t states) {
  Recurrent r{c, recurrent_params(c.attributes(), gates, {0, 0, 0}, known_hidden(c)), cell, states};
  r.x = r.p.batch_first ? transpose(c.x(kX), {1, 0, 2}) : c.x(kX);
  if (c.has(kLengths)) {
    r.lengths = cast(c.x(kLengths), DType::kInt64);
    const Expr times = unsqueeze(range(size_of(r.x, 0)), {1, 2});
    r.alive = less(times, unsqueeze(r.lengths, {1}));
  }
  std::vector<std::vector<Expr>> parts(1 + states);  // of each output, by direction
  for (int64_t d = 0; d < r.p.directions; ++d) {
    const std::vector<Expr> results = run_direction(r, d);
    for (size_t i = 0; i < parts.size(); ++i) {
      parts[i].push_back(unsqueeze(results[i], {i == 0 ? 1 : 0}));
    }
  }
  std::vector<Expr> outputs;
  for (size_t i = 0; i < parts.size(); ++i) {
    const Expr all = concat(parts[i], i == 0 ? 1 : 0);
    if (!r.p.batch_first) {
      outputs.push_back(all);
    } else if (i == 0) {
      outputs.push_back(transpose(all, {2, 0, 1, 3}));
    } else {
      outputs.push_back(transpose(all, {1, 0, 2}));
    }
  }
  return outputs;
}

std::vector<Expr> rnn(Context& c) { return run(c, 1, rnn_cell, 1); }
std::vector<Expr> gru(Context& c) { return run(c, 3, gru_cell, 1); }
std::vector<Expr> lstm(Context& c) { return run(c, 4, lstm_cell, 2); }

constexpr GradientDef kRules[] = {
    {.kind = "RNN", .parts = rnn},
    {.kind = "GRU", .parts = gru},
    {.kind = "LSTM", .parts = lstm},
};

}  // namespace

std::span<const GradientDef> recurrent_gradients() { return kRules; }

}  // namespace treadle
