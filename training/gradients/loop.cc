// Gradients of Scan and Loop. The forward loop leaves a tape: the carried values as each iteration
// found them. The backward loop goes through it from its end, computes the iteration again and
// differentiates it; what the body captures gets the sum.
#include <algorithm>

#include "training/gradients/bodies.h"
#include "training/gradients/families.h"

namespace treadle {
namespace {

using Context = GradientContext;

// A tensor that an iteration reads a slice of.
struct Scanned {
  Expr value;
  Type slice;
  int64_t axis = 0;
  bool reversed = false;  // the forward loop goes through it from the end
};

Type without_axis(Type type, int64_t axis) {
  if (!type.shape) return type;
  const auto rank = static_cast<int64_t>(type.shape->size());
  type.shape->erase(type.shape->begin() + (axis < 0 ? axis + rank : axis));
  return type;
}

Scanned scanned(const Expr& value, int64_t axis, bool reversed) {
  return {value, without_axis(value.type(), axis), axis, reversed};
}

std::vector<int64_t> list_or_zeros(const Context& c, const char* name, size_t count) {
  std::vector<int64_t> list = c.attributes().ints(name);
  list.resize(count);
  return list;
}

// How an iteration gets a carried value back.
enum class Tape {
  kStacked,   // slices of one tensor
  kSequence,  // elements of a sequence, the final value included: for shapes that change
  kAgain      // sequences themselves: the forward loop runs again up to there
};

// A Scan or Loop as the backward loop needs it.
struct Forward {
  Context& c;
  bool loop = false;
  size_t carried = 0;
  size_t first = 0;                    // of the node's inputs: the first carried value
  std::vector<Scanned> inputs = {};    // of a Scan
  std::vector<Scanned> outputs = {};   // the gradients of scan outputs that have one
  std::vector<size_t> output_of = {};  // which body result each of these belongs to
  std::vector<Type> states = {};       // of the carried values in any iteration
  std::vector<Tape> tapes = {};
  std::vector<Expr> taped = {};  // of each carried value: the tensor or sequence
  Expr iterations = {};          // of a Loop: [0, 1 … trips - 1]

  const Subgraph& body() const { return c.node().subgraphs[0]; }
  bool stacked() const {
    return std::ranges::all_of(tapes, [](Tape t) { return t == Tape::kStacked; });
  }
  size_t body_results() const { return body().graph->outputs().size() - (loop ? 1 : 0); }
};

bool keeps_shape(const Type& before, const Type& always) {
  if (!before.shape || !always.shape || before.shape->size() != always.shape->size()) return false;
  return std::equal(before.shape->begin(), before.shape->end(), always.shape->begin());
}

void read_states(Forward& f) {
  for (size_t i = 0; i < f.carried; ++i) {
    const Type before = f.c.x(f.first + i).type();
    const Type always = f.c.y(i).type();
    f.states.push_back(always);
    if (!always.is_tensor()) {
      f.tapes.push_back(Tape::kAgain);
    } else {
      f.tapes.push_back(!f.loop || keeps_shape(before, always) ? Tape::kStacked : Tape::kSequence);
    }
  }
}

Forward read_scan(Context& c) {
  Forward f{.c = c};
  const auto count = static_cast<size_t>(c.attributes().i("num_scan_inputs", 0));
  f.carried = c.input_count() - count;
  read_states(f);
  const auto axes = list_or_zeros(c, "scan_input_axes", count);
  const auto directions = list_or_zeros(c, "scan_input_directions", count);
  for (size_t i = 0; i < count; ++i) {
    f.inputs.push_back(scanned(c.x(f.carried + i), axes[i], directions[i] != 0));
  }
  const size_t results = f.body_results() - f.carried;
  const auto out_axes = list_or_zeros(c, "scan_output_axes", results);
  const auto out_directions = list_or_zeros(c, "scan_output_directions", results);
  for (size_t i = 0; i < results; ++i) {
    if (!c.has_gy(f.carried + i)) continue;
    f.outputs.push_back(scanned(c.gy(f.carried + i), out_axes[i], out_directions[i] != 0));
    f.output_of.push_back(f.carried + i);
  }
  return f;
}

Forward read_loop(Context& c) {
  Forward f{.c = c, .loop = true, .first = 2};
  f.carried = c.input_count() > 2 ? c.input_count() - 2 : 0;
  read_states(f);
  for (size_t i = f.carried; i < c.output_count(); ++i) {
    if (!c.has_gy(i)) continue;
    f.outputs.push_back(scanned(c.gy(i), 0, false));
    f.output_of.push_back(i);
  }
  return f;
}

// ---- The tape

void tape_scan(Forward& f) {
  Context& c = f.c;
  Body body(c.builder());
  std::vector<Expr> formals;
  for (const Type& t : f.states) formals.push_back(body.formal(t));
  for (const Scanned& s : f.inputs) formals.push_back(body.formal(s.slice));
  const std::vector<Expr> results = body.inlined(f.body(), formals);
  for (const Expr& e : results) body.output(e);
  for (size_t i = 0; i < f.carried; ++i) body.output(formals[i].op("Identity"));
  Node node = node_for(c, "Scan", "taped");
  node.inputs = c.node().inputs;
  node.attributes = c.node().attributes;
  for (const char* name : {"scan_output_axes", "scan_output_directions"}) {
    std::vector<int64_t> list = list_or_zeros(c, name, results.size() - f.carried);
    list.resize(results.size());
    if (node.attributes.has(name)) node.attributes.set(name, list);
  }
  node.outputs.resize(results.size() + f.carried);
  node.subgraphs.push_back(body.take("body"));
  const std::vector<Expr> made = add_with_bodies(c.builder(), std::move(node));
  for (size_t i = 0; i < f.carried; ++i) f.taped.push_back(made[results.size() + i]);
  c.replace_outputs(made);
}

// The formals of a Loop's body: iteration, condition, carried values.
std::vector<Expr> loop_formals(Body& body, const std::vector<Type>& carried) {
  std::vector<Expr> formals = {body.formal(Type::tensor(DType::kInt64, Shape{})),
                               body.formal(Type::tensor(DType::kBool, Shape{}))};
  for (const Type& t : carried) formals.push_back(body.formal(t));
  return formals;
}

void tape_loop(Forward& f) {
  Context& c = f.c;
  Node node = node_for(c, "Loop", "taped");
  node.inputs = c.node().inputs;
  node.inputs.resize(2 + f.carried);
  std::vector<Type> carried = f.states;
  std::vector<size_t> sequences;  // the carried values whose tape is one
  for (size_t i = 0; i < f.carried; ++i) {
    if (f.tapes[i] != Tape::kSequence) continue;
    sequences.push_back(i);
    carried.push_back(Type::of(Type::Kind::kSequence, f.states[i]));
    node.inputs.push_back(c.x(f.first + i).op("SequenceConstruct").id());
  }
  Body body(c.builder());
  const std::vector<Expr> formals = loop_formals(body, carried);
  const auto own = static_cast<ptrdiff_t>(2 + f.carried);
  const std::vector<Expr> results =
      body.inlined(f.body(), {formals.begin(), formals.begin() + own});
  for (size_t i = 0; i <= f.carried; ++i) body.output(results[i]);
  for (size_t k = 0; k < sequences.size(); ++k) {
    const Expr& next = results[1 + sequences[k]];
    body.output(formals[2 + f.carried + k].op("SequenceInsert", {next}));
  }
  for (size_t i = f.carried + 1; i < results.size(); ++i) body.output(results[i]);
  body.output(formals[0].op("Identity"));
  std::vector<size_t> stacked;
  for (size_t i = 0; i < f.carried; ++i) {
    if (f.tapes[i] != Tape::kStacked) continue;
    stacked.push_back(i);
    body.output(formals[2 + i].op("Identity"));
  }
  const size_t scans = results.size() - 1 - f.carried;
  node.outputs.resize(f.carried + sequences.size() + scans + 1 + stacked.size());
  node.subgraphs.push_back(body.take("body"));
  std::vector<Expr> made = add_with_bodies(c.builder(), std::move(node));
  const auto at = made.begin() + static_cast<ptrdiff_t>(f.carried);
  f.taped.resize(f.carried);
  for (size_t k = 0; k < sequences.size(); ++k) f.taped[sequences[k]] = made[f.carried + k];
  const size_t tail = f.carried + sequences.size() + scans;
  f.iterations = made[tail];
  for (size_t k = 0; k < stacked.size(); ++k) f.taped[stacked[k]] = made[tail + 1 + k];
  made.erase(at, at + static_cast<ptrdiff_t>(sequences.size()));
  c.replace_outputs(made);
}

// ---- The way back

// The backward loop's carried values: the gradients of the forward loop's, then the sums for what
// its body captures.
struct Back {
  Forward& f;
  std::vector<size_t> smooth;  // the carried values that have a gradient
  std::vector<ValueId> captures;
  std::vector<ValueId> initial = {};
  std::vector<Type> types = {};
};

Back start_back(Forward& f) {
  Back back{.f = f, .smooth = {}, .captures = wanted_captures(f.c)};
  for (size_t i = 0; i < f.carried; ++i) {
    if (!is_smooth(f.states[i])) continue;
    back.smooth.push_back(i);
    back.initial.push_back(f.c.gy_or_zeros(i).id());
    back.types.push_back(f.states[i]);
  }
  for (ValueId v : back.captures) {
    const Expr value = {f.c.builder(), v};
    back.initial.push_back(zeros_like(value).id());
    back.types.push_back(value.type());
  }
  return back;
}

// One backward iteration from what the forward one read (`formals` of its body, whose last are a
// Scan's slices) and the gradients of its scan outputs: the next carried values, then the gradients
// of the slices.
std::vector<Expr> step_back(Body& body, const Back& back, const std::vector<Expr>& carried,
                            const std::vector<Expr>& formals, const std::vector<Expr>& of_outputs) {
  const Forward& f = back.f;
  std::vector<Expr> results = body.inlined(f.body(), formals);
  if (f.loop) results.erase(results.begin());
  std::vector<std::optional<Expr>> seeds(results.size());
  std::vector<Expr> wrt;
  for (size_t k = 0; k < back.smooth.size(); ++k) {
    seeds[back.smooth[k]] = carried[k];
    wrt.push_back(formals[f.first + back.smooth[k]]);
  }
  for (size_t k = 0; k < of_outputs.size(); ++k) seeds[f.output_of[k]] = of_outputs[k];
  for (ValueId v : back.captures) wrt.push_back(body.capture(v));
  for (size_t i = 0; i < f.inputs.size(); ++i) {
    if (f.c.wants(f.carried + i)) wrt.push_back(formals[f.carried + i]);
  }
  std::vector<Expr> next = differentiate(f.c, body, results, seeds, wrt);
  for (size_t k = 0; k < back.captures.size(); ++k) {
    const size_t at = back.smooth.size() + k;
    next[at] = sum_of({carried[at], next[at]});
  }
  return next;
}

void set_results(const Back& back, const std::vector<Expr>& made) {
  const Forward& f = back.f;
  Context& c = f.c;
  size_t at = 0;
  for (size_t i : back.smooth) c.set(f.first + i, made[at++]);
  for (ValueId v : back.captures) c.contribute(v, made[at++]);
  for (size_t i = 0; i < f.inputs.size(); ++i) {
    if (c.wants(f.carried + i)) c.set(f.carried + i, made[at++]);
  }
}

// By a Scan the other way round, where every iteration reads slices.
void back_by_scan(const Back& back) {
  const Forward& f = back.f;
  std::vector<Scanned> reads;
  if (f.loop) reads.push_back(scanned(f.iterations, 0, false));
  for (size_t i = 0; i < f.carried; ++i) reads.push_back({f.taped[i], f.states[i]});
  reads.insert(reads.end(), f.inputs.begin(), f.inputs.end());
  const size_t inner = reads.size();
  reads.insert(reads.end(), f.outputs.begin(), f.outputs.end());

  Body body(f.c.builder());
  std::vector<Expr> carried;
  for (const Type& t : back.types) carried.push_back(body.formal(t));
  std::vector<Expr> slices;
  for (const Scanned& s : reads) slices.push_back(body.formal(s.slice));
  const auto split = slices.begin() + static_cast<ptrdiff_t>(inner);
  std::vector<Expr> formals(slices.begin(), split);
  if (f.loop) {
    formals.insert(formals.begin() + 1, {body.builder(), body.builder().scalar(DType::kBool, 1)});
  }
  const auto next = step_back(body, back, carried, formals, {split, slices.end()});
  for (const Expr& e : next) body.output(e);

  Node node = node_for(f.c, "Scan", "gradient");
  node.inputs = back.initial;
  std::vector<int64_t> axes, directions, out_axes, out_directions;
  for (const Scanned& s : reads) {
    node.inputs.push_back(s.value.id());
    axes.push_back(s.axis);
    directions.push_back(s.reversed ? 0 : 1);
  }
  for (size_t i = 0; i < f.inputs.size(); ++i) {
    if (!f.c.wants(f.carried + i)) continue;
    out_axes.push_back(f.inputs[i].axis);
    out_directions.push_back(f.inputs[i].reversed ? 0 : 1);
  }
  node.attributes = {{"num_scan_inputs", static_cast<int64_t>(reads.size())},
                     {"scan_input_axes", axes},
                     {"scan_input_directions", directions}};
  if (!out_axes.empty()) {
    node.attributes.set("scan_output_axes", out_axes);
    node.attributes.set("scan_output_directions", out_directions);
  }
  node.outputs.resize(next.size());
  node.subgraphs.push_back(body.take("body"));
  set_results(back, add_with_bodies(f.c.builder(), std::move(node)));
}

// The forward loop up to an iteration: its carried values there.
std::vector<Expr> run_again(Body& body, const Forward& f, const Expr& trips) {
  Node node = node_for(f.c, "Loop", "again");
  node.inputs = {trips.id(), {}};
  for (size_t i = 0; i < f.carried; ++i) {
    node.inputs.push_back(body.capture(f.c.x(f.first + i).id()).id());
  }
  Body inner(body.builder());
  const std::vector<Expr> formals = loop_formals(inner, f.states);
  Subgraph forward = f.body();
  for (ValueId& v : forward.captures) v = body.capture(v).id();
  const std::vector<Expr> results = inner.inlined(forward, formals);
  for (size_t i = 0; i <= f.carried; ++i) inner.output(results[i]);
  node.outputs.resize(f.carried);
  node.subgraphs.push_back(inner.take("body"));
  return add_with_bodies(body.builder(), std::move(node));
}

// What the forward iteration `at` read.
std::vector<Expr> read_tape(Body& body, const Forward& f, const Expr& at) {
  std::vector<Expr> formals = {at, {body.builder(), body.builder().scalar(DType::kBool, 1)}};
  const bool again = std::ranges::find(f.tapes, Tape::kAgain) != f.tapes.end();
  const std::vector<Expr> states = again ? run_again(body, f, at) : std::vector<Expr>{};
  for (size_t i = 0; i < f.carried; ++i) {
    if (f.tapes[i] == Tape::kAgain) {
      formals.push_back(states[i]);
    } else {
      const Expr tape = body.capture(f.taped[i].id());
      const bool stacked = f.tapes[i] == Tape::kStacked;
      formals.push_back(stacked ? tape.op("Gather", {at}) : tape.op("SequenceAt", {at}));
    }
  }
  return formals;
}

void back_by_loop(const Back& back) {
  const Forward& f = back.f;
  Body body(f.c.builder());
  const std::vector<Expr> own = loop_formals(body, back.types);
  const std::vector<Expr> carried(own.begin() + 2, own.end());
  const Expr trips = body.capture(f.iterations.id()).op("Size");
  const Expr at = trips - own[0] - 1;
  std::vector<Expr> of_outputs;
  for (const Scanned& s : f.outputs) {
    of_outputs.push_back(body.capture(s.value.id()).op("Gather", {at}));
  }
  const auto next = step_back(body, back, carried, read_tape(body, f, at), of_outputs);
  body.output(own[1].op("Identity"));
  for (const Expr& e : next) body.output(e);
  Node node = node_for(f.c, "Loop", "gradient");
  node.inputs = {f.iterations.op("Size").id(), {}};
  node.inputs.insert(node.inputs.end(), back.initial.begin(), back.initial.end());
  node.outputs.resize(next.size());
  node.subgraphs.push_back(body.take("body"));
  set_results(back, add_with_bodies(f.c.builder(), std::move(node)));
}

void scan_gradient(Context& c) {
  Forward f = read_scan(c);
  tape_scan(f);
  back_by_scan(start_back(f));
}

void loop_gradient(Context& c) {
  Forward f = read_loop(c);
  tape_loop(f);
  const Back back = start_back(f);
  f.stacked() ? back_by_scan(back) : back_by_loop(back);
}

constexpr GradientDef kRules[] = {
    {"Scan", scan_gradient},
    {"Loop", loop_gradient},
};

}  // namespace

std::span<const GradientDef> loop_gradients() { return kRules; }

}  // namespace treadle
