// What the load's options say of the model's inputs and initializers.
#pragma once

#include <set>
#include <string>

#include "importer/importer.h"
#include "importer/onnx/proto.h"
#include "importer/onnx/scope.h"

namespace treadle::onnx {

// The names of the model's initializers.
std::set<std::string> initializer_names(const pb::GraphProto& graph);

// Gives the dimensions that the options size their values.
void fix_dims(pb::ValueInfoProto& input, const LoadOptions& load);

// The inputs that stay inputs though they have an initializer. kInvalidArgument for a name that is
// no input.
std::set<std::string> overridable_inputs(const pb::ModelProto& model,
                                         const std::set<std::string>& initialized,
                                         const LoadOptions& load);

// kInvalidArgument where the model lacks an initializer that it must have.
void check_required(const std::set<std::string>& initialized, const LoadOptions& load);

// The tensor itself; kInvalidArgument where its dtype and dims are not those of the file's.
const Tensor& checked_given(const std::string& name, const Tensor& given,
                            const pb::TensorProto& file);
const Tensor& checked_given(const std::string& name, const Tensor& given,
                            const pb::SparseTensorProto& file);

// Makes the tensor what the input of this name is where none is given.
void set_default(const std::string& name, Tensor tensor, Scope& scope);

}  // namespace treadle::onnx
