#include "tools/treadle/shapes.h"

#include <algorithm>
#include <charconv>
#include <map>

#include "graph/base/suggestion.h"

namespace treadle::tool {
namespace {

struct GivenShapes {
  std::map<std::string, Dims> inputs;
  std::map<std::string, int64_t> symbols;
};

[[noreturn]] void refuse(const std::string& text) {
  throw UsageError(cat("--shape: '", text, "' is neither NAME:1x3x224x224 nor SYMBOL=224"));
}

int64_t parse_size(const std::string& digits, const std::string& text) {
  int64_t value = 0;
  const char* const last = digits.data() + digits.size();
  const auto [end, error] = std::from_chars(digits.data(), last, value);
  if (error != std::errc() || end != last || value < 0) refuse(text);
  return value;
}

void append_sizes(const std::string& sizes, const std::string& text, Dims& dims) {
  size_t begin = 0;
  while (begin <= sizes.size()) {
    const size_t end = std::min(sizes.find('x', begin), sizes.size());
    dims.push_back(parse_size(sizes.substr(begin, end - begin), text));
    begin = end + 1;
  }
}

// "a:1x3,b:4,n=3": commas stand between entries, and between sizes ("a:1,3") too. Names may hold
// colons.
void parse_shapes(const std::string& text, GivenShapes& out) {
  Dims* open = nullptr;
  size_t begin = 0;
  while (begin <= text.size()) {
    const size_t end = std::min(text.find(',', begin), text.size());
    const std::string piece = text.substr(begin, end - begin);
    const size_t colon = piece.rfind(':'), equals = piece.rfind('=');
    if (colon != std::string::npos && (equals == std::string::npos || colon > equals)) {
      open = &(out.inputs[piece.substr(0, colon)] = {});
      if (colon + 1 < piece.size()) append_sizes(piece.substr(colon + 1), text, *open);
    } else if (equals != std::string::npos) {
      out.symbols[piece.substr(0, equals)] = parse_size(piece.substr(equals + 1), text);
      open = nullptr;
    } else if (open != nullptr) {
      append_sizes(piece, text, *open);
    } else {
      refuse(text);
    }
    begin = end + 1;
  }
  for (const auto& [name, dims] : out.inputs) {
    try {
      element_count(dims);
    } catch (const Error& e) {
      throw UsageError(cat("--shape: '", text, "': ", e.what()));
    }
  }
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

void check_symbols(const Model& model, const std::map<std::string, int64_t>& given) {
  std::vector<std::string> known;
  for (size_t i = 0; i < model.input_count(); ++i) {
    const auto& shape = model.input(i).type.shape;
    for (size_t d = 0; shape && d < shape->size(); ++d) {
      if (!(*shape)[d].known() && !(*shape)[d].is_unknown()) known.push_back((*shape)[d].text());
    }
  }
  for (const auto& [name, size] : given) {
    if (std::find(known.begin(), known.end(), name) != known.end()) continue;
    fail(Code::kInvalidArgument, "--shape: no input has a dimension '", name, "'",
         suggestion(name, known));
  }
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

// --batch-size in the leading dimensions that are open; other flags may not say otherwise.
void apply_batch(const Model& model, int64_t batch, std::vector<Type>& types) {
  for (size_t i = 0; i < types.size() && batch > 0; ++i) {
    if (!has_open_batch(model.input(i).type)) continue;
    Dim& leading = types[i].shape->front();
    if (!leading.known()) leading = Dim(batch);
    TREADLE_CHECK(leading.is(batch), kInvalidArgument, "input '", model.input(i).name, "' is ",
                  types[i].text(), " by other flags, of a batch of ", batch, " by --batch-size");
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
  GivenShapes shapes;
  for (const std::string& text : args.all("shape")) parse_shapes(text, shapes);
  check_symbols(model, shapes.symbols);
  const int64_t batch = batch_size(args, declared(model));
  std::vector<Type> types;
  for (size_t i = 0; i < model.input_count(); ++i) types.push_back(model.input(i).type);
  for (size_t i = 0; i < types.size() && batch > 0; ++i) {
    const bool named = has_open_batch(types[i]) && !types[i].shape->front().is_unknown();
    if (named) shapes.symbols.emplace(types[i].shape->front().text(), batch);
  }
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
  apply_batch(model, batch, types);
  return types;
}

Type with_batch(Type type) {
  if (has_open_batch(type)) type.shape->front() = Dim(1);
  return type;
}

bool is_sized(const Type& type) {
  return !type.is_tensor() || (type.shape && is_static(*type.shape));
}

std::string shape_hint(const std::string& name, const Type& type) {
  std::string sizes;
  if (type.shape) {
    const Shape shape = *with_batch(type).shape;
    for (const Dim& d : shape) sizes += cat(sizes.empty() ? "" : ",", d.text());
  }
  return cat("--shape ", name, ":", type.shape ? sizes : "...");
}

std::string shapes_text(const Model& model, std::span<const Type> types) {
  std::string text;
  for (size_t i = 0; i < types.size(); ++i)
    text += cat(i == 0 ? "" : ", ", model.input(i).name, " ", types[i].text());
  return text;
}

}  // namespace treadle::tool
