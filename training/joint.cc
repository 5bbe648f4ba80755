#include "training/joint.h"

#include <algorithm>
#include <map>
#include <set>

#include "graph/ops/op.h"
#include "training/autodiff.h"
#include "training/capture_constants.h"
#include "training/forms.h"
#include "training/loss_output.h"
#include "training/parameters.h"
#include "training/straight_through.h"

namespace treadle {
namespace {

using Role = Variable::Role;

std::vector<bool> ancestors(const Graph& graph, ValueId of) {
  std::vector<bool> found(graph.value_count());
  found[of.index] = true;
  const std::vector<NodeId> order = graph.topological_order();
  for (auto it = order.rbegin(); it != order.rend(); ++it) {
    const Node& node = graph.node(*it);
    const bool counts =
        std::ranges::any_of(node.outputs, [&](ValueId v) { return v.valid() && found[v.index]; });
    if (counts) for_each_use(node, [&](ValueId v) { found[v.index] = true; });
  }
  return found;
}

std::string list_text(const std::vector<std::string>& names) {
  constexpr size_t kShown = 8;
  std::string text;
  for (size_t i = 0; i < std::min(names.size(), kShown); ++i) {
    text += cat(i == 0 ? "'" : ", '", names[i], "'");
  }
  return names.size() > kShown ? cat(text, " and ", names.size() - kShown, " more") : text;
}

class JointBuilder {
 public:
  JointBuilder(const Graph& model, const JointOptions& options)
      : model_(model), options_(options), graph_(model.clone()), builder_(graph_, "train/") {
    options_.update = checked(options.update);
    TREADLE_CHECK(options.accumulate >= 0, kInvalidArgument, "gradients of ", options.accumulate,
                  " runs cannot be accumulated");
    TREADLE_CHECK(options.average >= 0 && options.average < 1, kInvalidArgument,
                  "the parameters' average decays by ", options.average, ", expected 0 to below 1");
  }

  Joint run();

 private:
  Expr scalar_input(const char* name, DType dtype);
  void build_forward();
  void choose_parameters();
  void build_backward();
  void drop_unreached(std::vector<ValueId>& gradients);
  void warn_unused();
  Expr total_norm();
  void bound();
  void update(size_t i);
  Graph accumulation();
  void start_application();
  void keep_eval();

  Expr named(const std::string& name) { return {builder_, graph_.find_value(name)}; }
  Expr variable(Role role, const std::string& name, const std::string& of, const Tensor& initial);
  void set_next(const std::string& name, const Expr& next);
  Expr finite();

  const Graph& model_;
  JointOptions options_;
  Graph graph_;
  Builder builder_;
  Joint joint_;
  std::vector<std::string> parameters_;    // their names
  std::map<std::string, Tensor> initial_;  // of parameters and statistics
  std::vector<Expr> gradients_;            // of the parameters
  std::map<std::string, ValueId> statistics_;
  Expr rate_, step_, scale_, norm_, ok_;
};

Expr JointBuilder::scalar_input(const char* name, DType dtype) {
  TREADLE_CHECK(!graph_.find_value(name).valid(), kInvalidArgument, "the model has a value '", name,
                "', a name of the trainer's own");
  return {builder_, graph_.add_input(name, Type::tensor(dtype, Shape{}))};
}

void JointBuilder::build_forward() {
  capture_constants(graph_);
  annotate(graph_);
  rate_ = scalar_input(kRateInput, DType::kFloat);
  step_ = scalar_input(kStepInput, DType::kInt64);
  const Expr draw = scalar_input(kDrawInput, DType::kInt64);
  if (options_.scaled) scale_ = scalar_input(kScaleInput, DType::kFloat);
  std::set<uint32_t> trained;
  for (ValueId v : find_parameters(graph_, options_.groups)) {
    const std::string& name = graph_.value(v).name;
    if (is_frozen(options_.groups, name)) continue;
    trained.insert(v.index);
    parameters_.push_back(name);
  }
  TrainingForm form;
  form.trains = [&](ValueId v) { return v.valid() && trained.contains(v.index); };
  form.always = options_.training_form;
  form.draw = draw.id();
  form.seed = options_.seed;
  statistics_ = put_in_training_form(graph_, form);
  if (options_.straight_through) pass_gradients_straight(graph_);
  joint_.target = put_loss(graph_, options_);
}

void JointBuilder::choose_parameters() {
  const std::vector<bool> counts = ancestors(graph_, graph_.outputs().back().value);
  const auto take = [&](const std::string& name) {
    const ValueId v = graph_.find_value(name);
    if (!counts[v.index]) return false;
    initial_[name] = graph_.value(v).constant;
    make_input(graph_, v);
    return true;
  };
  std::vector<std::string> read, unread;
  for (const std::string& name : parameters_) (take(name) ? read : unread).push_back(name);
  parameters_ = std::move(read);
  if (!unread.empty()) {
    joint_.warnings.push_back("the loss does not depend on " + list_text(unread) + ": not trained");
  }
  std::erase_if(statistics_, [&](const auto& s) { return !take(s.first); });
}

// What nothing of the model reads, or no group matches.
void JointBuilder::warn_unused() {
  const std::vector<std::string> all = parameter_names(model_, options_.groups);
  for (const ParameterGroup& g : options_.groups) {
    const bool used =
        std::ranges::any_of(all, [&](const std::string& name) { return matches(g.pattern, name); });
    if (!used) {
      joint_.warnings.push_back(cat("no parameter matches the group '", g.pattern, "'"));
    }
  }
}

void JointBuilder::build_backward() {
  const ValueId loss = graph_.outputs().back().value;
  while (!graph_.outputs().empty()) graph_.remove_output(graph_.outputs().size() - 1);
  graph_.add_output(kLossOutput, loss);
  for (const auto& [name, next] : statistics_) graph_.add_output("next/" + name, next);
  GradientTargets targets{
      .outputs = {loss}, .skip_unreachable = true, .operators = options_.operators};
  if (options_.scaled) targets.seeds = {cast(scale_, graph_.value(loss).type.dtype).id()};
  for (const std::string& name : parameters_) targets.wrt.push_back(graph_.find_value(name));
  std::vector<std::string> wanted;
  for (const std::string& name : options_.fetch) {
    const bool gradient = name.starts_with("grad:");
    const ValueId v = graph_.find_value(gradient ? std::string_view(name).substr(5) : name);
    TREADLE_CHECK(v.valid(), kInvalidArgument, "there is no value '", name, "' to fetch");
    if (gradient) {
      targets.wrt.push_back(v);
      wanted.push_back(name);
    } else {
      graph_.add_output(fetched_output(name), v);
    }
  }
  begin_hooks(graph_, options_.hooks, targets);
  std::vector<ValueId> gradients = add_gradients(graph_, targets);
  finish_hooks(graph_, options_.hooks, gradients);
  for (size_t i = 0; i < wanted.size(); ++i) {
    const ValueId v = gradients[parameters_.size() + i];
    TREADLE_CHECK(v.valid(), kInvalidArgument, "no gradient reaches '", wanted[i], "'");
    graph_.add_output(fetched_output(wanted[i]), v);
  }
  gradients.resize(parameters_.size());
  drop_unreached(gradients);
}

void JointBuilder::drop_unreached(std::vector<ValueId>& gradients) {
  std::vector<std::string> reached, lost;
  for (size_t i = 0; i < parameters_.size(); ++i) {
    if (gradients[i].valid()) {
      reached.push_back(parameters_[i]);
      gradients_.emplace_back(builder_, gradients[i]);
      continue;
    }
    lost.push_back(parameters_[i]);
    make_constant(graph_, graph_.find_value(parameters_[i]), initial_.at(parameters_[i]));
  }
  parameters_ = std::move(reached);
  if (!lost.empty()) {
    joint_.warnings.push_back("no gradient reaches " + list_text(lost) + ": not trained");
  }
  TREADLE_CHECK(!parameters_.empty(), kInvalidArgument,
                "nothing to train: the loss depends smoothly on no parameter that is not frozen");
}

Expr JointBuilder::total_norm() {
  std::vector<Expr> squares;
  for (const Expr& g : gradients_) {
    squares.push_back(cast(g, DType::kFloat).op("ReduceSumSquare", {{"keepdims", int64_t{0}}}));
  }
  return squares[0].op("Sum", {squares.begin() + 1, squares.end()}).op("Sqrt");
}

// Whether this run may change anything.
Expr JointBuilder::finite() {
  Expr seen(builder_, graph_.outputs()[0].value);
  if (norm_.id().valid()) seen = cast(seen, DType::kFloat) + norm_;
  return equal(seen - seen, 0);
}

// What the backward pass yields, made what the rule is given.
void JointBuilder::bound() {
  for (Expr& g : gradients_) {
    if (options_.scaled) g = g / cast(scale_, g.dtype());
  }
  if (options_.scaled || options_.gradient_norm) {
    norm_ = total_norm();
    graph_.add_output(kNormOutput, norm_.id());
  }
  if (options_.guard) ok_ = finite();
  if (options_.accumulate == 1) return;
  const double part = 1 / static_cast<double>(std::max<int64_t>(options_.accumulate, 1));
  for (size_t i = 0; i < parameters_.size(); ++i) {
    const Tensor& initial = initial_.at(parameters_[i]);
    const Expr sum = variable(Role::kSum, "sum/" + parameters_[i], parameters_[i],
                              Tensor::zeros(initial.dtype(), initial.dims()));
    gradients_[i] = sum + part * gradients_[i];
  }
}

Expr JointBuilder::variable(Role role, const std::string& name, const std::string& of,
                            const Tensor& initial) {
  TREADLE_CHECK(!graph_.find_value(name).valid(), kInvalidArgument, "the model has a value '", name,
                "', a name of the trainer's own");
  joint_.variables.push_back({name, role, of, initial});
  return {builder_,
          graph_.add_input(name, Type::tensor(initial.dtype(), symbolic(initial.dims())))};
}

void JointBuilder::set_next(const std::string& name, const Expr& next) {
  const Expr value = ok_.id().valid() ? where(ok_, next, named(name)) : next;
  graph_.add_output("next/" + name, value.id());
  graph_.states.push_back({name, "next/" + name});
}

void JointBuilder::update(size_t i) {
  const std::string& name = parameters_[i];
  const Tensor& initial = initial_.at(name);
  UpdateInputs in{named(name), gradients_[i], rate_, step_, {}, 1};
  in.decay = factor_of(options_.groups, name, &ParameterGroup::decay);
  const double rate = factor_of(options_.groups, name, &ParameterGroup::rate);
  if (rate != 1) in.rate = in.rate * rate;
  std::vector<std::string> slots;
  for (const SlotDef& slot : update_slots(options_.update)) {
    slots.push_back(cat(slot.name, "/", name));
    in.slots.push_back(variable(Role::kSlot, slots.back(), name,
                                filled(initial.dtype(), initial.dims(), slot.initial)));
  }
  const Updated updated = add_update(options_.update, in);
  set_next(name, updated.parameter);
  for (size_t k = 0; k < slots.size(); ++k) set_next(slots[k], updated.slots[k]);
  if (options_.accumulate != 1) {
    graph_.add_output("next/sum/" + name, zeros_like(in.parameter).id());
    graph_.states.push_back({"sum/" + name, "next/sum/" + name});
  }
  if (options_.average == 0) return;
  const Expr average = variable(Role::kAverage, "average/" + name, name, initial);
  const Expr next =
      ok_.id().valid() ? where(ok_, updated.parameter, in.parameter) : updated.parameter;
  set_next("average/" + name, options_.average * average + (1 - options_.average) * next);
}

// The same graph up to the sums of gradients, which it only adds to.
Graph JointBuilder::accumulation() {
  Graph part = graph_.clone();
  Builder b(part, "train/");
  for (size_t i = 0; i < parameters_.size(); ++i) {
    const std::string sum = "sum/" + parameters_[i];
    const Expr next(b, gradients_[i].id());
    const Expr kept(b, part.find_value(sum));
    const Expr value = ok_.id().valid() ? where(Expr(b, ok_.id()), next, kept) : next;
    part.add_output("next/" + sum, value.id());
    part.states.push_back({sum, "next/" + sum});
  }
  part.remove_dead();
  return part;
}

// The update without the model, of what the sums are.
void JointBuilder::start_application() {
  graph_ = Graph();
  ok_ = norm_ = Expr();
  rate_ = scalar_input(kRateInput, DType::kFloat);
  step_ = scalar_input(kStepInput, DType::kInt64);
  const Expr share = scalar_input(kShareInput, DType::kFloat);
  gradients_.clear();
  for (const std::string& name : parameters_) {
    const Tensor& initial = initial_.at(name);
    const Type type = Type::tensor(initial.dtype(), symbolic(initial.dims()));
    graph_.add_input(name, type);
    const Expr sum(builder_, graph_.add_input("sum/" + name, type));
    gradients_.push_back(cast(share, initial.dtype()) * sum);
  }
  if (!options_.gradient_norm) return;
  norm_ = total_norm();
  graph_.add_output(kNormOutput, norm_.id());
}

// The statistics' next values are outputs since the forward pass, so that they follow what the
// backward pass makes of their nodes.
void guard_statistics(Graph& graph, Builder& builder, const Expr& ok) {
  for (size_t i = 0; i < graph.outputs().size(); ++i) {
    const GraphOutput out = graph.outputs()[i];
    if (!out.name.starts_with("next/")) continue;
    const std::string name = out.name.substr(5);
    graph.states.push_back({name, out.name});
    if (!ok.id().valid()) continue;
    const Expr old(builder, graph.find_value(name));
    graph.set_output(i, where(ok, Expr(builder, out.value), old).id());
  }
}

void JointBuilder::keep_eval() {
  Graph& eval = joint_.eval;
  eval = model_.clone();
  annotate(eval);
  put_in_inference_form(eval);
  put_loss(eval, options_);
  for (const Variable& v : joint_.variables) {
    const bool shared = v.role == Role::kParameter || v.role == Role::kStatistic;
    const ValueId constant = shared ? eval.find_value(v.name) : ValueId{};
    if (constant.valid() && eval.value(constant).is_constant()) make_input(eval, constant);
  }
  eval.remove_dead();
  verify(eval);
}

Joint JointBuilder::run() {
  build_forward();
  choose_parameters();
  warn_unused();
  build_backward();
  for (const std::string& name : parameters_) {
    joint_.variables.push_back({name, Role::kParameter, name, initial_.at(name)});
  }
  for (const auto& [name, next] : statistics_) {
    joint_.variables.push_back({name, Role::kStatistic, "", initial_.at(name)});
  }
  bound();
  guard_statistics(graph_, builder_, ok_);
  if (options_.accumulate != 1) joint_.accumulate = accumulation();
  if (options_.accumulate == 0) start_application();
  gradients_ = clip_gradients(options_.update, std::move(gradients_));
  for (size_t i = 0; i < parameters_.size(); ++i) update(i);
  graph_.remove_dead();
  verify(graph_);
  keep_eval();
  joint_.update = std::move(graph_);
  return std::move(joint_);
}

}  // namespace

std::string fetched_output(const std::string& name) { return "fetched/" + name; }

Joint build_joint(const Graph& model, const JointOptions& options) {
  return JointBuilder(model, options).run();
}

}  // namespace treadle
