// Sizes for the inputs' symbolic dimensions: what --shape and the given inputs say.
#pragma once

#include <span>
#include <string>
#include <utility>
#include <vector>

#include "runtime/runtime.h"
#include "tools/treadle/command.h"

namespace treadle::tool {

// One type a model input: as declared, with the sizes of --shape (NAME:1x3x8, SYMBOL=8), of
// --batch-size and of the values given so far (empty ones are skipped) put in; a symbol that
// several inputs share gets one size. kInvalidArgument naming an input that does not fit.
std::vector<Type> input_types(const Model& model, const Args& args,
                              std::span<const Value> given = {});
using NamedTypes = std::vector<std::pair<std::string, Type>>;
// --batch-size; 0 where it is not given. kInvalidArgument where the leading dimensions of these
// inputs are all fixed at other sizes.
int64_t batch_size(const Args& args, const NamedTypes& inputs);
// Gives the inputs the shapes of --overwrite-input-shape (as --shape has them), whatever was
// declared, and all else what follows. UsageError; kInvalidArgument for a name that no input has,
// and where the nodes do not take the shapes.
void overwrite_input_shapes(Graph& graph, const Args& args);
// How a leading dimension that is still open is sized: a batch of 1.
Type with_batch(Type type);
bool is_sized(const Type& type);
// "--shape x:1,3,H,W": what to give for an input.
std::string shape_hint(const std::string& name, const Type& type);
// "x float[1, 3], y float[1, 4]".
std::string shapes_text(const Model& model, std::span<const Type> types);

}  // namespace treadle::tool
