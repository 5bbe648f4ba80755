#include "training/settings.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "graph/base/suggestion.h"

namespace treadle {
namespace {

// One key with its text, for the parsers' messages.
struct Given {
  const std::string& key;
  const std::string& text;
};

[[noreturn]] void refuse(const Given& g, const std::string& expected) {
  fail(Code::kInvalidArgument, "option '", g.key, "' is '", g.text, "', expected ", expected);
}

double number(const Given& g) {
  double value = 0;
  const auto [end, error] = std::from_chars(g.text.data(), g.text.data() + g.text.size(), value);
  if (error != std::errc() || end != g.text.data() + g.text.size() || !std::isfinite(value)) {
    refuse(g, "a number");
  }
  return value;
}

double not_negative(const Given& g) {
  const double value = number(g);
  if (value < 0) refuse(g, "at least 0");
  return value;
}

int64_t integer(const Given& g) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(g.text.data(), g.text.data() + g.text.size(), value);
  if (error != std::errc() || end != g.text.data() + g.text.size()) refuse(g, "an integer");
  return value;
}

bool boolean(const Given& g) {
  if (g.text != "0" && g.text != "1") refuse(g, "0 or 1");
  return g.text == "1";
}

std::vector<std::string> list(const Given& g) {
  std::vector<std::string> items;
  for (size_t begin = 0; begin < g.text.size();) {
    const size_t comma = std::min(g.text.find(',', begin), g.text.size());
    if (comma > begin) items.push_back(g.text.substr(begin, comma - begin));
    begin = comma + 1;
  }
  return items;
}

template <class T>
std::vector<T> numbers(const Given& g, T (*parse)(const Given&)) {
  std::vector<T> values;
  for (const std::string& item : list(g)) values.push_back(parse({g.key, item}));
  return values;
}

// One of the names.
std::string name(const Given& g, const std::vector<std::string>& known) {
  if (std::ranges::find(known, g.text) != known.end()) return g.text;
  fail(Code::kInvalidArgument, "there is no ", g.key, " '", g.text, "'", suggestion(g.text, known));
}

// "PATTERN=FACTOR,…": groups whose learning rate is multiplied.
void add_rates(TrainerOptions& o, const Given& g) {
  for (const std::string& item : list(g)) {
    const size_t equals = item.rfind('=');
    if (equals == std::string::npos) refuse(g, "PATTERN=FACTOR");
    ParameterGroup group;
    group.pattern = item.substr(0, equals);
    const std::string factor = item.substr(equals + 1);
    group.rate = number({g.key, factor});
    o.joint.groups.push_back(std::move(group));
  }
}

void set_reduction(TrainerOptions& o, const Given& g) {
  if (g.text != "mean" && g.text != "sum") refuse(g, "mean or sum");
  o.joint.loss.reduction = g.text == "sum" ? Reduction::kSum : Reduction::kMean;
}

void set_threads(TrainerOptions& o, const Given& g) {
  const int64_t threads = integer(g);
  if (threads < 0 || threads > 1024) refuse(g, "0 to 1024");
  o.threads = static_cast<int>(threads);
}

using O = TrainerOptions;
struct Row {
  const char* key;
  void (*set)(O& o, const Given& g);
};
constexpr Row kRows[] = {
    {"loss", [](O& o, const Given& g) { o.joint.loss.kind = name(g, loss_kinds()); }},
    {"loss_output", [](O& o, const Given& g) { o.joint.output = g.text; }},
    {"reduction", set_reduction},
    {"label_smoothing", [](O& o, const Given& g) { o.joint.loss.label_smoothing = number(g); }},
    {"ignore_index", [](O& o, const Given& g) { o.joint.loss.ignore_index = integer(g); }},
    {"class_weights",
     [](O& o, const Given& g) { o.joint.loss.class_weights = numbers(g, number); }},
    {"delta", [](O& o, const Given& g) { o.joint.loss.delta = number(g); }},
    {"target", [](O& o, const Given& g) { o.joint.target = g.text; }},
    {"optimizer", [](O& o, const Given& g) { o.joint.update.rule = name(g, update_rules()); }},
    {"momentum", [](O& o, const Given& g) { o.joint.update.momentum = not_negative(g); }},
    {"rho", [](O& o, const Given& g) { o.joint.update.rho = not_negative(g); }},
    {"beta1", [](O& o, const Given& g) { o.joint.update.beta1 = not_negative(g); }},
    {"beta2", [](O& o, const Given& g) { o.joint.update.beta2 = not_negative(g); }},
    {"epsilon", [](O& o, const Given& g) { o.joint.update.epsilon = not_negative(g); }},
    {"weight_decay", [](O& o, const Given& g) { o.joint.update.weight_decay = number(g); }},
    {"decoupled_decay", [](O& o, const Given& g) { o.joint.update.decoupled_decay = boolean(g); }},
    {"clip_norm", [](O& o, const Given& g) { o.joint.update.clip_norm = number(g); }},
    {"clip_value", [](O& o, const Given& g) { o.joint.update.clip_value = number(g); }},
    {"freeze",
     [](O& o, const Given& g) {
       for (const std::string& pattern : list(g)) {
         ParameterGroup group;
         group.pattern = pattern;
         group.frozen = true;
         o.joint.groups.push_back(std::move(group));
       }
     }},
    {"rates", add_rates},
    {"training_form", [](O& o, const Given& g) { o.joint.training_form = boolean(g); }},
    {"guard", [](O& o, const Given& g) { o.joint.guard = boolean(g); }},
    {"accumulate", [](O& o, const Given& g) { o.joint.accumulate = integer(g); }},
    {"average", [](O& o, const Given& g) { o.joint.average = number(g); }},
    {"gradient_norm", [](O& o, const Given& g) { o.joint.gradient_norm = boolean(g); }},
    {"fetch", [](O& o, const Given& g) { o.joint.fetch = list(g); }},
    {"seed", [](O& o, const Given& g) { o.joint.seed = static_cast<uint64_t>(integer(g)); }},
    {"loss_scale", [](O& o, const Given& g) { o.scaling.initial = number(g); }},
    {"loss_scale_interval", [](O& o, const Given& g) { o.scaling.interval = integer(g); }},
    {"schedule", [](O& o, const Given& g) { o.schedule.kind = g.text; }},
    {"rate", [](O& o, const Given& g) { o.schedule.rate = number(g); }},
    {"gamma", [](O& o, const Given& g) { o.schedule.gamma = number(g); }},
    {"power", [](O& o, const Given& g) { o.schedule.power = number(g); }},
    {"last_rate", [](O& o, const Given& g) { o.schedule.last = number(g); }},
    {"rise", [](O& o, const Given& g) { o.schedule.rise = number(g); }},
    {"period", [](O& o, const Given& g) { o.schedule.period = integer(g); }},
    {"milestones", [](O& o, const Given& g) { o.schedule.milestones = numbers(g, integer); }},
    {"steps", [](O& o, const Given& g) { o.schedule.steps = integer(g); }},
    {"warm_up", [](O& o, const Given& g) { o.schedule.warm_up = integer(g); }},
    {"patience", [](O& o, const Given& g) { o.schedule.patience = integer(g); }},
    {"threshold", [](O& o, const Given& g) { o.schedule.threshold = number(g); }},
    {"threads", set_threads},
    {"device", [](O& o, const Given& g) { o.device = g.text; }},
    {"optimize", [](O& o, const Given& g) { o.optimize = boolean(g); }},
};

}  // namespace

std::vector<std::string> train_setting_keys() {
  std::vector<std::string> keys;
  for (const Row& row : kRows) keys.emplace_back(row.key);
  return keys;
}

void set_train_setting(TrainerOptions& options, const std::string& key, const std::string& value) {
  for (const Row& row : kRows) {
    if (key == row.key) return row.set(options, {key, value});
  }
  fail(Code::kInvalidArgument, "there is no option '", key, "' of training",
       suggestion(key, train_setting_keys()));
}

}  // namespace treadle
