#include "training/run/predict.h"

#include <map>

#include "training/run/batches.h"

namespace treadle {
namespace {

Tensor batch_of(const Field& field, int64_t samples) {
  Dims dims = field.dims;
  dims.insert(dims.begin(), samples);
  return Tensor::zeros(field.dtype, dims);
}

Type type_of(const Tensor& t) { return Type::tensor(t.dtype(), symbolic(t.dims())); }

}  // namespace

size_t variable_bytes(const Trainer& trainer) {
  size_t bytes = 0;
  for (const Variable& v : trainer.variables()) bytes += v.initial.bytes();
  return bytes;
}

StepMemory predict_memory(Trainer& trainer, const Source& source, int64_t samples) {
  Batch batch;
  for (const Field& field : source.inputs) batch.inputs.push_back(batch_of(field, samples));
  batch.target = batch_of(source.target, samples);
  std::map<std::string, Type> types;
  for (const NamedValue& v : named_batch(trainer, source, batch))
    types[v.name] = type_of(v.value.tensor());
  for (const Variable& v : trainer.variables()) types[v.name] = type_of(v.initial);
  Session& session = trainer.session();
  std::vector<Type> all;
  for (size_t i = 0; i < session.model().input_count(); ++i) {
    const ValueDef& input = session.model().input(i);
    const auto known = types.find(input.name);
    all.push_back(known == types.end() ? input.type : known->second);
  }
  return {variable_bytes(trainer), session.describe_plan(all).memory};
}

}  // namespace treadle
