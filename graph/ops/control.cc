// If, Loop, Scan: operators that run bodies.
#include <algorithm>

#include "graph/ops/families.h"
#include "graph/ops/move.h"
#include "graph/ops/op.h"
#include "graph/ops/scalar.h"
#include "graph/ops/stack.h"

namespace treadle {

namespace {

size_t body_named(const Node& node, std::string_view name) {
  for (size_t i = 0; i < node.subgraphs.size(); ++i) {
    if (node.subgraphs[i].attribute == name) return i;
  }
  fail(Code::kInvalidModel, "the attribute '", name, "' is missing");
}

const Graph& body_of(const Node& node, size_t index) { return *node.subgraphs[index].graph; }

bool truth(const Tensor& t) {
  TREADLE_CHECK(t.dtype() == DType::kBool && t.count() == 1, kInvalidData, "a condition is ",
                dtype_name(t.dtype()), shape_text(t.dims()), ", expected one bool");
  return t.data<bool>()[0];
}

Known typed(DType dtype, std::optional<Shape> shape) {
  Known k;
  k.type = Type::tensor(dtype, std::move(shape));
  return k;
}

// ---- If

// The branch's types. A branch that cannot be right for the shapes at hand is the one that will not
// run: exporters write "if the axis is 1, squeeze it". Then nothing is told but why. Each branch is
// inferred once: a second time would double the work with every level of nesting.
std::optional<std::vector<Known>> try_branch(const InferContext& c, size_t index,
                                             std::optional<Error>& why_not) {
  try {
    return c.infer_body(index, {});
  } catch (const Error& e) {
    why_not = e;
    return std::nullopt;
  }
}

void infer_if(InferContext& c) {
  const size_t then_index = body_named(c.node(), "then_branch");
  const size_t else_index = body_named(c.node(), "else_branch");
  std::optional<std::vector<Known>> then_types, else_types;
  const Tensor* condition = c.constant(0);
  const bool known = condition != nullptr && condition->count() == 1;
  const bool then_runs = known && truth(*condition);
  std::optional<Error> why_not;
  if (!known || !then_runs) else_types = try_branch(c, else_index, why_not);
  if (!known || then_runs || !else_types) then_types = try_branch(c, then_index, why_not);
  if (!then_types && !else_types) throw *why_not;
  for (size_t i = 0; i < c.output_count(); ++i) {
    const bool in_then = then_types && i < then_types->size();
    const bool in_else = else_types && i < else_types->size();
    TREADLE_CHECK(in_then || in_else, kInvalidModel,
                  "the branches have too few outputs for output ", i);
    if (in_then && in_else) {
      c.set_type(i, merge_types((*then_types)[i].type, (*else_types)[i].type));
    } else {
      c.set_type(i, (in_then ? *then_types : *else_types)[i].type);
    }
  }
}

void eval_if(EvalContext& c) {
  const bool taken = truth(c.input(0));
  std::vector<Value> results =
      c.run_body(body_named(c.node(), taken ? "then_branch" : "else_branch"), {});
  TREADLE_CHECK(results.size() >= c.output_count(), kInvalidModel, "the branch has ",
                results.size(), " outputs, expected ", c.output_count());
  for (size_t i = 0; i < c.output_count(); ++i) c.set_output(i, std::move(results[i]));
}

// ---- What Loop and Scan share: carried values, whose types the body may change from one iteration
// to the next.

// How deep infer_iterated stands within itself. Each level multiplies the rounds of those inside.
thread_local int iterating = 0;
struct Iterating {
  Iterating() { ++iterating; }
  ~Iterating() { --iterating; }
  Iterating(const Iterating&) = delete;
  Iterating& operator=(const Iterating&) = delete;
};

std::vector<Known> infer_round(const InferContext& c, const std::vector<Known>& formals,
                               size_t expected) {
  std::vector<Known> results = c.infer_body(0, formals);
  TREADLE_CHECK(results.size() >= expected, kInvalidModel, "the body has ", results.size(),
                " outputs, expected at least ", expected);
  return results;
}

// One round for any shapes of the carried values.
std::vector<Known> infer_any_shape(const InferContext& c, std::vector<Known> formals, size_t first,
                                   size_t carried) {
  for (size_t i = 0; i < carried; ++i) formals[first + i].type.shape.reset();
  std::vector<Known> results = infer_round(c, formals, carried + first / 2);
  for (size_t i = 0; i < carried; ++i) results[first / 2 + i].type.shape.reset();
  return results;
}

// Runs the body's inference until the types of the carried values, formals[first ...], hold for
// every iteration.
std::vector<Known> infer_iterated(const InferContext& c, std::vector<Known> formals, size_t first,
                                  size_t carried) {
  constexpr int kPrecise = 3;  // loops within loops
  constexpr int kRounds = 4;   // dims become unknown, then ranks
  const Iterating deeper;
  if (iterating > kPrecise) return infer_any_shape(c, std::move(formals), first, carried);
  for (int round = 0;; ++round) {
    std::vector<Known> results = infer_round(c, formals, carried + first / 2);
    bool stable = true;
    for (size_t i = 0; i < carried; ++i) {
      Type& before = formals[first + i].type;
      Type merged = merge_types(before, results[first / 2 + i].type);
      if (round == kRounds && merged.is_tensor()) merged.shape.reset();
      stable = stable && merged.text() == before.text();
      before = merged;
    }
    if (stable || round > kRounds) return results;
  }
}

Known tensor_known(const Value& value) {
  const auto* t = std::get_if<Tensor>(&value);
  return t != nullptr ? typed(t->dtype(), symbolic(t->dims())) : Known{};
}

// The types of a body's outputs for formals that it does not run with, as far as they can be told.
std::vector<Type> types_unrun(const Graph& body, const std::vector<Known>& formals) {
  std::vector<Type> types;
  for (const GraphOutput& o : body.outputs()) types.push_back(body.value(o.value).type);
  try {
    const std::vector<Known> known = infer(body, formals);
    for (size_t i = 0; i < types.size(); ++i) types[i] = known[body.outputs()[i].value.index].type;
  } catch (const Error&) {  // it could not run with them
  }
  return types;
}

// An empty tensor [0, …] for a scan of no iterations; what is not known of its shape is 0.
Tensor empty_scan(const Type& type, int64_t axis) {
  Dims dims;
  for (const Dim& d : type.shape.value_or(Shape{})) dims.push_back(d.known() ? d.value() : 0);
  dims.insert(dims.begin() +
                  static_cast<ptrdiff_t>(resolve_axis(axis, static_cast<int64_t>(dims.size()) + 1)),
              0);
  return Tensor(type.dtype == DType::kUndefined ? DType::kFloat : type.dtype, dims);
}

// ---- Loop: body(iteration, condition, carried…) -> (condition, carried…, scanned…)

void infer_loop(InferContext& c) {
  const size_t carried = c.input_count() > 2 ? c.input_count() - 2 : 0;
  std::vector<Known> formals{typed(DType::kInt64, Shape{}), typed(DType::kBool, Shape{})};
  for (size_t i = 0; i < carried; ++i) {
    formals.emplace_back();
    formals.back().type = c.type(i + 2);
  }
  const std::vector<Known> results = infer_iterated(c, formals, 2, carried);
  for (size_t i = 0; i < c.output_count(); ++i) {
    TREADLE_CHECK(i + 1 < results.size(), kInvalidModel, "the body has no output for output ", i);
    const Type& body = results[i + 1].type;
    if (i < carried) {
      // A value that becomes another kind of value does so in the first iteration.
      const Type& initial = c.type(i + 2);
      c.set_type(i, initial.kind == body.kind ? merge_types(initial, body) : body);
    } else {
      Type scanned = Type::tensor(body.dtype, body.shape);
      if (scanned.shape) scanned.shape->insert(scanned.shape->begin(), Dim::unknown());
      c.set_type(i, scanned);
    }
  }
}

void eval_loop(EvalContext& c) {
  const Graph& body = body_of(c.node(), 0);
  const int64_t limit = c.has(0) ? scalar_int(c, 0) : INT64_MAX;
  bool going = !c.has(1) || truth(c.input(1));
  const size_t carried = c.input_count() > 2 ? c.input_count() - 2 : 0;
  std::vector<Value> state;
  for (size_t i = 0; i < carried; ++i) state.push_back(c.value(i + 2));
  TREADLE_CHECK(body.outputs().size() >= 1 + carried, kInvalidModel, "the body has ",
                body.outputs().size(), " outputs, expected at least ", 1 + carried);
  std::vector<std::vector<Tensor>> scans(body.outputs().size() - 1 - carried);
  for (int64_t i = 0; going && i < limit; ++i) {
    c.poll();
    std::vector<Value> formals{Tensor::scalar<int64_t>(i), Tensor::scalar<bool>(true)};
    std::move(state.begin(), state.end(), std::back_inserter(formals));
    std::vector<Value> results = c.run_body(0, std::move(formals));
    going = truth(results[0].tensor());
    state.assign(std::make_move_iterator(results.begin() + 1),
                 std::make_move_iterator(results.begin() + 1 + static_cast<ptrdiff_t>(carried)));
    for (size_t s = 0; s < scans.size(); ++s) scans[s].push_back(results[1 + carried + s].tensor());
  }
  std::vector<Type> unrun;
  if (!scans.empty() && scans.front().empty()) {
    std::vector<Known> formals{typed(DType::kInt64, Shape{}), typed(DType::kBool, Shape{})};
    for (const Value& v : state) formals.push_back(tensor_known(v));
    unrun = types_unrun(body, formals);
  }
  for (size_t i = 0; i < carried; ++i) c.set_output(i, std::move(state[i]));
  for (size_t s = 0; s < scans.size() && c.wants(carried + s); ++s) {
    c.set_output(carried + s, scans[s].empty() ? empty_scan(unrun[1 + carried + s], 0)
                                               : stack_tensors(scans[s], 0, false));
  }
}

// ---- Scan: body(carried…, slices…) -> (carried…, scanned…)

struct ScanPlan {
  size_t carried, scanned_in, scanned_out;
  std::vector<int64_t> in_axes, in_directions, out_axes, out_directions;
};

std::vector<int64_t> scan_list(const Attributes& a, std::string_view name, size_t count) {
  std::vector<int64_t> list = a.ints(name, std::vector<int64_t>(count, 0));
  TREADLE_CHECK(list.size() == count, kInvalidModel, name, " has ", list.size(),
                " entries, expected ", count);
  return list;
}

ScanPlan scan_plan(const Node& node, size_t inputs) {
  const Attributes& a = node.attributes;
  const int64_t scanned = a.i("num_scan_inputs", 0);
  const size_t body_outputs = body_of(node, 0).outputs().size();
  TREADLE_CHECK(scanned > 0 && scanned <= static_cast<int64_t>(inputs), kInvalidModel,
                "num_scan_inputs is ", scanned, " of ", inputs, " inputs");
  ScanPlan p;
  p.scanned_in = static_cast<size_t>(scanned);
  p.carried = inputs - p.scanned_in;
  TREADLE_CHECK(body_outputs >= p.carried, kInvalidModel, "the body has ", body_outputs,
                " outputs, expected at least ", p.carried);
  p.scanned_out = body_outputs - p.carried;
  p.in_axes = scan_list(a, "scan_input_axes", p.scanned_in);
  p.in_directions = scan_list(a, "scan_input_directions", p.scanned_in);
  p.out_axes = scan_list(a, "scan_output_axes", p.scanned_out);
  p.out_directions = scan_list(a, "scan_output_directions", p.scanned_out);
  return p;
}

void infer_scan(InferContext& c) {
  const ScanPlan p = scan_plan(c.node(), c.input_count());
  std::vector<Known> formals(c.input_count());
  for (size_t i = 0; i < p.carried; ++i) formals[i].type = c.type(i);
  Dim steps = Dim::unknown();
  for (size_t i = 0; i < p.scanned_in; ++i) {
    Type type = c.type(p.carried + i);
    if (type.shape) {
      const int64_t axis = resolve_axis(p.in_axes[i], static_cast<int64_t>(type.shape->size()));
      if (!steps.known()) steps = (*type.shape)[static_cast<size_t>(axis)];
      type.shape->erase(type.shape->begin() + static_cast<ptrdiff_t>(axis));
    }
    formals[p.carried + i].type = type;
  }
  const std::vector<Known> results = infer_iterated(c, formals, 0, p.carried);
  for (size_t i = 0; i < c.output_count() && i < results.size(); ++i) {
    Type type = results[i].type;
    if (i < p.carried) {
      type = merge_types(c.type(i), type);
    } else if (type.shape) {
      const int64_t axis =
          resolve_axis(p.out_axes[i - p.carried], static_cast<int64_t>(type.shape->size()) + 1);
      type.shape->insert(type.shape->begin() + static_cast<ptrdiff_t>(axis), steps);
    }
    c.set_type(i, type);
  }
}

// Slice `index` along `axis`, which goes.
Tensor slice_at(const Tensor& t, size_t axis, int64_t index) {
  Dims dims = t.dims();
  Dims strides = strides_of(dims);
  const int64_t start = index * strides[axis];
  dims.erase(dims.begin() + static_cast<ptrdiff_t>(axis));
  strides.erase(strides.begin() + static_cast<ptrdiff_t>(axis));
  Tensor out(t.dtype(), dims);
  copy_strided(t, strides, start, out);
  return out;
}

int64_t scan_steps(const EvalContext& c, const ScanPlan& p) {
  std::optional<int64_t> steps;
  for (size_t i = 0; i < p.scanned_in; ++i) {
    const Tensor& t = c.input(p.carried + i);
    const int64_t size = t.dim(static_cast<size_t>(resolve_axis(p.in_axes[i], t.rank())));
    TREADLE_CHECK(!steps || *steps == size, kInvalidData, "scan inputs of ", *steps, " and ", size,
                  " steps");
    steps = size;
  }
  return *steps;
}

// What a body is given: the initial states, and slices.
std::vector<Known> scan_formals(const EvalContext& c, const ScanPlan& p) {
  std::vector<Known> formals;
  for (size_t i = 0; i < p.carried; ++i) formals.push_back(tensor_known(c.value(i)));
  for (size_t i = 0; i < p.scanned_in; ++i) {
    const Tensor& t = c.input(p.carried + i);
    Dims dims = t.dims();
    dims.erase(dims.begin() + static_cast<ptrdiff_t>(resolve_axis(p.in_axes[i], t.rank())));
    formals.push_back(typed(t.dtype(), symbolic(dims)));
  }
  return formals;
}

void eval_scan(EvalContext& c) {
  const ScanPlan p = scan_plan(c.node(), c.input_count());
  const Graph& body = body_of(c.node(), 0);
  const int64_t steps = scan_steps(c, p);
  std::vector<Value> state;
  for (size_t i = 0; i < p.carried; ++i) state.push_back(c.value(i));
  std::vector<std::vector<Tensor>> scans(p.scanned_out);
  for (int64_t step = 0; step < steps; ++step) {
    c.poll();
    std::vector<Value> formals = std::move(state);
    for (size_t i = 0; i < p.scanned_in; ++i) {
      const Tensor& t = c.input(p.carried + i);
      const auto axis = static_cast<size_t>(resolve_axis(p.in_axes[i], t.rank()));
      formals.emplace_back(slice_at(t, axis, p.in_directions[i] != 0 ? steps - 1 - step : step));
    }
    std::vector<Value> results = c.run_body(0, std::move(formals));
    for (size_t s = 0; s < scans.size(); ++s) scans[s].push_back(results[p.carried + s].tensor());
    results.resize(p.carried);
    state = std::move(results);
  }
  std::vector<Type> unrun;
  if (steps == 0) unrun = types_unrun(body, scan_formals(c, p));
  for (size_t i = 0; i < p.carried; ++i) c.set_output(i, std::move(state[i]));
  for (size_t s = 0; s < scans.size() && c.wants(p.carried + s); ++s) {
    c.set_output(p.carried + s, scans[s].empty() ? empty_scan(unrun[p.carried + s], p.out_axes[s])
                                                 : stack_tensors(scans[s], p.out_axes[s],
                                                                 p.out_directions[s] != 0));
  }
}

constexpr OpDef kRows[] = {
    {.kind = "If",
     .inputs = "cond:bool",
     .outputs = "outputs*:any",
     .attributes = "then_branch:g! else_branch:g!",
     .infer = infer_if,
     .eval = eval_if,
     .traits = kDataDependent},
    {.kind = "Loop",
     .inputs = "M?:int64 cond?:bool v_initial*:any",
     .outputs = "v_final_and_scan_outputs*:any",
     .attributes = "body:g!",
     .infer = infer_loop,
     .eval = eval_loop,
     .traits = kDataDependent},
    {.kind = "Scan",
     .inputs = "initial_state_and_scan_inputs*:any",
     .outputs = "final_state_and_scan_outputs*:any",
     .attributes = "body:g! num_scan_inputs:i! scan_input_axes:is scan_input_directions:is "
                   "scan_output_axes:is "
                   "scan_output_directions:is",
     .infer = infer_scan,
     .eval = eval_scan,
     .traits = kDataDependent},
};

}  // namespace

std::span<const OpDef> control_ops() { return kRows; }

}  // namespace treadle
