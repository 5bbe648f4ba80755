// Trees that vote for classes with names vote for their numbers, and a Gather gives the names:
// without strings they have a kernel, which reads the trees once.
#include <numeric>

#include "optimizer/passes.h"

namespace treadle {
namespace {

Patch numbered(const Node& node, const std::vector<std::string>& names) {
  Patch patch;
  Node trees;
  trees.op = node.op;
  trees.attributes = node.attributes;
  trees.inputs = node.inputs;
  trees.outputs.resize(node.outputs.size());
  std::vector<int64_t> numbers(names.size());
  std::iota(numbers.begin(), numbers.end(), 0);
  trees.attributes.erase("classlabels_strings");
  trees.attributes.set("classlabels_int64s", std::move(numbers));
  const std::vector<ValueId> results = patch.node(std::move(trees));
  const ValueId list =
      patch.constant(Tensor::of<std::string>({static_cast<int64_t>(names.size())}, names));
  patch.replace(node.output(), patch.op("Gather", {list, results[0]}));
  for (size_t i = 1; i < node.outputs.size(); ++i) {
    if (node.outputs[i].valid()) patch.replace(node.outputs[i], results[i]);
  }
  return patch;
}

}  // namespace

void number_labels(Pass& pass) {
  for (NodeId id : pass.graph.topological_order()) {
    if (pass.stopped()) return;
    const Node& node = pass.graph.node(id);
    if (!node.is("TreeEnsembleClassifier", "ai.onnx.ml") || !node.output().valid()) continue;
    const std::vector<std::string> names = node.attributes.strings("classlabels_strings");
    if (names.empty()) continue;
    if (node.attributes.has("classlabels_int64s"))
      pass.refuse(id, "its classes have two names");
    else
      pass.apply(id, numbered(node, names));
  }
}

}  // namespace treadle
