// Reads ONNX's textual syntax.
#include <unordered_map>

#include "graph/ops/op.h"
#include "graph/text.h"
#include "graph/text_model.h"
#include "graph/text_scan.h"

namespace treadle {
namespace {

constexpr int kMaxDepth = 32;  // of nested subgraphs

class Parser {
 public:
  explicit Parser(std::string_view text) : in_(text) {}
  Graph run();
  std::map<std::string, int64_t, std::less<>> opsets_of_header;

 private:
  // A graph that is being read; captures are outer values that its last inputs stand for.
  struct Level {
    Graph* graph;
    std::vector<ValueId> captures;
    std::unordered_map<std::string, Type> declared;
  };
  struct Declaration {
    std::string name;
    Type type;
    size_t at = 0;
  };

  void header(Graph& graph);
  void opsets();
  std::vector<ValueId> graph(Graph& graph);
  void inputs(Graph& graph);
  std::vector<Declaration> outputs();
  void constants(Graph& graph);
  void node(Graph& graph);
  void attributes(Node& node);
  void attribute(Node& node);
  Attribute attribute_value(std::string kind);
  Attribute scalar(const std::string& kind);
  Attribute list(std::string kind);
  Subgraph subgraph(std::string name);

  Declaration declaration();
  ValueId define(Graph& graph, const Declaration& declared);
  ValueId lookup(const std::string& name, size_t level, size_t at);

  TextScanner in_;
  std::vector<Level> levels_;
};

Graph Parser::run() {
  Graph result;
  header(result);
  graph(result);
  if (!in_.at_end()) in_.wrong("the end of the text");
  return result;
}

void Parser::opsets() {
  in_.expect('[');
  if (in_.matches(']')) return;
  do {
    const std::string domain = in_.string();
    in_.expect(':');
    opsets_of_header[domain == "ai.onnx" ? "" : domain] = in_.integer();
  } while (in_.matches(','));
  in_.expect(']');
}

void Parser::header(Graph& graph) {
  if (!in_.matches('<')) return;
  do {
    const std::string key = in_.identifier();
    in_.expect(':');
    if (key == "ir_version" || key == "model_version") {
      in_.integer();
    } else if (key == "opset_import") {
      opsets();
    } else if (key == "doc_string") {
      graph.doc = in_.string();
    } else if (key == "producer_name" || key == "producer_version" || key == "domain") {
      graph.metadata[key] = in_.string();
    } else if (key == "metadata_props") {
      in_.expect('[');
      while (!in_.matches(']')) {
        const std::string property = in_.string();
        in_.expect(':');
        graph.metadata[property] = in_.string();
        in_.matches(',');
      }
    } else {
      in_.error(Code::kInvalidModel, "unknown key '", key, "' in the header");
    }
  } while (in_.matches(','));
  in_.expect('>');
}

// Reads one graph; the outer values that it captures.
std::vector<ValueId> Parser::graph(Graph& graph) {
  if (levels_.size() >= kMaxDepth) {
    in_.error(Code::kLimit, "subgraphs are nested deeper than ", kMaxDepth);
  }
  levels_.push_back({&graph, {}, {}});
  graph.name = in_.name();
  inputs(graph);
  in_.expect('=');
  in_.expect('>');
  const std::vector<Declaration> declared = outputs();
  constants(graph);
  for (const Declaration& d : declared) levels_.back().declared[d.name] = d.type;
  in_.expect('{');
  while (!in_.matches('}')) node(graph);
  for (const Declaration& d : declared) {
    graph.add_output(d.name, lookup(d.name, levels_.size() - 1, d.at));
  }
  std::vector<ValueId> captures = std::move(levels_.back().captures);
  levels_.pop_back();
  return captures;
}

void Parser::inputs(Graph& graph) {
  in_.expect('(');
  if (in_.matches(')')) return;
  do {
    const Declaration d = declaration();
    if (graph.find_value(d.name).valid()) {
      in_.error(Code::kInvalidModel, "two values are named '", d.name, "'");
    }
    const ValueId id = graph.add_input(d.name, d.type);
    if (in_.matches('=')) graph.value(id).default_value = read_tensor(in_, d.type);
  } while (in_.matches(','));
  in_.expect(')');
}

std::vector<Parser::Declaration> Parser::outputs() {
  std::vector<Declaration> list;
  in_.expect('(');
  if (in_.matches(')')) return list;
  do {
    list.push_back(declaration());
  } while (in_.matches(','));
  in_.expect(')');
  return list;
}

// Initializers and the types of values that follow.
void Parser::constants(Graph& graph) {
  if (!in_.matches('<') || in_.matches('>')) return;
  do {
    const Declaration d = declaration();
    if (!in_.matches('=')) {
      levels_.back().declared[d.name] = d.type;
      continue;
    }
    const ValueId id = define(graph, d);
    graph.set_constant(id, read_tensor(in_, d.type));
  } while (in_.matches(','));
  in_.expect('>');
}

ValueId Parser::define(Graph& graph, const Declaration& d) {
  if (graph.find_value(d.name).valid()) {
    fail(Code::kInvalidModel, in_.place(d.at), ": two values are named '", d.name, "'");
  }
  const auto known = levels_.back().declared.find(d.name);
  return graph.add_value(d.name, known != levels_.back().declared.end() ? known->second : d.type);
}

// The value of that name in this level's graph; one of an enclosing graph becomes a capture of each
// graph between.
ValueId Parser::lookup(const std::string& name, size_t level, size_t at) {
  size_t from = level + 1;
  ValueId found;
  while (from > 0 && !found.valid()) found = levels_[--from].graph->find_value(name);
  if (!found.valid()) {
    fail(Code::kInvalidModel, in_.place(at), ": nothing before this defines '", name, "'");
  }
  for (; from < level; ++from) {
    Level& inner = levels_[from + 1];
    inner.captures.push_back(found);
    found = inner.graph->add_input(name, levels_[from].graph->value(found).type);
  }
  return found;
}

void Parser::node(Graph& graph) {
  Node node;
  if (in_.matches('[')) {
    if (in_.next() != ']') node.name = in_.name();
    in_.expect(']');
  }
  in_.next();
  const size_t start = in_.position();
  std::vector<Declaration> results;
  do {
    in_.next();
    const size_t at = in_.position();
    results.push_back({in_.name(), {}, at});
  } while (in_.matches(','));
  in_.expect('=');
  in_.next();
  const size_t kind_at = in_.position();
  std::string domain, kind = in_.identifier();
  while (in_.matches('.')) {
    domain += (domain.empty() ? "" : ".") + kind;
    kind = in_.identifier();
  }
  node.op = find_op(kind, domain);
  if (node.op == nullptr) {
    fail(Code::kUnsupported, in_.place(kind_at), ": unknown operator '",
         domain.empty() ? kind : domain + "." + kind, "'");
  }
  attributes(node);
  in_.expect('(');
  while (!in_.matches(')')) {
    in_.next();
    const size_t at = in_.position();
    const std::string name = in_.next() == ',' ? "" : in_.name();
    node.inputs.push_back(name.empty() ? ValueId{} : lookup(name, levels_.size() - 1, at));
    if (!in_.matches(',') && in_.next() != ')') in_.wrong("',' or ')'");
  }
  if (node.attributes.size() == 0 && node.subgraphs.empty()) attributes(node);
  while (!node.inputs.empty() && !node.inputs.back().valid()) node.inputs.pop_back();
  for (const Declaration& d : results) {
    node.outputs.push_back(d.name.empty() ? ValueId{} : define(graph, d));
  }
  try {
    check_against_row(node);
  } catch (Error& e) {
    e.add_context(in_.place(start));
    throw;
  }
  graph.add_node(std::move(node));
}

void Parser::attributes(Node& node) {
  if (!in_.matches('<')) return;
  do {
    attribute(node);
  } while (in_.matches(','));
  in_.expect('>');
}

// The kinds of the rows for the syntax's words, and the kind of a list of them.
std::string kind_of(std::string_view word) {
  constexpr std::pair<std::string_view, std::string_view> kKinds[] = {
      {"int", "i"},      {"float", "f"},  {"string", "s"},   {"ints", "is"},       {"floats", "fs"},
      {"strings", "ss"}, {"tensor", "t"}, {"tensors", "ts"}, {"type_proto", "tp"}, {"graph", "g"}};
  for (const auto& [name, kind] : kKinds) {
    if (name == word) return std::string(kind);
  }
  return "";
}

void Parser::attribute(Node& node) {
  const std::string name = in_.name();
  const AttributeDef* def = node.op->attribute(name);
  std::string kind = def != nullptr ? def->kind : "";
  if (in_.matches(':')) {
    const std::string word = in_.identifier();
    const std::string given = kind_of(word);
    if (given.empty()) {
      in_.error(Code::kInvalidModel, "unknown kind '", word, "' of attribute '", name, "'");
    }
    if (kind.empty()) kind = given;
  }
  in_.expect('=');
  const bool is_name = in_.next() == '"' || !in_.peek_identifier().empty();
  if (kind == "g" && is_name) {
    node.subgraphs.push_back(subgraph(name));
  } else {
    node.attributes.set(name, in_.next() == '[' ? list(kind) : scalar(kind));
  }
}

Subgraph Parser::subgraph(std::string name) {
  Subgraph s;
  s.attribute = std::move(name);
  s.graph = std::make_shared<Graph>();
  s.captures = graph(*s.graph);
  return s;
}

Attribute Parser::scalar(const std::string& kind) {
  if (in_.next() == '"') return in_.string();
  if (is_type_word(in_.peek_identifier())) {
    Type t = read_type(in_);
    if (in_.next() != '{' && in_.next() != '=' && in_.peek_identifier().empty()) return t;
    in_.identifier();
    in_.matches('=');
    return read_tensor(in_, t);
  }
  if (kind == "f" || kind == "fs") return in_.real_float();
  if (kind == "i" || kind == "is") return in_.integer();
  TextScanner probe = in_;
  bool is_integer = false;
  probe.number(is_integer);
  if (is_integer) return in_.integer();
  return in_.real_float();
}

Attribute Parser::list(std::string kind) {
  std::vector<Attribute> items;
  in_.expect('[');
  if (!in_.matches(']')) {
    do {
      items.push_back(scalar(kind));
    } while (in_.matches(','));
    in_.expect(']');
    if (kind.size() != 2) kind = cat(attribute_kind(items[0]), "s");
  }
  const auto all = [&]<class T>(T) {
    std::vector<T> out;
    for (Attribute& a : items) {
      T* item = std::get_if<T>(&a);
      if (item == nullptr) in_.error(Code::kInvalidModel, "the list before this mixes kinds");
      out.push_back(std::move(*item));
    }
    return Attribute(std::move(out));
  };
  if (kind == "is") return all(int64_t{});
  if (kind == "fs") return all(float{});
  if (kind == "ss") return all(std::string{});
  if (kind == "ts") return all(Tensor{});
  in_.error(Code::kInvalidModel,
            "the list before this has no known kind: write `name : ints = []`");
}

Parser::Declaration Parser::declaration() {
  Declaration d;
  if (is_type_word(in_.peek_identifier())) d.type = read_type(in_);
  in_.next();
  d.at = in_.position();
  d.name = in_.name();
  return d;
}

}  // namespace

TextModel parse_model(std::string_view text) {
  Parser parser(text);
  TextModel model{parser.run(), {}};
  model.opsets = std::move(parser.opsets_of_header);
  verify(model.graph);
  annotate(model.graph);
  return model;
}

Graph parse(std::string_view text) {
  TextModel model = parse_model(text);
  const auto stated = model.opsets.find("");
  TREADLE_CHECK(stated == model.opsets.end() || stated->second == kOpset, kUnsupported,
                "the text form is read at opset ", kOpset, ", this is opset ", stated->second);
  return std::move(model.graph);
}

}  // namespace treadle
