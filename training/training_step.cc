#include "training/training_step.h"

#include <algorithm>

#include "graph/base/suggestion.h"
#include "graph/ops/op.h"
#include "training/expr.h"
#include "training/forms.h"
#include "training/gradient_nodes.h"
#include "training/settings.h"

namespace treadle {
namespace {

using Role = Variable::Role;

const GraphOutput* find_output(const Graph& graph, const std::string& name) {
  const auto found = std::ranges::find(graph.outputs(), name, &GraphOutput::name);
  return found == graph.outputs().end() ? nullptr : &*found;
}

void check_options(const TrainerOptions& options) {
  const std::vector<TrainSetting> standard = train_settings(), given = train_settings(options);
  for (size_t i = 0; i < given.size(); ++i) {
    const std::string key = given[i].key;
    TREADLE_CHECK(applies_to_own_step(key) || given[i].standard == standard[i].standard,
                  kInvalidArgument, "the option '", key, "' is ", given[i].standard,
                  ", but the model's own training says what a step is");
  }
  TREADLE_CHECK(options.joint.groups.empty() && options.joint.hooks.empty(), kInvalidArgument,
                "groups of parameters (freeze, rates, decays) and hooks do not go with the model's "
                "own training, which says what a step is");
}

bool is_loss(const Type& type) {
  if (!type.is_tensor() || !is_float(type.dtype) || !type.shape) return false;
  return std::ranges::all_of(*type.shape, [](const Dim& d) { return d.is(1); });
}

// Floats of one element that no variable becomes; the algorithm's first.
std::vector<std::string> losses_of(const Graph& model, const TrainingStep& step) {
  std::vector<std::string> own, of_model;
  for (const GraphOutput& o : step.graph.outputs()) {
    const bool update =
        std::ranges::any_of(step.updates, [&](const auto& u) { return u.second == o.name; });
    if (update || !is_loss(step.graph.value(o.value).type)) continue;
    (find_output(model, o.name) == nullptr ? own : of_model).push_back(o.name);
  }
  own.insert(own.end(), of_model.begin(), of_model.end());
  return own;
}

ValueId loss_of(const Graph& model, const TrainingStep& step) {
  const std::vector<std::string> names = losses_of(model, step);
  TREADLE_CHECK(!names.empty(), kInvalidArgument,
                "the model's own training tells no loss: none of its outputs is one float that "
                "nothing becomes");
  const std::string& name = step.loss.empty() ? names[0] : step.loss;
  TREADLE_CHECK(std::ranges::find(names, name) != names.end(), kInvalidArgument,
                "the model's own training has no loss '", name, "'", suggestion(name, names));
  return find_output(step.graph, name)->value;
}

std::string target_of(const Graph& model, const TrainingStep& step, const std::string& wanted) {
  std::vector<std::string> names;
  std::string all;
  for (ValueId v : step.graph.inputs()) {
    const std::string& name = step.graph.value(v).name;
    TREADLE_CHECK(!name.starts_with("treadle."), kInvalidArgument, "the model has an input '", name,
                  "', a name of the trainer's own");
    const bool of_model = std::ranges::any_of(
        model.inputs(), [&](ValueId input) { return model.value(input).name == name; });
    if (of_model || step.updates.contains(name) || step.initial.contains(name)) continue;
    names.push_back(name);
    all += cat(all.empty() ? "'" : ", '", name, "'");
  }
  if (names.size() < 2) return names.empty() ? "" : names[0];
  TREADLE_CHECK(std::ranges::find(names, wanted) != names.end(), kInvalidArgument,
                "the model's own training takes ", all, ": name the target of these, it is '",
                wanted, "'", suggestion(wanted, names));
  return wanted;
}

std::vector<Variable> variables_of(const Graph& model, const TrainingStep& step) {
  std::vector<Variable> variables;
  for (ValueId v : step.graph.inputs()) {
    const ValueDef& def = step.graph.value(v);
    if (!step.updates.contains(def.name) && !step.initial.contains(def.name)) continue;
    const ValueId weight = model.find_value(def.name);
    const bool of_model = weight.valid() && model.value(weight).is_constant();
    const Role of_dtype = is_float(def.type.dtype) ? Role::kParameter : Role::kStatistic;
    const Role role = of_model ? of_dtype : Role::kSlot;
    const std::string parameter = role == Role::kParameter ? def.name : "";
    variables.push_back({def.name, role, parameter, def.default_value});
  }
  std::ranges::stable_sort(variables, {}, &Variable::role);
  return variables;
}

// A buffer is overwritten in place: it must fit at every batch.
void check_sized(const Variable& variable, const Type& next, const std::string& output) {
  const auto dims = next.shape ? concrete(*next.shape) : std::nullopt;
  TREADLE_CHECK(dims.has_value(), kUnsupported, "'", variable.name, "' becomes '", output, "', ",
                next.text(), ": its shape must be known before the run");
  TREADLE_CHECK(next.dtype == variable.initial.dtype() && *dims == variable.initial.dims(),
                kInvalidModel, "'", variable.name, "', ", dtype_name(variable.initial.dtype()),
                shape_text(variable.initial.dims()), ", becomes '", output, "', ", next.text());
}

void keep_outputs(Graph& graph, const std::vector<GraphOutput>& kept) {
  while (!graph.outputs().empty()) graph.remove_output(graph.outputs().size() - 1);
  for (const GraphOutput& o : kept) graph.add_output(o.name, o.value);
}

Graph eval_of(const Graph& model, const TrainingStep& step, ValueId loss) {
  Graph eval = step.graph.clone();
  std::vector<GraphOutput> kept;
  for (const GraphOutput& o : model.outputs()) kept.push_back(*find_output(eval, o.name));
  kept.push_back({kLossOutput, loss});
  keep_outputs(eval, kept);
  eval.remove_dead();
  put_in_inference_form(eval);
  annotate(eval);
  eval.remove_dead();
  verify(eval);
  return eval;
}

Graph update_of(const TrainingStep& step, const std::vector<Variable>& variables, ValueId loss,
                bool guarded) {
  Graph graph = step.graph.clone();
  Builder builder(graph, "train/");
  keep_outputs(graph, {{kLossOutput, loss}});
  Expr ok;
  if (guarded) {
    const Expr seen = scalar({builder, loss});
    ok = equal(seen - seen, 0);
  }
  for (const Variable& v : variables) {
    const auto update = step.updates.find(v.name);
    if (update == step.updates.end()) continue;  // it only begins with something
    Expr next(builder, find_output(step.graph, update->second)->value);
    check_sized(v, next.type(), update->second);
    if (guarded) next = where(ok, next, {builder, graph.find_value(v.name)});
    graph.add_output("next/" + v.name, next.id());
    graph.states.push_back({v.name, "next/" + v.name});
  }
  graph.remove_dead();
  verify(graph);
  return graph;
}

}  // namespace

bool applies_to_own_step(const std::string& key) {
  constexpr const char* kApply[] = {"loss_output", "target", "guard",    "seed",
                                    "threads",     "device", "optimize", "memory_budget"};
  return std::ranges::find(kApply, key) != std::end(kApply);
}

void check_becomes(const std::string& name, const Tensor& was, const std::string& output,
                   const Value& value) {
  const bool fits = value.is_tensor() && value.tensor().dtype() == was.dtype() &&
                    value.tensor().dims() == was.dims();
  if (fits) return;
  const std::string found =
      value.is_tensor()
          ? Type::tensor(value.tensor().dtype(), symbolic(value.tensor().dims())).text()
          : "no tensor";
  fail(Code::kInvalidModel, "the model's training binds '", name, "', ",
       Type::tensor(was.dtype(), symbolic(was.dims())).text(), ", to '", output, "', which is ",
       found);
}

void initialize(TrainingStep& step) {
  if (step.initial.empty()) return;
  const std::vector<Value> made = evaluate(step.start, {});
  for (const auto& [name, output] : step.initial) {
    const auto at = std::ranges::find(step.start.outputs(), output, &GraphOutput::name);
    const Value& value = made.at(static_cast<size_t>(at - step.start.outputs().begin()));
    Tensor& initial = step.graph.value(step.graph.find_value(name)).default_value;
    check_becomes(name, initial, output, value);
    initial = value.tensor();
  }
}

Joint build_joint(const Graph& model, TrainingStep step, const TrainerOptions& options) {
  check_options(options);
  expand_gradient_nodes(step.graph, options.joint.operators);
  Joint joint;
  joint.variables = variables_of(model, step);
  joint.target = target_of(model, step, options.joint.target);
  const ValueId loss = loss_of(model, step);
  joint.eval = eval_of(model, step, loss);
  joint.update = update_of(step, joint.variables, loss, options.joint.guard);
  return joint;
}

}  // namespace treadle
