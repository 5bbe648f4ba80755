#include "training/updates.h"

#include "graph/base/suggestion.h"

namespace treadle {
namespace {

// What a rule computes: the step to subtract (without the learning rate), and the new slots.
struct Step {
  Expr direction;
  std::vector<Expr> slots;
};

using Slots = std::vector<Expr>;
using RuleFn = Step (*)(const UpdateOptions&, const UpdateInputs&, const Expr& g);

struct RuleDef {
  const char* name;
  std::vector<SlotDef> slots;
  UpdateOptions defaults;
  double rate;  // the usual one
  RuleFn build;
};

Expr mix(double keep, const Expr& old, const Expr& fresh) {
  return keep * old + (1 - keep) * fresh;
}

Step sgd(const UpdateOptions&, const UpdateInputs&, const Expr& g) { return {g, {}}; }

Step momentum(const UpdateOptions& o, const UpdateInputs& in, const Expr& g) {
  const Expr v = o.momentum * in.slots[0] + g;
  return {v, {v}};
}

Step nesterov(const UpdateOptions& o, const UpdateInputs& in, const Expr& g) {
  const Expr v = o.momentum * in.slots[0] + g;
  return {g + o.momentum * v, {v}};
}

Step adagrad(const UpdateOptions& o, const UpdateInputs& in, const Expr& g) {
  const Expr h = in.slots[0] + square(g);
  return {g / (h.op("Sqrt") + o.epsilon), {h}};
}

Step rmsprop(const UpdateOptions& o, const UpdateInputs& in, const Expr& g) {
  const Expr h = mix(o.rho, in.slots[0], square(g));
  const Expr scaled = g / (h.op("Sqrt") + o.epsilon);
  if (o.momentum == 0) return {scaled, {h}};
  const Expr v = o.momentum * in.slots[1] + scaled;
  return {v, {h, v}};
}

Step adadelta(const UpdateOptions& o, const UpdateInputs& in, const Expr& g) {
  const Expr h = mix(o.rho, in.slots[0], square(g));
  const Expr d = g * (in.slots[1] + o.epsilon).op("Sqrt") / (h + o.epsilon).op("Sqrt");
  return {d, {h, mix(o.rho, in.slots[1], square(d))}};
}

// 1 - beta^t, a scalar of the parameter's dtype.
Expr correction(double beta, const UpdateInputs& in) {
  const Expr t = cast(in.step, in.parameter.dtype());
  return 1 - t.number(beta).op("Pow", {t});
}

Step adam(const UpdateOptions& o, const UpdateInputs& in, const Expr& g) {
  const Expr m = mix(o.beta1, in.slots[0], g);
  const Expr h = mix(o.beta2, in.slots[1], square(g));
  const Expr scale = 1 / correction(o.beta2, in).op("Sqrt");
  const Expr inverse = 1 / correction(o.beta1, in);
  return {m * inverse / (h.op("Sqrt") * scale + o.epsilon), {m, h}};
}

Step lion(const UpdateOptions& o, const UpdateInputs& in, const Expr& g) {
  return {mix(o.beta1, in.slots[0], g).op("Sign"), {mix(o.beta2, in.slots[0], g)}};
}

Expr norm(const Expr& x) { return x.op("ReduceSumSquare", {{"keepdims", int64_t{0}}}).op("Sqrt"); }

Step lamb(const UpdateOptions& o, const UpdateInputs& in, const Expr& g) {
  Step step = adam(o, in, g);
  const double decay = o.weight_decay * in.decay;
  const Expr u = decay == 0 ? step.direction : step.direction + decay * in.parameter;
  const Expr of_w = norm(in.parameter), of_u = norm(u);
  const Expr both = less(0, of_w).op("And", {less(0, of_u)});
  step.direction = u * where(both, of_w / of_u, 1);
  return step;
}

UpdateOptions defaults(double momentum, double rho, double beta1, double beta2, double epsilon) {
  UpdateOptions o;
  o.momentum = momentum, o.rho = rho, o.beta1 = beta1, o.beta2 = beta2, o.epsilon = epsilon;
  return o;
}

const std::vector<RuleDef>& rules() {
  static const std::vector<RuleDef> table = {
      {"sgd", {}, defaults(0, 0, 0, 0, 0), 0.01, sgd},
      {"momentum", {{"velocity", 0}}, defaults(0.9, 0, 0, 0, 0), 0.01, momentum},
      {"nesterov", {{"velocity", 0}}, defaults(0.9, 0, 0, 0, 0), 0.01, nesterov},
      {"adagrad", {{"square_sum", 0}}, defaults(0, 0, 0, 0, 1e-10), 0.01, adagrad},
      {"rmsprop",
       {{"square_mean", 0}, {"velocity", 0}},
       defaults(0, 0.99, 0, 0, 1e-8),
       0.01,
       rmsprop},
      {"adadelta",
       {{"square_mean", 0}, {"step_mean", 0}},
       defaults(0, 0.9, 0, 0, 1e-6),
       1,
       adadelta},
      {"adam", {{"mean", 0}, {"square_mean", 0}}, defaults(0, 0, 0.9, 0.999, 1e-8), 0.001, adam},
      {"adamw", {{"mean", 0}, {"square_mean", 0}}, defaults(0, 0, 0.9, 0.999, 1e-8), 0.001, adam},
      {"lion", {{"mean", 0}}, defaults(0, 0, 0.9, 0.99, 0), 0.0001, lion},
      {"lamb", {{"mean", 0}, {"square_mean", 0}}, defaults(0, 0, 0.9, 0.999, 1e-6), 0.001, lamb},
  };
  return table;
}

const RuleDef& find_rule(const std::string& name) {
  for (const RuleDef& def : rules()) {
    if (def.name == name) return def;
  }
  fail(Code::kInvalidArgument, "there is no optimizer '", name, "'",
       suggestion(name, update_rules()));
}

void check_range(const char* what, double value, double below) {
  TREADLE_CHECK(value >= 0 && value < below, kInvalidArgument, "the optimizer's ", what, " is ",
                value, ", expected 0 to below ", below);
}

}  // namespace

std::vector<std::string> update_rules() {
  std::vector<std::string> names;
  for (const RuleDef& def : rules()) names.emplace_back(def.name);
  return names;
}

double usual_rate(const std::string& rule) { return find_rule(rule).rate; }

UpdateOptions checked(const UpdateOptions& options) {
  const RuleDef& def = find_rule(options.rule);
  UpdateOptions o = options;
  if (o.momentum < 0) o.momentum = def.defaults.momentum;
  if (o.rho < 0) o.rho = def.defaults.rho;
  if (o.beta1 < 0) o.beta1 = def.defaults.beta1;
  if (o.beta2 < 0) o.beta2 = def.defaults.beta2;
  if (o.epsilon < 0) o.epsilon = def.defaults.epsilon;
  if (o.rule == "adamw" || o.rule == "lion") o.decoupled_decay = true;
  constexpr double kAny = std::numeric_limits<double>::infinity();
  check_range("momentum", o.momentum, 1);
  check_range("rho", o.rho, 1);
  check_range("beta1", o.beta1, 1);
  check_range("beta2", o.beta2, 1);
  check_range("epsilon", o.epsilon, kAny);
  check_range("weight decay", o.weight_decay, kAny);
  check_range("bound of values", o.clip_value, kAny);
  check_range("bound of the norm", o.clip_norm, kAny);
  return o;
}

std::vector<SlotDef> update_slots(const UpdateOptions& options) {
  std::vector<SlotDef> slots = find_rule(options.rule).slots;
  if (options.rule == "rmsprop" && options.momentum == 0) slots.pop_back();
  return slots;
}

bool matches(std::string_view pattern, std::string_view name) {
  // Greedy, with the last star to come back to: linear in space, no recursion.
  size_t p = 0, n = 0, star = std::string_view::npos, from = 0;
  while (n < name.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++, from = n;
    } else if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == name[n])) {
      ++p, ++n;
    } else if (star != std::string_view::npos) {
      p = star + 1, n = ++from;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

Updated add_update(const UpdateOptions& options, const UpdateInputs& in) {
  const double decay = options.rule == "lamb" ? 0 : options.weight_decay * in.decay;
  const Expr& w = in.parameter;
  const bool coupled = decay != 0 && !options.decoupled_decay;
  const Step step =
      find_rule(options.rule).build(options, in, coupled ? in.gradient + decay * w : in.gradient);
  const Expr rate = cast(in.rate, w.dtype());
  const bool decoupled = decay != 0 && options.decoupled_decay;
  const Expr direction = decoupled ? step.direction + decay * w : step.direction;
  return {w - rate * direction, step.slots};
}

std::vector<Expr> clip_gradients(const UpdateOptions& options, std::vector<Expr> gradients) {
  if (options.clip_value > 0) {
    for (Expr& g : gradients) {
      g = g.op("Clip", {g.number(-options.clip_value), g.number(options.clip_value)});
    }
  }
  if (options.clip_norm <= 0 || gradients.empty()) return gradients;
  const DType wide = DType::kFloat;
  std::vector<Expr> squares;
  for (const Expr& g : gradients) {
    const Expr one = g.op("ReduceSumSquare", {{"keepdims", int64_t{0}}});
    squares.push_back(g.dtype() == DType::kDouble ? one : cast(one, wide));
  }
  const DType dtype = squares[0].dtype();
  for (Expr& s : squares) s = cast(s, dtype);
  const Expr total =
      squares.size() == 1 ? squares[0] : squares[0].op("Sum", {squares.begin() + 1, squares.end()});
  const Expr all = total.op("Sqrt");
  const Expr ratio = options.clip_norm / (all + 1e-6);
  const Expr scale = ratio.op("Min", {ratio.number(1)});
  for (Expr& g : gradients) g = g * cast(scale, g.dtype());
  return gradients;
}

}  // namespace treadle
