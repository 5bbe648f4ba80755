// Losses as graph builders: a scalar from a model's output and a target. The meaning of each is
// PyTorch's function of the same name.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "training/expr.h"

namespace treadle {

enum class Reduction : uint8_t { kMean, kSum };

struct LossOptions {
  // "cross_entropy": scores [N, C, …], integer classes [N, …]. The mean divides by the sum of the
  //   weights of the classes that are not ignored; where all are ignored it is 0/0 = NaN. With
  //   smoothing s the target is 1-s on the class plus s/C on every class.
  // "nll": the same over log-probabilities, without smoothing.
  // "mse": (x-t)². "l1": |x-t|. "huber": (x-t)²/2 where |x-t| < delta, else delta·(|x-t|-delta/2).
  // "bce_with_logits": -t·log σ(x) - (1-t)·log(1-σ(x)).
  // "kl": t·(log t - x) over log-probabilities x and probabilities t; 0 where t is 0. Its mean is
  //   over all elements, as PyTorch's "mean", not its "batchmean".
  // "hinge": of several classes (multi_margin_loss): Σ_{i≠t} max(0, delta - x_t + x_i) / C.
  // "output": the model's output is the loss; of several elements, their mean or sum.
  std::string kind = "mse";
  Reduction reduction = Reduction::kMean;  // over all elements (classes: over all positions)
  double label_smoothing = 0;
  std::optional<int64_t> ignore_index;  // cross_entropy, nll; may be no class
  std::vector<double> class_weights;    // cross_entropy, nll
  double delta = 1;                     // huber, hinge
  // Instead of these, with any name as the kind: a graph whose one output is the loss (of several
  // elements, their mean or sum). Its inputs are values of the model, by their names, and what a
  // batch holds besides: the target first, unless one has the target's usual name.
  std::shared_ptr<const Graph> graph;
};

// Names of the kinds.
std::vector<std::string> loss_kinds();
// What the target must be for an output of this type; none for "output". kInvalidArgument for an
// unknown kind, with the close match, an option that the kind has not, or an output that does not
// fit.
std::optional<Type> loss_target(const LossOptions& options, const Type& output);
// The scalar loss, of the output's dtype. `target` is unused for "output".
Expr add_loss(const LossOptions& options, const Expr& output, const Expr& target);

}  // namespace treadle
