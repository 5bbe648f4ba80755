#include "importer/onnx/scope.h"

namespace treadle::onnx {
namespace {

Known known_of(const ValueDef& def) {
  if (def.is_constant()) return known_constant(def.constant);
  Known known;
  known.type = def.type;
  return known;
}

}  // namespace

const Known& GraphBuild::known(ValueId id) {
  if (id.index >= set_.size()) {
    known_.resize(graph.value_count());
    set_.resize(graph.value_count());
  }
  if (!set_[id.index]) set_known(id, known_of(graph.value(id)));
  return known_[id.index];
}

void GraphBuild::set_known(ValueId id, Known known) {
  if (id.index >= set_.size()) {
    known_.resize(graph.value_count());
    set_.resize(graph.value_count());
  }
  known_[id.index] = std::move(known);
  set_[id.index] = true;
}

void Scope::define(const std::string& name, ValueId id) {
  const bool fresh = names.emplace(name, id).second;
  TREADLE_CHECK(fresh, kInvalidModel, "the name '", name, "' is defined twice");
}

std::optional<ValueId> Scope::find(const std::string& name) {
  std::vector<Scope*> inner;
  Scope* at = this;
  auto it = at->names.find(name);
  while (it == at->names.end()) {
    inner.push_back(at);
    at = at->outer;
    if (at == nullptr) return std::nullopt;
    it = at->names.find(name);
  }
  ValueId id = it->second;
  for (; id.valid() && !inner.empty(); inner.pop_back()) {
    Scope& scope = *inner.back();
    const ValueDef& def = at->build.graph.value(id);
    Graph& to = scope.build.graph;
    ValueId local;
    if (def.is_constant()) {
      local = to.add_constant(def.name, def.constant);
    } else {
      local = to.add_input(def.name, def.type);
      scope.build.set_known(local, at->build.known(id));
      scope.build.captures.push_back(id);
    }
    scope.names.emplace(name, local);
    id = local;
    at = &scope;
  }
  return id;
}

}  // namespace treadle::onnx
