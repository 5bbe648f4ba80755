// Optimizers' update rules as graph builders: a few elementwise nodes a parameter, which the
// optimizer's fusion makes one kernel of. And what is done to gradients before.
//
// g is the gradient (coupled decay: g + decay·w), w the parameter, r the learning rate, t the count
// of updates with this one. Where PyTorch has the rule, its formula is taken.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "training/expr.h"

namespace treadle {

struct UpdateOptions {
  // "sgd":      w -= r·g
  // "momentum": v = momentum·v + g (first: g, as v begins at 0); w -= r·v
  // "nesterov": v likewise; w -= r·(g + momentum·v)
  // "adagrad":  h += g²; w -= r·g/(√h + epsilon)
  // "rmsprop":  h = rho·h + (1-rho)·g²; w -= r·g/(√h + epsilon); with momentum: v = momentum·v +
  //             g/(√h + epsilon), w -= r·v
  // "adadelta": h = rho·h + (1-rho)·g²; d = g·√(u + epsilon)/√(h + epsilon);
  //             u = rho·u + (1-rho)·d²; w -= r·d
  // "adam":     m = beta1·m + (1-beta1)·g; h = beta2·h + (1-beta2)·g²;
  //             w -= r/(1-beta1^t) · m/(√(h/(1-beta2^t)) + epsilon)
  // "adamw":    adam with decoupled decay
  // "lion":     w -= r·sign(beta1·m + (1-beta1)·g); m = beta2·m + (1-beta2)·g; decoupled decay
  // "lamb":     adam's direction u (without r) + decay·w; w -= r·(|w|/|u|)·u, the ratio of the
  //             norms 1 where either is 0
  std::string rule = "sgd";
  // Negative: the rule's default (see default_options).
  double momentum = -1;
  double rho = -1;
  double beta1 = -1;
  double beta2 = -1;
  double epsilon = -1;
  double weight_decay = 0;
  // Decoupled: w -= r·decay·w beside the rule's step. Always so for adamw and lion; in lamb decay
  // joins the direction.
  bool decoupled_decay = false;
  // Bounds of the gradients before the rule and its decay; 0: none.
  double clip_value = 0;  // each element, to [-v, v]
  double clip_norm = 0;   // of all together: g · min(1, clip / (norm + 1e-6))
};

std::vector<std::string> update_rules();
// The learning rate to begin with where none is given. kInvalidArgument: an unknown rule.
double usual_rate(const std::string& rule);
// With every default filled in. kInvalidArgument: an unknown rule (with the close match), or a
// number out of its range.
UpdateOptions checked(const UpdateOptions& options);

// A tensor that the rule keeps for each parameter, of its shape and dtype.
struct SlotDef {
  const char* name;
  double initial;
};
std::vector<SlotDef> update_slots(const UpdateOptions& options);

// Parameters by name: `*` is any text, `?` any character. Of the groups that match, the first that
// has a rate tells it, and likewise the decay; one that freezes is enough.
struct ParameterGroup {
  std::string pattern;
  std::optional<double> rate = std::nullopt;   // times the learning rate
  std::optional<double> decay = std::nullopt;  // times the weight decay
  bool frozen = false;
};
bool matches(std::string_view pattern, std::string_view name);

struct UpdateInputs {
  Expr parameter;
  Expr gradient;
  Expr rate;                // scalar, of any float dtype
  Expr step;                // scalar, the number of this update, from 1
  std::vector<Expr> slots;  // as update_slots tells
  double decay = 1;         // times the weight decay
};
struct Updated {
  Expr parameter;
  std::vector<Expr> slots;
};
// `options` are checked ones.
Updated add_update(const UpdateOptions& options, const UpdateInputs& inputs);

// The gradients bounded as the options say.
std::vector<Expr> clip_gradients(const UpdateOptions& options, std::vector<Expr> gradients);

}  // namespace treadle
