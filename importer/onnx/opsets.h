// Which opset a model imports of each domain, and what of its operators this build knows.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <tuple>

#include "graph/ops/added.h"
#include "importer/onnx/proto.h"

namespace treadle::onnx {

// Domain ("" = ai.onnx) to version.
using Opsets = std::map<std::string, int64_t, std::less<>>;
// (domain, name, overload) to function.
using Functions =
    std::map<std::tuple<std::string, std::string, std::string>, const pb::FunctionProto*>;

// "ai.onnx" and "" are one domain.
inline std::string domain_of(std::string_view domain) {
  return domain == "ai.onnx" ? std::string() : std::string(domain);
}
Opsets opsets_of(const pb::ModelProto& model);
// A function's own imports, and the model's for domains that it leaves out.
Opsets opsets_of(const pb::FunctionProto& function, const Opsets& model);
// The row of an operator, the library's own or an added one (`added` may be null); null when there
// is none.
const Op* row_of(const std::string& kind, const std::string& domain, const AddedOps* added);
// Without those that have a row: rows go before functions.
Functions functions_of(const pb::ModelProto& model, const AddedOps* added);
// The function that a node calls; null when it is an operator.
const pb::FunctionProto* called_function(const pb::NodeProto& node, const Functions& functions);

// kUnsupported listing every operator and opset, reachable from the graph, that this build does not
// know.
void check_supported(const pb::ModelProto& model, const Opsets& opsets, const Functions& functions,
                     const AddedOps* added);

}  // namespace treadle::onnx
