// BatchNormalization that trains, or whose parameters the run computes: its statistics, and
// arithmetic a channel that joins elementwise regions. A training step's gradient asks for the same
// statistics, so that they are computed once.
#include <algorithm>

#include "graph/builder.h"
#include "optimizer/passes.h"

namespace treadle {
namespace {

constexpr size_t kX = 0, kScale = 1, kShift = 2, kMean = 3, kVariance = 4;

class Expansion {
 public:
  Expansion(Pass& pass, NodeId id)
      : pass_(pass), node_(pass.graph.node(id)), dtype_(pass.type(node_.input(kX)).dtype) {}

  // "" or why the node must stay.
  std::string refused() const {
    const auto& shape = pass_.type(node_.input(kX)).shape;
    if (!shape || shape->size() < 2) return "its input's rank is not known, or less than 2";
    for (size_t i = kScale; i < node_.inputs.size(); ++i) {
      const Type& type = pass_.type(node_.input(i));
      if (type.dtype != dtype_) return "its parameters have another type";
      if (!type.shape || *type.shape != Shape{(*shape)[1]}) return "its parameters may not fit";
    }
    return "";
  }
  bool trains() const { return node_.attributes.i("training_mode", 0) != 0; }
  bool folds() const {
    return !trains() && std::all_of(node_.inputs.begin() + 1, node_.inputs.end(),
                                    [&](ValueId v) { return pass_.constant(v) != nullptr; });
  }

  Patch patch() {
    ValueId mean = node_.input(kMean);
    ValueId variance = node_.input(kVariance);
    if (trains()) {
      Node statistics;
      statistics.op = find_op("BatchStatistics", "treadle");
      statistics.inputs = {node_.input(kX)};
      statistics.outputs.resize(2);
      const std::vector<ValueId> both = patch_.node(std::move(statistics));
      mean = both[0];
      variance = both[1];
      put_running(1, mean);
      put_running(2, variance);
    }
    const ValueId epsilon = number(static_cast<double>(node_.attributes.f("epsilon", 1e-5F)));
    const ValueId deviation = patch_.op("Sqrt", {patch_.op("Add", {variance, epsilon})});
    const ValueId scale = patch_.op("Div", {node_.input(kScale), deviation});
    const ValueId centred = patch_.op("Sub", {node_.input(kX), across(mean)});
    const ValueId scaled = patch_.op("Mul", {centred, across(scale)});
    patch_.replace(node_.output(), patch_.op("Add", {scaled, across(node_.input(kShift))}));
    return std::move(patch_);
  }

 private:
  ValueId number(double value) { return patch_.constant(scalar_of(dtype_, value)); }
  ValueId across(ValueId v) {
    std::vector<int64_t> shape(pass_.type(node_.input(kX)).shape->size() - 1, 1);
    shape[0] = -1;
    return patch_.op("Reshape", {v, patch_.ints(shape)});
  }
  // before * momentum + now * (1 - momentum).
  void put_running(size_t output, ValueId now) {
    if (!node_.output(output).valid()) return;
    const auto momentum = static_cast<double>(node_.attributes.f("momentum", 0.9F));
    const ValueId kept = patch_.op("Mul", {node_.input(output + 2), number(momentum)});
    const ValueId added = patch_.op("Mul", {now, number(1 - momentum)});
    patch_.replace(node_.output(output), patch_.op("Add", {kept, added}));
  }

  Pass& pass_;
  const Node node_;
  DType dtype_;
  Patch patch_;
};

}  // namespace

void expand_batchnorm(Pass& pass) {
  for (NodeId id : pass.graph.topological_order()) {
    if (pass.stopped()) return;
    if (!pass.graph.alive(id) || !pass.graph.node(id).is("BatchNormalization")) continue;
    Expansion expansion(pass, id);
    if (expansion.folds()) continue;
    const std::string reason = expansion.refused();
    if (reason.empty()) {
      pass.apply(id, expansion.patch());
    } else {
      pass.refuse(id, reason);
    }
  }
}

}  // namespace treadle
