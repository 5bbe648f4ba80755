#include "optimizer/passes.h"

#include <algorithm>

namespace treadle {

namespace {
constexpr size_t kMaxRefused = 1000;  // lines of one pass's report
}

bool Pass::apply(NodeId where, Patch patch) {
  if (stopped()) return false;
  const std::string node = describe(graph.node(where));
  const std::string reason = treadle::apply(graph, std::move(patch));
  if (!reason.empty()) {
    if (report_.refused.size() < kMaxRefused) report_.refused.push_back(node + ": " + reason);
    return false;
  }
  ++report_.fired;
  if (budget_ > 0) --budget_;
  return true;
}

bool Pass::replace(NodeId where, ValueId from, ValueId to) {
  Patch patch;
  patch.replace(from, to);
  return apply(where, std::move(patch));
}

void Pass::refuse(NodeId where, const std::string& reason) {
  if (report_.refused.size() >= kMaxRefused) return;
  report_.refused.push_back(describe(graph.node(where)) + ": " + reason);
}

const Tensor* Pass::constant(ValueId id) const {
  if (!id.valid()) return nullptr;
  const ValueDef& def = graph.value(id);
  return def.is_constant() ? &def.constant : nullptr;
}

const Node* Pass::producer(ValueId id, std::string_view kind, std::string_view domain) const {
  const Node* node = graph.producer(id);
  return node != nullptr && node->is(kind, domain) ? node : nullptr;
}

bool same_type(const Type& a, const Type& b) {
  return a.is_tensor() && b.is_tensor() && a.dtype == b.dtype && a.dtype != DType::kUndefined &&
         a.shape && b.shape && *a.shape == *b.shape;
}

bool is_uniform(const Tensor& tensor, double value) {
  if (!kNumbers.has(tensor.dtype()) || tensor.count() == 0) return false;
  const Tensor loaded = tensor.resident();
  return dispatch(loaded.dtype(), NumberTypes{}, [&]<class T>() {
    const auto elements = loaded.data<T>();
    return std::all_of(elements.begin(), elements.end(),
                       [&](T x) { return static_cast<double>(x) == value; });
  });
}

std::optional<std::vector<int64_t>> reshape_spec(const Shape& from, const Shape& to) {
  std::vector<int64_t> spec;
  bool inferred = false;
  for (size_t i = 0; i < to.size(); ++i) {
    if (to[i].known()) {
      if (to[i].is(0)) return std::nullopt;  // 0 would mean "copy"
      spec.push_back(to[i].value());
    } else if (i < from.size() && from[i] == to[i]) {
      spec.push_back(0);
    } else if (!inferred) {
      inferred = true;
      spec.push_back(-1);
    } else {
      return std::nullopt;
    }
  }
  return spec;
}

std::vector<Known> learn_types(Graph& graph) {
  std::vector<Known> known = infer(graph);
  for (NodeId id : graph.topological_order()) {
    for (ValueId v : graph.node(id).outputs) {
      const Type* type = v.valid() ? &known[v.index].type : nullptr;
      if (type != nullptr && (!type->is_tensor() || type->shape)) graph.value(v).type = *type;
    }
  }
  return known;
}

}  // namespace treadle
