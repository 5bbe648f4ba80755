// A loss as a formula: `mean((logits - target)^2) + 0.1 * mean(abs(aux))`.
//
//   sum      = product {("+" | "-") product}
//   product  = signed {("*" | "/") signed}
//   signed   = "-" signed | atom ["^" signed]
//   atom     = number | "(" sum ")" | name | "batch" "." name
//            | function "(" argument {"," argument} ")"
//   argument = sum | attribute "=" ("-" number | number | string)
//
// A name (in quotes where it is no word) is that of a value of the model, or the target's.
// `batch.NAME` is an array that a batch holds besides. Functions are
// - mean, sum, max, min, prod of one value: over all elements, or along `axis`, which then is gone;
// - the losses of losses.h, of an output and what it should be;
// - every operator of ONNX with these inputs and its attributes: abs, log, LogSoftmax, where;
//   upper case and '_' do not matter.
// The target has the type of the output that the loss reads, or the one that a loss's function
// wants of it; other arrays are floats of any shape, or likewise.
#pragma once

#include <string>

#include "training/joint.h"

namespace treadle {

// Whether a loss's kind is a formula: it has a parenthesis.
bool is_loss_expression(const std::string& kind);

struct WrittenLoss {
  Expr loss;           // of any shape
  std::string target;  // the input that is added for it, or the first one of a batch; "": none
};
// Adds what options.loss.kind tells to the builder's graph; `read` is the output of options.output.
// kInvalidArgument with line and column.
WrittenLoss add_written_loss(const Expr& read, const JointOptions& options);

}  // namespace treadle
