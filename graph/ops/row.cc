#include "graph/ops/row.h"

#include <algorithm>
#include <array>
#include <unordered_map>

namespace treadle {
namespace {

// The parts between separators, empty ones left out. Hundreds of rows are read when a process
// starts, and a stream for each takes longer than the rest of it.
std::vector<std::string> parts(std::string_view text, char separator) {
  std::vector<std::string> out;
  while (!text.empty()) {
    const size_t end = std::min(text.find(separator), text.size());
    if (end > 0) out.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return out;
}
std::vector<std::string> words(std::string_view text) { return parts(text, ' '); }

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
  for (const std::string& name : parts(names, ',')) set = set | dtype_set(name);
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

bool is_attribute_kind(const std::string& kind) {
  static constexpr std::array<std::string_view, 10> kKinds = {"i",  "f", "s",  "is", "fs",
                                                              "ss", "t", "ts", "tp", "g"};
  return std::ranges::find(kKinds, kind) != kKinds.end();
}

std::vector<AttributeDef> parse_attributes(const char* text) {
  std::vector<AttributeDef> list;
  for (const std::string& word : words(text)) {
    AttributeDef a;
    const size_t colon = word.find(':');
    TREADLE_CHECK(colon != std::string::npos && colon > 0, kInternal, "bad attribute '", word,
                  "' in a row");
    const size_t equals = word.find('=', colon);
    a.name = word.substr(0, colon);
    a.kind = word.substr(colon + 1, equals == std::string::npos ? equals : equals - colon - 1);
    if (equals != std::string::npos) a.default_text = word.substr(equals + 1);
    if (a.kind.ends_with('!')) {
      a.required = true;
      a.kind.pop_back();
    }
    TREADLE_CHECK(is_attribute_kind(a.kind), kInternal, "attribute '", a.name, "' has the kind '",
                  a.kind, "' in a row, expected one of i f s is fs ss t ts tp g");
    list.push_back(std::move(a));
  }
  return list;
}

}  // namespace

Op parse_row(const OpDef& def, uint32_t id) {
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

}  // namespace treadle
