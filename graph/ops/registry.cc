// The table of contents: the list of families, parsed once into rows.
#include <algorithm>
#include <unordered_map>

#include "graph/base/suggestion.h"
#include "graph/ops/families.h"
#include "graph/ops/op.h"
#include "graph/ops/row.h"

namespace treadle {
namespace {

struct Registry {
  std::vector<Op> ops;
  std::unordered_map<std::string, uint32_t> index;
  Registry() {
    for (const std::span<const OpDef>& family : op_families()) {
      for (const OpDef& def : family) {
        ops.push_back(parse_row(def, static_cast<uint32_t>(ops.size())));
        const bool fresh = index.emplace(ops.back().full_name(), ops.back().id).second;
        TREADLE_CHECK(fresh, kInternal, "operator ", ops.back().full_name(), " has two rows");
      }
    }
  }
};

const Registry& registry() {
  static const Registry instance;
  return instance;
}

}  // namespace

const AttributeDef* Op::attribute(std::string_view name) const {
  for (const AttributeDef& a : attributes) {
    if (a.name == name) return &a;
  }
  return nullptr;
}

const Op* find_op(std::string_view kind, std::string_view domain) {
  const Registry& r = registry();
  const bool standard = domain.empty() || domain == "ai.onnx";
  const auto it = r.index.find(standard ? std::string(kind) : cat(domain, ".", kind));
  return it == r.index.end() ? nullptr : &r.ops[it->second];
}

const std::vector<Op>& all_ops() { return registry().ops; }

namespace {

void check_arity(const Node& node, const std::vector<Param>& params,
                 const std::vector<ValueId>& given, std::string_view what) {
  const bool variadic = !params.empty() && params.back().variadic;
  TREADLE_CHECK(variadic || given.size() <= params.size(), kInvalidModel, describe(node), " has ",
                given.size(), " ", what, "s, at most ", params.size(), " expected");
  for (size_t i = 0; i < params.size(); ++i) {
    const bool present = i < given.size() && given[i].valid();
    TREADLE_CHECK(present || params[i].optional || params[i].variadic, kInvalidModel,
                  describe(node), " lacks ", what, " '", params[i].name, "'");
  }
}

}  // namespace

void check_against_row(const Node& node) {
  const Op& op = *node.op;
  check_arity(node, op.inputs, node.inputs, "input");
  TREADLE_CHECK(node.outputs.size() <= op.outputs.size() ||
                    (!op.outputs.empty() && op.outputs.back().variadic),
                kInvalidModel, describe(node), " has ", node.outputs.size(), " outputs, at most ",
                op.outputs.size(), " expected");
  std::vector<std::string> known;
  for (const AttributeDef& a : op.attributes) known.push_back(a.name);
  for (const auto& [name, value] : node.attributes) {
    const AttributeDef* def = op.attribute(name);
    if (def == nullptr) {
      fail(Code::kInvalidModel, describe(node), " has the unknown attribute '", name, "'",
           suggestion(name, known));
    }
    TREADLE_CHECK(attribute_kind(value) == def->kind, kInvalidModel, describe(node),
                  ": attribute '", name, "' has kind ", attribute_kind(value), ", expected ",
                  def->kind);
  }
  for (const AttributeDef& def : op.attributes) {
    const bool present =
        def.kind == "g" ? std::any_of(node.subgraphs.begin(), node.subgraphs.end(),
                                      [&](const Subgraph& s) { return s.attribute == def.name; })
                        : node.attributes.has(def.name);
    TREADLE_CHECK(present || !def.required, kInvalidModel, describe(node), " lacks the attribute '",
                  def.name, "'");
  }
}

}  // namespace treadle
