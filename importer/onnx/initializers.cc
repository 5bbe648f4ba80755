#include "importer/onnx/initializers.h"

#include <algorithm>
#include <iterator>

#include "importer/onnx/tensors.h"
#include "importer/onnx/types.h"

namespace treadle::onnx {
namespace {

template <class List>
const Tensor& checked(const std::string& name, const Tensor& given, int32_t file_dtype,
                      const List& file_dims) {
  const DType dtype = dtype_of_proto(file_dtype);
  const Dims dims(file_dims.begin(), file_dims.end());
  TREADLE_CHECK(given.dtype() == dtype && given.dims() == dims, kInvalidArgument,
                "what is given for initializer '", name, "' is ", dtype_name(given.dtype()),
                shape_text(given.dims()), ", the file has ", dtype_name(dtype), shape_text(dims));
  return given;
}

}  // namespace

std::set<std::string> initializer_names(const pb::GraphProto& graph) {
  std::set<std::string> names;
  for (const auto& t : graph.initializer()) names.insert(t.name());
  for (const auto& t : graph.sparse_initializer()) names.insert(t.values().name());
  return names;
}

void fix_dims(pb::ValueInfoProto& input, const LoadOptions& load) {
  if (!input.type().tensor_type().has_shape()) return;
  for (auto& d : *input.mutable_type()->mutable_tensor_type()->mutable_shape()->mutable_dim()) {
    const auto named = load.dims.find(d.dim_param());
    const auto denoted = load.denoted_dims.find(d.denotation());
    if (named != load.dims.end()) {
      d.set_dim_value(named->second);
    } else if (denoted != load.denoted_dims.end() && !d.has_dim_value()) {
      d.set_dim_value(denoted->second);
    }
  }
}

std::set<std::string> overridable_inputs(const pb::ModelProto& model,
                                         const std::set<std::string>& initialized,
                                         const LoadOptions& load) {
  std::set<std::string> inputs;
  for (const auto& i : model.graph().input()) inputs.insert(i.name());
  std::set<std::string> overridable = load.overridable;
  // Before IR version 4 every initializer had to be an input: none was meant to be overridden.
  if (overridable.erase("*") > 0 && model.ir_version() >= 4) {
    std::ranges::set_intersection(inputs, initialized,
                                  std::inserter(overridable, overridable.end()));
  }
  for (const std::string& name : overridable) {
    TREADLE_CHECK(inputs.contains(name), kInvalidArgument, "overridable '", name,
                  "' is not an input of the model");
  }
  return overridable;
}

void check_required(const std::set<std::string>& initialized, const LoadOptions& load) {
  for (const auto& [name, given] : load.initializers) {
    TREADLE_CHECK(!given.required || initialized.contains(name), kInvalidArgument,
                  "the model has no initializer '", name, "'");
  }
}

const Tensor& checked_given(const std::string& name, const Tensor& given,
                            const pb::TensorProto& file) {
  return checked(name, given, file.data_type(), file.dims());
}

const Tensor& checked_given(const std::string& name, const Tensor& given,
                            const pb::SparseTensorProto& file) {
  return checked(name, given, file.values().data_type(), file.dims());
}

void set_default(const std::string& name, Tensor tensor, Scope& scope) {
  const auto id = scope.find(name);
  if (!id) return;  // the input could not be read, which is noted
  ValueDef& input = scope.build.graph.value(*id);
  TREADLE_CHECK(!input.default_value.defined(), kInvalidModel, "the name '", name,
                "' is defined twice");
  const Type own = Type::tensor(tensor.dtype(), symbolic(tensor.dims()));
  TREADLE_CHECK(accepts(input.type, own), kInvalidModel, "initializer '", name, "' is ", own.text(),
                ", the input of that name is ", input.type.text());
  input.default_value = std::move(tensor);
}

}  // namespace treadle::onnx
