// The inputs of a run by flags: files, pictures, filled ones; and the run itself.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "tools/treadle/load.h"

namespace treadle::tool {

enum class Missing {
  kRefuse,  // an input without a file needs --fill: UsageError listing the inputs
  kFill,    // filled with random numbers; UsageError where --shape must say its size
  kGuess    // the same, but every size that nobody gives is 1
};
// The model's inputs from --input files, the rest by --fill. A leading symbolic dimension that
// nobody sizes is a batch of 1.
std::vector<Value> gather_inputs(const Model& model, const Args& args, Missing missing);

// Floats ~N(0,1), integers 0 or 1, bools true; with --val-range uniform in it.
Tensor random_tensor(DType dtype, const Dims& dims, uint64_t seed, const Args& args);

// "x float[1, 3, 224, 224], ..." of values at hand.
std::string shapes_text(const Model& model, std::span<const Value> inputs);

// One run. Errors that come of sizes or numbers that the user chose (or left to chance) say so,
// instead of blaming the model.
void run_model(Session& session, const Args& args, std::span<const Value> inputs,
               std::span<Value> outputs, const RunOptions& options = {});
// The rethrown form of an error of the model at these input shapes.
[[noreturn]] void blame_shapes(const Error& error, const Model& model, const std::string& shapes);

}  // namespace treadle::tool
