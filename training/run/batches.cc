#include "training/run/batches.h"

#include <algorithm>
#include <cmath>

#include "graph/ops/cast.h"

namespace treadle {
namespace {

// The trainer's inputs without the target, in order.
std::vector<Trainer::Input> model_inputs(const Trainer& trainer) {
  std::vector<Trainer::Input> inputs;
  for (const Trainer::Input& input : trainer.inputs()) {
    if (input.name != trainer.target()) inputs.push_back(input);
  }
  return inputs;
}

const Trainer::Input* target_of(const Trainer& trainer) {
  for (const Trainer::Input& input : trainer.inputs()) {
    if (input.name == trainer.target()) return &input;
  }
  return nullptr;
}

// The type's dims behind the batch's; nothing where one is open.
std::optional<Dims> sample_dims(const Type& type) {
  if (!type.shape || type.shape->empty()) return std::nullopt;
  return concrete(Shape(type.shape->begin() + 1, type.shape->end()));
}

// [N, …] classes to [N, classes, …] of zeros and a one.
Tensor shares_of(const Tensor& labels, int64_t classes, DType dtype) {
  Dims dims = labels.dims();
  dims.insert(dims.begin() + 1, classes);
  Tensor out = Tensor::zeros(DType::kFloat, dims);
  const int64_t samples = labels.dim(0), inner = samples == 0 ? 0 : labels.count() / samples;
  const std::vector<int64_t> values = labels.to_ints();
  for (int64_t i = 0; i < labels.count(); ++i) {
    const int64_t label = values[static_cast<size_t>(i)];
    TREADLE_CHECK(label >= 0 && label < classes, kInvalidData, "a target of ", label,
                  ", expected one of ", classes, " classes");
    const int64_t at = (i / inner * classes + label) * inner + i % inner;
    out.data<float>()[static_cast<size_t>(at)] = 1;
  }
  return cast_tensor(out, dtype);
}

// Floats that are classes; a fraction is none.
void check_whole(const Tensor& target) {
  for (double value : target.to_doubles()) {
    TREADLE_CHECK(value == std::floor(value), kInvalidData, "a target is ", value,
                  ", and the loss takes classes: whole numbers, or another loss, as mse");
  }
}

Tensor as_target(const Tensor& target, const Type& wanted, size_t classes) {
  if (is_integer(wanted.dtype) && is_float(target.dtype())) check_whole(target);
  const auto rank = static_cast<int64_t>(wanted.shape ? wanted.shape->size() : 0);
  if (!is_integer(wanted.dtype) && is_integer(target.dtype()) && rank == target.rank() + 1) {
    const Dim& columns = (*wanted.shape)[1];
    if (columns.is(1)) {  // one score of two classes
      Dims dims = target.dims();
      dims.insert(dims.begin() + 1, 1);
      return cast_tensor(target.reshaped(dims), wanted.dtype);
    }
    const int64_t count = columns.known() ? columns.value() : static_cast<int64_t>(classes);
    return shares_of(target, count, wanted.dtype);
  }
  return cast_tensor(target, wanted.dtype);
}

}  // namespace

Source fitted(const Source& source, const Trainer& trainer) {
  const std::vector<Trainer::Input> inputs = model_inputs(trainer);
  TREADLE_CHECK(source.inputs.size() == inputs.size(), kInvalidArgument, "data '", source.name,
                "' has ", source.inputs.size(), " inputs, the model ", inputs.size());
  if (inputs.empty()) return source;
  const auto dims = sample_dims(inputs[0].type);
  return !dims || *dims == source.inputs[0].dims ? source : with_input_dims(source, *dims);
}

std::vector<NamedValue> named_batch(const Trainer& trainer, const Source& source,
                                    const Batch& batch) {
  std::vector<NamedValue> out;
  const std::vector<Trainer::Input> inputs = model_inputs(trainer);
  for (size_t i = 0; i < batch.inputs.size(); ++i) {
    const Field& field = source.inputs[i];
    const auto named = std::ranges::find(inputs, field.name, &Trainer::Input::name);
    TREADLE_CHECK(named != inputs.end() || (field.name.empty() && i < inputs.size()),
                  kInvalidArgument, "the model has no input '", field.name, "' for data '",
                  source.name, "'");
    const Trainer::Input& input = field.name.empty() ? inputs[i] : *named;
    out.push_back({input.name, cast_tensor(batch.inputs[i], input.type.dtype)});
  }
  if (const Trainer::Input* target = target_of(trainer)) {
    out.push_back({target->name, as_target(batch.target, target->type, source.classes.size())});
  }
  return out;
}

}  // namespace treadle
