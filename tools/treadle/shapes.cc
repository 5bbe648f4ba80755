#include "tools/treadle/shapes.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <map>
#include <set>

#include "graph/base/suggestion.h"
#include "graph/ops/op.h"

namespace treadle::tool {
namespace {

constexpr int64_t kHintSize = 8;  // of an open dimension, where a message shows how to give one

struct GivenShapes {
  std::map<std::string, Dims> inputs;
  std::map<std::string, int64_t> symbols;
};

// A flag's value, for messages.
struct Given {
  std::string flag;
  std::string text;
};

[[noreturn]] void refuse(const Given& given) {
  throw UsageError(
      cat("--", given.flag, ": '", given.text, "' is neither NAME:1x3x224x224 nor SYMBOL=224"));
}

int64_t parse_size(const std::string& digits, const Given& given) {
  int64_t value = 0;
  const char* const last = digits.data() + digits.size();
  const auto [end, error] = std::from_chars(digits.data(), last, value);
  if (error != std::errc() || end != last || value < 0) refuse(given);
  return value;
}

void append_sizes(const std::string& sizes, const Given& given, Dims& dims) {
  size_t begin = 0;
  while (begin <= sizes.size()) {
    const size_t end = std::min(sizes.find('x', begin), sizes.size());
    dims.push_back(parse_size(sizes.substr(begin, end - begin), given));
    begin = end + 1;
  }
}

// "a:1x3,b:4,n=3": commas stand between entries, and between sizes ("a:1,3") too. Names may hold
// colons.
void parse_shapes(const Given& given, GivenShapes& out) {
  const std::string& text = given.text;
  Dims* open = nullptr;
  size_t begin = 0;
  while (begin <= text.size()) {
    const size_t end = std::min(text.find(',', begin), text.size());
    const std::string piece = text.substr(begin, end - begin);
    const size_t colon = piece.rfind(':'), equals = piece.rfind('=');
    if (colon != std::string::npos && (equals == std::string::npos || colon > equals)) {
      open = &(out.inputs[piece.substr(0, colon)] = {});
      if (colon + 1 < piece.size()) append_sizes(piece.substr(colon + 1), given, *open);
    } else if (equals != std::string::npos) {
      out.symbols[piece.substr(0, equals)] = parse_size(piece.substr(equals + 1), given);
      open = nullptr;
    } else if (open != nullptr) {
      append_sizes(piece, given, *open);
    } else {
      refuse(given);
    }
    begin = end + 1;
  }
  for (const auto& [name, dims] : out.inputs) {
    try {
      element_count(dims);
    } catch (const Error& e) {
      throw UsageError(cat("--", given.flag, ": '", text, "': ", e.what()));
    }
  }
}

GivenShapes given_shapes(const Args& args, const char* flag) {
  GivenShapes shapes;
  for (const std::string& text : args.all(flag)) parse_shapes({flag, text}, shapes);
  return shapes;
}

// Puts sizes into one input's type and learns its symbols.
void apply_sizes(const ValueDef& input, const Dims& dims, std::map<std::string, int64_t>& symbols,
                 Type& type) {
  TREADLE_CHECK(type.is_tensor(), kInvalidArgument, "input '", input.name, "' is ",
                input.type.text(), ", which has no shape");
  const auto& declared = input.type.shape;
  TREADLE_CHECK(!declared || declared->size() == dims.size(), kInvalidArgument, "input '",
                input.name, "' is ", input.type.text(), ", of rank ", declared->size(), ", which ",
                shape_text(dims), " does not fit");
  bool fits = true;
  for (size_t d = 0; fits && declared && d < dims.size(); ++d) {
    const Dim& dim = (*declared)[d];
    if (dim.known()) {
      fits = dim.is(dims[d]);
    } else if (!dim.is_unknown()) {
      fits = symbols.emplace(dim.text(), dims[d]).first->second == dims[d];
    }
  }
  std::string bound;
  for (const auto& [name, size] : symbols) bound += cat(bound.empty() ? "" : ", ", name, "=", size);
  TREADLE_CHECK(fits, kInvalidArgument, "input '", input.name, "' is ", input.type.text(),
                bound.empty() ? "" : cat(" (", bound, ")"), ", which ", shape_text(dims),
                " does not fit");
  type.shape = symbolic(dims);
}

void check_symbols(const Graph& graph, const std::map<std::string, int64_t>& given,
                   const char* flag) {
  std::vector<std::string> known;
  for (const ValueId input : graph.inputs()) {
    const auto& shape = graph.value(input).type.shape;
    for (size_t d = 0; shape && d < shape->size(); ++d) {
      if (!(*shape)[d].known() && !(*shape)[d].is_unknown()) known.push_back((*shape)[d].text());
    }
  }
  std::string list;
  for (const std::string& name : std::set(known.begin(), known.end()))
    list += cat(list.empty() ? "; they have '" : ", '", name, "'");
  for (const auto& [name, size] : given) {
    if (std::find(known.begin(), known.end(), name) != known.end()) continue;
    fail(Code::kInvalidArgument, "--", flag, ": no input has a dimension '", name, "'",
         suggestion(name, known, list.empty() ? "; all have a size" : list));
  }
}

bool is_word(const std::string& text) {
  return std::ranges::all_of(text, [](unsigned char c) { return std::isalnum(c) || c == '_'; });
}

NamedTypes declared(const Model& model) {
  NamedTypes types;
  for (size_t i = 0; i < model.input_count(); ++i)
    types.emplace_back(model.input(i).name, model.input(i).type);
  return types;
}

bool has_open_batch(const Type& type) {
  return type.is_tensor() && type.shape && !type.shape->empty() && !type.shape->front().known();
}

// --batch-size as the size of the leading dimensions' symbols.
void apply_batch(const Model& model, const Args& args, std::map<std::string, int64_t>& symbols) {
  const int64_t batch = batch_size(args, declared(model));
  for (size_t i = 0; i < model.input_count() && batch > 0; ++i) {
    const Type& type = model.input(i).type;
    if (!has_open_batch(type) || type.shape->front().is_unknown()) continue;
    const std::string name = type.shape->front().text();
    const int64_t size = symbols.emplace(name, batch).first->second;
    TREADLE_CHECK(size == batch, kInvalidArgument, "--batch-size is ", batch, ", and --shape says ",
                  name, "=", size);
  }
}

}  // namespace

int64_t batch_size(const Args& args, const NamedTypes& inputs) {
  if (!args.has("batch-size")) return 0;
  const int64_t size = args.integer("batch-size", 1, 1);
  std::string fixed = "no input has a leading dimension";
  for (size_t i = inputs.size(); i-- > 0;) {  // the first is named
    const auto& [name, type] = inputs[i];
    if (!type.is_tensor() || !type.shape || type.shape->empty()) continue;
    if (has_open_batch(type) || type.shape->front().is(size)) return size;
    fixed = cat("input '", name, "' is ", type.text(),
                ", whose batch is fixed: its leading dimension would have to be symbolic");
  }
  fail(Code::kInvalidArgument, "--batch-size ", size, ": ", fixed);
}

std::vector<Type> input_types(const Model& model, const Args& args, std::span<const Value> given) {
  GivenShapes shapes = given_shapes(args, "shape");
  check_symbols(model.graph(), shapes.symbols, "shape");
  apply_batch(model, args, shapes.symbols);
  std::vector<Type> types;
  for (size_t i = 0; i < model.input_count(); ++i) types.push_back(model.input(i).type);
  for (const auto& [name, dims] : shapes.inputs) {
    const size_t i = model.find_input(name);
    apply_sizes(model.input(i), dims, shapes.symbols, types[i]);
  }
  for (size_t i = 0; i < given.size(); ++i) {
    const Tensor* t = std::get_if<Tensor>(&given[i]);
    if (t == nullptr) continue;
    const auto said = shapes.inputs.find(model.input(i).name);
    TREADLE_CHECK(said == shapes.inputs.end() || said->second == t->dims(), kInvalidArgument,
                  "input '", model.input(i).name, "' is given with shape ", shape_text(t->dims()),
                  ", --shape says ", said == shapes.inputs.end() ? "" : shape_text(said->second));
    apply_sizes(model.input(i), t->dims(), shapes.symbols, types[i]);
  }
  for (Type& type : types) {
    if (!type.is_tensor() || !type.shape) continue;
    for (Dim& d : *type.shape) {
      const auto known = shapes.symbols.find(d.text());
      if (!d.known() && known != shapes.symbols.end()) d = Dim(known->second);
    }
  }
  return types;
}

void overwrite_input_shapes(Graph& graph, const Args& args) {
  constexpr const char* kFlag = "overwrite-input-shape";
  if (!args.has(kFlag)) return;
  const GivenShapes shapes = given_shapes(args, kFlag);
  check_symbols(graph, shapes.symbols, kFlag);
  std::vector<std::string> names;
  for (const ValueId input : graph.inputs()) {
    ValueDef& def = graph.value(input);
    names.push_back(def.name);
    if (!def.type.is_tensor()) continue;
    const auto whole = shapes.inputs.find(def.name);
    if (whole != shapes.inputs.end()) def.type.shape = symbolic(whole->second);
    for (size_t d = 0; def.type.shape && d < def.type.shape->size(); ++d) {
      const auto size = shapes.symbols.find((*def.type.shape)[d].text());
      if (size != shapes.symbols.end()) (*def.type.shape)[d] = Dim(size->second);
    }
  }
  for (const auto& [name, dims] : shapes.inputs) {
    TREADLE_CHECK(std::ranges::find(names, name) != names.end(), kInvalidArgument, "--", kFlag,
                  ": no input '", name, "'", suggestion(name, names));
  }
  try {
    annotate(graph);
  } catch (const Error& e) {
    fail(Code::kInvalidArgument, "the model does not take the shapes of --", kFlag, ": ", e.what());
  }
}

Type with_batch(Type type) {
  if (has_open_batch(type)) type.shape->front() = Dim(1);
  return type;
}

bool is_sized(const Type& type) {
  return !type.is_tensor() || (type.shape && is_static(*type.shape));
}

std::string shape_hint(const std::string& name, const Type& type) {
  if (!type.shape) return cat("--shape ", name, ":...");
  std::set<std::string> symbols;
  std::string sizes, sized_symbols;
  bool named = true;  // all that is open
  const Shape shape = *with_batch(type).shape;
  for (const Dim& d : shape) {
    sizes += cat(sizes.empty() ? "" : "x", d.known() ? d.value() : kHintSize);
    if (d.known()) continue;
    named = named && is_word(d.text());
    if (!symbols.insert(d.text()).second) continue;
    sized_symbols += cat(sized_symbols.empty() ? "" : ",", d.text(), "=", kHintSize);
  }
  return cat("--shape ", named ? sized_symbols : cat(name, ":", sizes));
}

std::string shapes_text(const Model& model, std::span<const Type> types) {
  std::string text;
  for (size_t i = 0; i < types.size(); ++i)
    text += cat(i == 0 ? "" : ", ", model.input(i).name, " ", types[i].text());
  return text;
}

}  // namespace treadle::tool
