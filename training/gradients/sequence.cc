// Gradients of sequences and optionals. That of a sequence is a sequence of the elements'
// gradients; that of an optional is its element's.
#include "training/gradients/bodies.h"
#include "training/gradients/families.h"

namespace treadle {
namespace {

using Context = GradientContext;

Expr int64_scalar(Context& c, int64_t value) {
  return {c.builder(), c.builder().scalar(DType::kInt64, static_cast<double>(value))};
}

// Input i as a position from 0 in a sequence of `length`; `fallback` where it is absent.
Expr position(Context& c, size_t i, const Expr& length, const Expr& fallback) {
  if (!c.has(i)) return fallback;
  const Expr given = reshape(cast(c.x(i), DType::kInt64), c.ints({}));
  return where(less(given, 0), given + length, given);
}

void construct(Context& c) {
  for (size_t i = 0; i < c.input_count(); ++i) {
    if (!c.wants(i)) continue;
    c.set(i, c.gy().op("SequenceAt", {int64_scalar(c, static_cast<int64_t>(i))}));
  }
}

void at(Context& c) {
  const Expr length = c.x().op("SequenceLength");
  const Expr where_at = position(c, 1, length, length);
  const Expr others = zeros_like(c.x()).op("SequenceErase", {where_at});
  c.set(0, others.op("SequenceInsert", {c.gy(), where_at}));
}

void insert(Context& c) {
  const Expr length = c.x().op("SequenceLength");
  const Expr where_at = position(c, 2, length, length);
  if (c.wants(0)) c.set(0, c.gy().op("SequenceErase", {where_at}));
  if (c.wants(1)) c.set(1, c.gy().op("SequenceAt", {where_at}));
}

void erase(Context& c) {
  const Expr length = c.x().op("SequenceLength");
  const Expr where_at = position(c, 1, length, length - 1);
  const Expr nothing = zeros_like(c.x().op("SequenceAt", {where_at}));
  c.set(0, c.gy().op("SequenceInsert", {nothing, where_at}));
}

// The parts that a sequence was concatenated from, of a tensor of the result's shape.
Expr parts_of(Context& c, const Expr& whole, const Expr& sequence, int64_t axis) {
  const Expr shapes =
      map_sequences({sequence}, [](const std::vector<Expr>& e) { return e[0].op("Shape"); });
  const Expr table =
      shapes.op("ConcatFromSequence", {{"axis", int64_t{0}}, {"new_axis", int64_t{1}}});
  const Expr sizes = table.op("Gather", {int64_scalar(c, axis)}, {{"axis", int64_t{1}}});
  return whole.op("SplitToSequence", {sizes}, {{"axis", axis}});
}

void concat_from(Context& c) {
  const int64_t axis = c.attributes().i("axis", 0);
  if (c.attributes().i("new_axis", 0) == 0) return c.set(0, parts_of(c, c.gy(), c.x(), axis));
  c.set(0, c.gy().op("SplitToSequence", {{"axis", axis}, {"keepdims", int64_t{0}}}));
}

void split_to(Context& c) {
  const int64_t axis = c.attributes().i("axis", 0);
  const bool drops = !c.has(1) && c.attributes().i("keepdims", 1) == 0;
  c.set(0, reshape_like(c.gy().op("ConcatFromSequence",
                                  {{"axis", axis}, {"new_axis", int64_t{drops ? 1 : 0}}}),
                        c.x()));
}

// The element's body once more, and its gradients: a sequence for each input and capture, of which
// those of what is no sequence are summed.
void map(Context& c) {
  const Subgraph& forward = c.node().subgraphs[0];
  const std::vector<ValueId> captures = wanted_captures(c);
  Node node = node_for(c, "SequenceMap", "gradient");
  node.inputs = c.node().inputs;
  Body body(c.builder());
  std::vector<Expr> formals;
  for (size_t i = 0; i < c.input_count(); ++i) {
    const Type type = c.x(i).type();
    const bool sequence = type.kind == Type::Kind::kSequence;
    formals.push_back(body.formal(sequence && type.element ? *type.element : type));
  }
  std::vector<std::optional<Expr>> seeds(forward.graph->outputs().size());
  for (size_t i = 0; i < c.output_count(); ++i) {
    if (!c.has_gy(i)) continue;
    node.inputs.push_back(c.gy(i).id());
    seeds[i] = body.formal(*c.gy(i).type().element);
  }
  const std::vector<Expr> results = body.inlined(forward, formals);
  std::vector<Expr> wrt;
  for (size_t i = 0; i < c.input_count(); ++i) {
    if (c.wants(i)) wrt.push_back(formals[i]);
  }
  for (ValueId v : captures) wrt.push_back(body.capture(v));
  for (const Expr& gradient : differentiate(c, body, results, seeds, wrt)) body.output(gradient);
  node.outputs.resize(wrt.size());
  node.subgraphs.push_back(body.take("body"));
  const std::vector<Expr> made = add_with_bodies(c.builder(), std::move(node));
  auto total = [&](const Expr& sequence, const Expr& of) {
    const Expr all = sequence.op("SequenceInsert", {zeros_like(of)});  // there may be no elements
    const Expr stacked =
        all.op("ConcatFromSequence", {{"axis", int64_t{0}}, {"new_axis", int64_t{1}}});
    return sum(stacked, {0}, false);
  };
  size_t next = 0;
  for (size_t i = 0; i < c.input_count(); ++i) {
    if (!c.wants(i)) continue;
    const bool sequence = c.x(i).type().kind == Type::Kind::kSequence;
    c.set(i, sequence ? made[next] : total(made[next], c.x(i)));
    ++next;
  }
  for (ValueId v : captures) c.contribute(v, total(made[next++], {c.builder(), v}));
}

void passed_on(Context& c) { c.set(0, c.gy()); }

constexpr GradientDef kRules[] = {
    {"SequenceConstruct", construct},
    {"SequenceAt", at},
    {"SequenceInsert", insert},
    {"SequenceErase", erase},
    {"ConcatFromSequence", concat_from},
    {"SplitToSequence", split_to},
    {"SequenceMap", map},
    {"Optional", passed_on},
    {"OptionalGetElement", passed_on},
};

}  // namespace

std::span<const GradientDef> sequence_gradients() { return kRules; }

}  // namespace treadle
