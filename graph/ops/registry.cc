// The table of contents: the list of families, parsed once into rows.
#include <algorithm>
#include <sstream>
#include <unordered_map>

#include "graph/ops/families.h"
#include "graph/ops/op.h"

namespace treadle {
namespace {

std::vector<std::string> words(std::string_view text) {
  std::istringstream in{std::string(text)};
  std::vector<std::string> out;
  for (std::string word; in >> word;) out.push_back(word);
  return out;
}

DTypeSet dtype_set(const std::string& name) {
  if (name == "floats") return kFloats;
  if (name == "ints") return kIntegers;
  if (name == "signed") return kSigned;
  if (name == "unsigned") return kUnsigned;
  if (name == "numbers") return kNumbers;
  DTypeSet set;
  if (name == "all") {
    for (int i = 1; i < kDTypeCount; ++i) set = set | DTypeSet{static_cast<DType>(i)};
    return set;
  }
  const DType dtype = dtype_from_name(name);
  TREADLE_CHECK(dtype != DType::kUndefined, kInternal, "a row names the unknown dtype '", name,
                "'");
  return DTypeSet{dtype};
}

DTypeSet dtype_list(const std::string& names) {
  DTypeSet set;
  std::istringstream in(names);
  for (std::string name; std::getline(in, name, ',');) set = set | dtype_set(name);
  return set;
}

std::vector<Param> parse_params(const char* text,
                                const std::unordered_map<std::string, DTypeSet>& types) {
  std::vector<Param> params;
  for (const std::string& word : words(text)) {
    const size_t colon = word.find(':');
    TREADLE_CHECK(colon != std::string::npos && colon > 0, kInternal, "bad parameter '", word,
                  "' in a row");
    Param p;
    p.name = word.substr(0, colon);
    p.type = word.substr(colon + 1);
    p.optional = p.name.back() == '?';
    p.variadic = p.name.back() == '*';
    if (p.optional || p.variadic) p.name.pop_back();
    p.any = p.type == "any";
    const auto it = types.find(p.type);
    if (!p.any) p.allowed = it != types.end() ? it->second : dtype_list(p.type);
    params.push_back(std::move(p));
  }
  return params;
}

std::vector<AttributeDef> parse_attributes(const char* text) {
  std::vector<AttributeDef> list;
  for (const std::string& word : words(text)) {
    AttributeDef a;
    const size_t colon = word.find(':');
    TREADLE_CHECK(colon != std::string::npos, kInternal, "bad attribute '", word, "' in a row");
    const size_t equals = word.find('=', colon);
    a.name = word.substr(0, colon);
    a.kind = word.substr(colon + 1, equals == std::string::npos ? equals : equals - colon - 1);
    if (equals != std::string::npos) a.default_text = word.substr(equals + 1);
    if (a.kind.back() == '!') {
      a.required = true;
      a.kind.pop_back();
    }
    list.push_back(std::move(a));
  }
  return list;
}

Op parse(const OpDef& def, uint32_t id) {
  std::unordered_map<std::string, DTypeSet> types;
  for (const std::string& word : words(def.types)) {
    const size_t equals = word.find('=');
    TREADLE_CHECK(equals != std::string::npos, kInternal, "bad type '", word, "' in row ",
                  def.kind);
    types[word.substr(0, equals)] = dtype_list(word.substr(equals + 1));
  }
  Op op;
  op.id = id;
  op.kind = def.kind;
  op.domain = def.domain;
  op.inputs = parse_params(def.inputs, types);
  op.outputs = parse_params(def.outputs, types);
  op.attributes = parse_attributes(def.attributes);
  op.infer = def.infer;
  op.eval = def.eval;
  op.decompose = def.decompose;
  op.traits = def.traits;
  TREADLE_CHECK(op.eval != nullptr || op.decompose != nullptr, kInternal, "row ", def.kind,
                " has neither eval nor decompose");
  return op;
}

struct Registry {
  std::vector<Op> ops;
  std::unordered_map<std::string, uint32_t> index;
  Registry() {
    for (const std::span<const OpDef>& family : op_families()) {
      for (const OpDef& def : family) {
        ops.push_back(parse(def, static_cast<uint32_t>(ops.size())));
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
      const std::string near = close_match(name, known);
      fail(Code::kInvalidModel, describe(node), " has the unknown attribute '", name, "'",
           near.empty() ? "" : " (did you mean '" + near + "'?)");
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
