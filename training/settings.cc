#include "training/settings.h"

#include <variant>

#include "graph/base/suggestion.h"
#include "importer/importer.h"
#include "training/data/exact.h"
#include "training/loss_expression.h"
#include "training/setting_text.h"

namespace treadle {
namespace {

using namespace setting_text;  // NOLINT: all of it is for here

void read(const Given& g, Reduction& out, const Bounds&) {
  if (g.text != "mean" && g.text != "sum") refuse(g, "mean or sum");
  out = g.text == "sum" ? Reduction::kSum : Reduction::kMean;
}

template <class T>
void read(const Given& g, std::optional<T>& out, const Bounds& bounds) {
  read(g, out.emplace(), bounds);
}

// "PATTERN,…": groups that do not train.
struct Frozen {
  std::vector<ParameterGroup>* groups;
};
void read(const Given& g, Frozen& out, const Bounds&) {
  std::erase_if(*out.groups, [](const ParameterGroup& group) { return group.frozen; });
  for (const std::string& pattern : items(g)) {
    out.groups->push_back({.pattern = pattern, .frozen = true});
  }
}

// "PATTERN=FACTOR,…": groups whose learning rate or decay is multiplied.
struct Factors {
  std::vector<ParameterGroup>* groups;
  std::optional<double> ParameterGroup::*factor;
};
void read(const Given& g, Factors& out, const Bounds& bounds) {
  std::erase_if(*out.groups,
                [&](const ParameterGroup& group) { return (group.*out.factor).has_value(); });
  for (const std::string& item : items(g)) {
    const size_t equals = item.rfind('=');
    if (equals == std::string::npos) refuse(g, "PATTERN=FACTOR");
    ParameterGroup group{.pattern = item.substr(0, equals)};
    read({g.key, item.substr(equals + 1)}, (group.*out.factor).emplace(), bounds);
    out.groups->push_back(std::move(group));
  }
}

// A kind of losses.h, a formula, or a file whose graph computes the loss.
struct Loss {
  LossOptions* options;
};
void read(const Given& g, Loss& out, const Bounds& bounds) {
  out.options->graph = nullptr;
  const bool file = g.text.ends_with(".onnx");
  if (!file && !is_loss_expression(g.text)) return read(g, out.options->kind, bounds);
  out.options->kind = g.text;
  if (!file) return;
  out.options->graph = std::make_shared<const Graph>(load(g.text));
}

// A number of bytes, also as 1.5GB; "none" is -1.
struct Bytes {
  int64_t* number;
};
void read(const Given& g, Bytes& out, const Bounds&) {
  constexpr std::pair<const char*, double> kUnits[] = {{"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}};
  std::string text = g.text;
  double unit = 1;
  for (const auto& [name, factor] : kUnits) {
    if (!text.ends_with(name)) continue;
    text.resize(text.size() - 2);
    unit = factor;
  }
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool whole = error == std::errc() && end == text.data() + text.size();
  const bool fits = whole && value >= 0 && value * unit < 0x1p62;
  if (!fits && g.text != "none") refuse(g, "bytes, as in 500MB, or none");
  *out.number = fits ? static_cast<int64_t>(value * unit) : -1;
}

// As `read` takes it; "" where nothing is set.
// Negative: the optimizer's own.
std::string shown(double value) { return value < 0 ? "" : exact_text(value); }
std::string shown(bool value) { return value ? "1" : "0"; }
template <std::integral T>
std::string shown(T value) {
  return std::to_string(value);
}
std::string shown(const std::string& value) { return value; }
std::string shown(Reduction value) { return value == Reduction::kSum ? "sum" : "mean"; }
template <class T>
std::string shown(const std::optional<T>& value) {
  return value ? shown(*value) : "";
}
template <class T>
std::string shown(const std::vector<T>& values) {
  std::string text;
  for (const T& value : values) text += (text.empty() ? "" : ",") + shown(value);
  return text;
}
std::string shown(const Bytes& value) {
  return *value.number < 0 ? "none" : std::to_string(*value.number);
}
std::string shown(const Loss& value) { return value.options->kind; }
std::string shown(const Frozen&) { return ""; }
std::string shown(const Factors&) { return ""; }

struct Row {
  const char* key;
  const char* help;  // "": the names that it takes
  std::variant<bool*, int*, int64_t*, uint64_t*, double*, std::string*, Reduction*,
               std::optional<int64_t>*, std::vector<int64_t>*, std::vector<double>*,
               std::vector<std::string>*, Frozen, Factors, Bytes, Loss>
      at;
  Bounds bounds = {};
};

// THE table of a trainer's options.
std::vector<Row> rows(TrainerOptions& o) {
  return {
      {"loss",
       "cross_entropy, nll, mse, l1, huber, bce_with_logits, kl, hinge, output; a formula, as "
       "mean((output - target)^2); or an ONNX file that computes it: its inputs are values of the "
       "model and of the batch, by name",
       Loss{&o.joint.loss},
       {.known = loss_kinds, .more = ", a formula as 'mean((output - target)^2)', and FILE.onnx"}},
      {"loss_output", "the model's output that the loss reads (the first)", &o.joint.output},
      {"reduction", "mean or sum", &o.joint.loss.reduction},
      {"label_smoothing", "of cross_entropy", &o.joint.loss.label_smoothing},
      {"ignore_index", "a class that does not count", &o.joint.loss.ignore_index},
      {"class_weights", "a number each class", &o.joint.loss.class_weights},
      {"delta", "of huber and hinge", &o.joint.loss.delta},
      {"target", "the name of the input that is added for the target", &o.joint.target},
      {"optimizer", "", &o.joint.update.rule, {.known = update_rules}},
      {"rate", "the learning rate; the command takes the optimizer's usual one", &o.schedule.rate},
      {"momentum", "of momentum, nesterov, rmsprop", &o.joint.update.momentum, {.least = 0}},
      {"rho", "of rmsprop, adadelta", &o.joint.update.rho, {.least = 0}},
      {"beta1", "of adam, adamw, lion, lamb", &o.joint.update.beta1, {.least = 0}},
      {"beta2", "likewise", &o.joint.update.beta2, {.least = 0}},
      {"epsilon", "the small number in a divisor", &o.joint.update.epsilon, {.least = 0}},
      {"weight_decay", "coupled to the gradient, but for adamw, lion and lamb",
       &o.joint.update.weight_decay},
      {"decoupled_decay", "decay beside the rule's step, whatever the rule",
       &o.joint.update.decoupled_decay},
      {"clip_norm", "of all gradients together", &o.joint.update.clip_norm},
      {"clip_value", "of each element", &o.joint.update.clip_value},
      {"freeze", "patterns of names (* and ?) that do not train", Frozen{&o.joint.groups}},
      {"rates", "PATTERN=FACTOR: groups whose rate is multiplied",
       Factors{&o.joint.groups, &ParameterGroup::rate}},
      {"decays",
       "PATTERN=FACTOR: groups whose weight decay is multiplied, as *.bias=0",
       Factors{&o.joint.groups, &ParameterGroup::decay},
       {.least = 0}},
      {"training_form",
       "BatchNormalization and Dropout train also where the model has them in inference form",
       &o.joint.training_form},
      {"straight_through", "gradients pass QuantizeLinear as if it did not round",
       &o.joint.straight_through},
      {"guard", "a step whose loss is not finite changes nothing", &o.joint.guard},
      {"accumulate", "batches whose gradients make one update", &o.joint.accumulate},
      {"average", "above 0: keeps an average of the parameters with this weight of the past",
       &o.joint.average},
      {"gradient_norm", "tell the norm of the gradients", &o.joint.gradient_norm},
      {"fetch", "values that a step yields too", &o.joint.fetch},
      {"seed", "of what the model draws, the order, the augmentation, the split, new weights",
       &o.joint.seed},
      {"loss_scale", "for 16-bit floats; 0: none", &o.scaling.initial},
      {"loss_scale_interval", "good steps after which it doubles", &o.scaling.interval},
      {"schedule", "", &o.schedule.kind, {.known = schedule_kinds}},
      {"gamma", "of the schedule", &o.schedule.gamma},
      {"power", "of inverse, polynomial", &o.schedule.power},
      {"last_rate", "of polynomial, cosine", &o.schedule.last},
      {"rise", "of one_cycle: the share of steps up", &o.schedule.rise},
      {"period", "of step", &o.schedule.period},
      {"milestones", "of multistep", &o.schedule.milestones},
      {"steps", "of the whole schedule (those of the run)", &o.schedule.steps},
      {"warm_up", "steps before, in which the rate grows", &o.schedule.warm_up},
      {"patience", "of plateau: epochs", &o.schedule.patience},
      {"threshold", "of plateau", &o.schedule.threshold},
      {"threads",
       "that compute; results are the same at the same number only",
       &o.threads,
       {.least = 0, .most = 1024}},
      {"device", "cpu or reference", &o.device},
      {"optimize", "run the graph optimized", &o.optimize},
      {"memory_budget",
       "bytes of a step's buffers, as 500MB: above it values are made again instead of being kept; "
       "0: where that takes little time; none: never",
       Bytes{&o.memory_budget}},
  };
}

template <class T>
T& target(T* at) {
  return *at;
}
template <class T>
T& target(T& at) {
  return at;
}

}  // namespace

std::vector<TrainSetting> train_settings(const TrainerOptions& of) {
  TrainerOptions standard = of;
  std::vector<TrainSetting> settings;
  for (Row& row : rows(standard)) {
    settings.push_back({row.key, *row.help != '\0' ? row.help : shown(row.bounds.known()),
                        std::visit([&](auto& at) { return shown(target(at)); }, row.at)});
  }
  return settings;
}

void set_train_setting(TrainerOptions& options, const std::string& key, const std::string& value) {
  std::vector<std::string> known;
  for (Row& row : rows(options)) {
    if (key == row.key) {
      return std::visit([&](auto& at) { read({key, value}, target(at), row.bounds); }, row.at);
    }
    known.emplace_back(row.key);
  }
  fail(Code::kInvalidArgument, "there is no option '", key, "' of training",
       suggestion(key, known));
}

}  // namespace treadle
