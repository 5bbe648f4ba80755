// What the subcommands share: loading a model by flags, gathering its inputs, comparing and
// printing tensors.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "runtime/runtime.h"
#include "tools/treadle/command.h"

namespace treadle::tool {

// --device, --no-fallback, --no-optimize, --skip-pass, --stop-after.
ModelOptions model_options(const Args& args);
// Reads a model (--overridable). ModelError where it exceeds a limit.
Graph load_graph(const std::string& path, const Args& args);
// Reads and creates it.
std::shared_ptr<const Model> load_model(const std::string& path, const Args& args);
// --threads.
SessionOptions session_options(const Args& args);

// One type a model input: as declared, --shape put in; dims still symbolic become 1 when
// `default_one`.
std::vector<Type> input_types(const Model& model, const Args& args, bool default_one);
// The model's inputs from --input files, the rest by --fill or, when `fill_all`, with seeded random
// numbers. UsageError listing the inputs when one has neither.
std::vector<Value> gather_inputs(const Model& model, const Args& args, bool fill_all);

// Numbers ~N(0,1) for floats, 0..99 for integers, true for bool: seeded, the same on every machine.
Tensor random_tensor(DType dtype, const Dims& dims, uint64_t seed);

struct Difference {
  bool equal = true;
  std::string text;  // "shape …", or the worst element
  double worst_absolute = 0, worst_relative = 0;
};
// |got − want| ≤ atol + rtol·|want|; NaN equals NaN; integers, bools and strings exact unless
// `quantized` slack given.
Difference compare_values(const Value& got, const Value& want, double rtol, double atol);

// "float[1, 1000] min -3.1 max 12.4 mean 0.02".
std::string summary(const Value& value);

}  // namespace treadle::tool
