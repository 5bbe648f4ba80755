// LinearAttention and CausalConvWithState for differentiation: a Scan over the steps, a sum over
// the taps.
#include <cmath>

#include "training/body.h"
#include "training/gradients/families.h"

namespace treadle {
namespace {

using Context = GradientContext;

int64_t known_size(const Expr& x, size_t axis, const char* what) {
  const Dim size = x.shape()[axis];
  if (!size.known()) Context::refuse(cat(what, " is known at run time only"));
  return size.value();
}

// ---- LinearAttention

struct LinearHeads {
  int64_t query;
  int64_t kv;
  int64_t key;  // of a head
};

// [batch, steps, parts…] of input i as [steps, batch, parts…].
Expr by_steps(Context& c, size_t i, std::vector<int64_t> parts) {
  std::vector<int64_t> shape = {0, 0};
  shape.insert(shape.end(), parts.begin(), parts.end());
  const Expr split = c.x(i).op("Reshape", {c.ints(shape)});
  std::vector<int64_t> order = {1, 0};
  for (size_t d = 0; d < parts.size(); ++d) order.push_back(static_cast<int64_t>(d) + 2);
  return transpose(split, order);
}

// What one step reads, per batch and key head.
struct LinearStep {
  Expr q;           // [queries, key]
  Expr k;           // [key, 1]
  Expr v;           // [1, value]
  Expr decay = {};  // [1 or key, 1], or absent
  Expr beta = {};   // [1, 1], or absent
};

// The state after the step, [key, value].
Expr next_state(const LinearStep& s, const Expr& before) {
  const Expr state = s.decay.id().valid() ? before * s.decay.op("Exp") : before;
  Expr change = s.v;
  if (s.beta.id().valid()) change = (s.v - matmul(swap_last(s.k), state)) * s.beta;
  return state + s.k * change;
}

Expr first_state(Context& c, const LinearHeads& h, const Expr& v) {
  if (c.has(3)) return cast(c.x(3), c.x(0).dtype());
  const Expr shape = concat({size_of(v, 1), c.ints({h.kv, h.key}), size_of(v, 4)}, 0);
  return c.x(0).number(0).op("Expand", {shape});
}

std::vector<Expr> linear_attention(Context& c) {
  const Attributes& a = c.attributes();
  LinearHeads h{a.i("q_num_heads", 1), a.i("kv_num_heads", 1), 0};
  h.key = known_size(c.x(0), 2, "its key size") / h.query;
  std::vector<Expr> inputs = {by_steps(c, 0, {h.kv, h.query / h.kv, -1}),
                              by_steps(c, 1, {h.kv, -1, 1}), by_steps(c, 2, {h.kv, 1, -1})};
  if (c.has(4)) inputs.push_back(by_steps(c, 4, {h.kv, -1, 1}));
  if (c.has(5)) {
    const bool shared = known_size(c.x(5), 2, "the size of beta") == 1;
    inputs.push_back(by_steps(c, 5, {shared ? 1 : h.kv, 1, 1}));
  }
  const Expr initial = first_state(c, h, inputs[2]);
  Node node;
  node.op = find_op("Scan");
  node.name = c.node().name + "/Scan";
  node.attributes = {{"num_scan_inputs", static_cast<int64_t>(inputs.size())}};
  node.inputs = {initial.id()};
  Body body(c.builder());
  const Expr state = body.formal(initial.type());
  std::vector<Expr> slices;
  for (const Expr& e : inputs) {
    node.inputs.push_back(e.id());
    const Shape shape = e.shape();
    slices.push_back(body.formal(Type::tensor(e.dtype(), Shape(shape.begin() + 1, shape.end()))));
  }
  LinearStep step{slices[0], slices[1], slices[2]};
  if (c.has(4)) step.decay = slices[3];
  if (c.has(5)) step.beta = slices.back();
  const Expr next = next_state(step, state);
  body.output(next);
  const auto given = static_cast<double>(a.f("scale", 0));
  const double scale = given != 0 ? given : 1 / std::sqrt(static_cast<double>(h.key));
  body.output(matmul(step.q, next) * scale);
  node.outputs.resize(2);
  node.subgraphs.push_back(body.take("body"));
  const std::vector<Expr> made = add_with_bodies(c.builder(), std::move(node));
  const Expr y = transpose(made[1], {1, 0, 2, 3, 4}).op("Reshape", {c.ints({0, 0, -1})});
  return {y, c.has(3) ? cast(made[0], c.x(3).dtype()) : made[0]};
}

// ---- CausalConvWithState

std::vector<Expr> causal_conv(Context& c) {
  const Expr x = c.x(0);
  const Expr w = c.x(1);           // [channels, 1, taps]
  constexpr int64_t kMost = 4096;  // each is a node
  const int64_t taps = known_size(w, 2, "the number of its taps");
  if (taps > kMost) Context::refuse(cat("it has ", taps, " taps, at most ", kMost));
  const Expr before = concat({size_of(x, 0), size_of(x, 1), c.ints({taps - 1})}, 0);
  const Expr past = c.has(3) ? c.x(3) : x.number(0).op("Expand", {before});
  const Expr line = concat({past, x}, 2);
  Expr y;
  for (int64_t k = 0; k < taps; ++k) {
    const int64_t end = k == taps - 1 ? INT64_MAX : k - (taps - 1);
    const Expr term = slice(line, 2, k, end) * slice(squeeze(w, {1}), 1, k, k + 1);
    y = k == 0 ? term : y + term;
  }
  if (c.has(2)) y = y + unsqueeze(c.x(2), {1});
  if (c.attributes().s("activation", "none") != "none") y = y * y.op("Sigmoid");
  const Expr present =
      taps == 1 ? slice(line, 2, INT64_MAX, INT64_MAX) : slice(line, 2, 1 - taps, INT64_MAX);
  return {y, present};
}

constexpr GradientDef kRules[] = {
    {.kind = "LinearAttention", .parts = linear_attention},
    {.kind = "CausalConvWithState", .parts = causal_conv},
};

}  // namespace

std::span<const GradientDef> stateful_gradients() { return kRules; }

}  // namespace treadle
