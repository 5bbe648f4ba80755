// treadle info, treadle ops, treadle check: what this build and a model's file are.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <set>

#include "backends/registry.h"
#include "graph/base/suggestion.h"
#include "importer/importer.h"
#include "tools/treadle/environment.h"
#include "tools/treadle/json.h"
#include "tools/treadle/load.h"
#include "tools/treadle/training_steps.h"
#include "training/autodiff.h"

namespace treadle::tool {
namespace {

// An attribute's kind in words.
std::string kind_text(const std::string& kind) {
  static const std::map<std::string, std::string> words = {
      {"i", "int"},      {"f", "float"},  {"s", "string"},   {"is", "ints"}, {"fs", "floats"},
      {"ss", "strings"}, {"t", "tensor"}, {"ts", "tensors"}, {"tp", "type"}, {"g", "graph"}};
  return words.at(kind);
}

std::vector<std::string> dtypes(const Param& p) {
  std::vector<std::string> names;
  for (int d = 1; d < kDTypeCount && !p.any; ++d) {
    if (p.allowed.has(static_cast<DType>(d))) names.emplace_back(dtype_name(static_cast<DType>(d)));
  }
  return names;
}

const char* reference_text(const Op& op) { return op.eval != nullptr ? "kernel" : "decomposition"; }

Json params_json(const std::vector<Param>& params) {
  Json list = Json::array();
  for (const Param& p : params) {
    list.push_back({{"name", p.name},
                    {"optional", p.optional},
                    {"variadic", p.variadic},
                    {"any", p.any},
                    {"dtypes", dtypes(p)}});
  }
  return list;
}

Json op_json(const Op& op) {
  Json json = {{"name", op.full_name()},
               {"inputs", params_json(op.inputs)},
               {"outputs", params_json(op.outputs)},
               {"attributes", Json::array()}};
  for (const AttributeDef& a : op.attributes) {
    json["attributes"].push_back({{"name", a.name},
                                  {"type", kind_text(a.kind)},
                                  {"required", a.required},
                                  {"default", a.default_text}});
  }
  json["reference"] = reference_text(op);
  json["cpu"] = kernel_families("cpu", op);
  json["cuda"] = kernel_families("cuda", op);
  json["gradient"] = gradient_text(op);
  return json;
}

std::string joined(const std::vector<std::string>& words, const char* between) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : between) + word;
  return text;
}

void print_params(const char* title, const std::vector<Param>& params) {
  std::printf("%s\n", title);
  for (const Param& p : params) {
    std::printf("  %s%s: %s\n", p.name.c_str(),
                p.optional   ? " (optional)"
                : p.variadic ? " (any number)"
                             : "",
                p.any ? "any type" : joined(dtypes(p), " ").c_str());
  }
}

void print_op(const Op& op) {
  const std::string cpu = joined(kernel_families("cpu", op), ", ");
  std::printf("%s\n", op.full_name().c_str());
  print_params("inputs", op.inputs);
  print_params("outputs", op.outputs);
  if (!op.attributes.empty()) std::printf("attributes\n");
  for (const AttributeDef& a : op.attributes) {
    std::printf("  %s: %s%s%s\n", a.name.c_str(), kind_text(a.kind).c_str(),
                a.required ? ", required" : "",
                a.default_text.empty() ? "" : cat(", default ", a.default_text).c_str());
  }
  std::printf("runs on\n  cpu: %s\n  reference: %s\ngradient: %s\n",
              cpu.empty() ? "no kernel of its own: by reference" : cpu.c_str(), reference_text(op),
              std::string(gradient_text(op)).c_str());
}

std::vector<const Op*> sorted_ops() {
  std::vector<const Op*> ops;
  for (const Op& op : all_ops()) ops.push_back(&op);
  std::sort(ops.begin(), ops.end(),
            [](const Op* a, const Op* b) { return a->full_name() < b->full_name(); });
  return ops;
}

// Every problem on a line of stderr; in JSON, a list.
int report_problems(const std::vector<Error>& problems, const Args& args) {
  Json list = Json::array();
  std::set<std::string> said;
  for (const Error& e : problems) {
    if (!said.insert(e.what()).second) continue;
    list.push_back({{"code", std::string(code_name(e.code()))}, {"problem", e.what()}});
    std::fprintf(stderr, "treadle check: %s: %s\n", std::string(code_name(e.code())).c_str(),
                 e.what());
  }
  if (args.has("json")) print_json({{"valid", false}, {"problems", list}});
  const Code code = problems.front().code();
  return code == Code::kLimit ? kExitModel : exit_code(code);
}

// What training would ask for: the gradients of all floats among the weights (without any: the
// inputs) of all outputs.
GradientRequest training_request(const Graph& graph, const Args& args) {
  GradientRequest request;
  request.operators = load_options(args).operators;
  request.zero_unreachable = true;
  auto is_smooth = [&](ValueId v) {
    const Type& type = graph.value(v).type;
    return type.is_tensor() && is_float(type.dtype);
  };
  for (uint32_t i = 0; i < graph.value_count(); ++i) {
    const ValueDef& def = graph.value(ValueId{i});
    if (def.is_constant() && is_smooth(ValueId{i})) request.wrt.push_back(def.name);
  }
  for (ValueId v : graph.inputs()) {
    if (request.wrt.empty() || graph.value(v).default_value.defined()) {
      if (is_smooth(v)) request.wrt.push_back(graph.value(v).name);
    }
  }
  for (const GraphOutput& o : graph.outputs()) {
    if (is_smooth(o.value)) request.outputs.push_back(o.name);
  }
  return request;
}

int report_missing(const std::vector<std::string>& missing, const Args& args) {
  for (const std::string& text : missing) {
    std::fprintf(stderr, "treadle check: no gradient for %s\n", text.c_str());
  }
  if (args.has("json")) print_json({{"valid", true}, {"trains", false}, {"missing", missing}});
  return kExitModel;
}

}  // namespace

int run_info(const Args& args) {
  const std::vector<DeviceInfo> list = devices();
  const Json machine = environment();
  const std::string processor = machine["processor"];
  Json json = {{"version", TREADLE_VERSION},    {"opset", kOpset},
               {"operators", all_ops().size()}, {"processor", processor},
               {"cores", machine["cores"]},     {"threads", default_threads()},
               {"devices", Json::array()}};
  for (const DeviceInfo& d : list)
    json["devices"].push_back({{"name", d.name}, {"detail", d.detail}});
  std::string forced;
  for (const char* name : {"TREADLE_ISA", "TREADLE_FORCE"}) {
    const char* value = std::getenv(name);
    json[name] = value == nullptr ? Json() : Json(value);
    if (value != nullptr) forced += cat(", ", name, "=", value);
  }
  if (args.has("json")) {
    print_json(json);
    return kExitOk;
  }
  std::printf("treadle %s, %zu operators, opset %lld\n%s, %d threads%s\n", TREADLE_VERSION,
              all_ops().size(), static_cast<long long>(kOpset), processor.c_str(),
              default_threads(), forced.c_str());
  std::printf("devices\n");
  for (const DeviceInfo& d : list) std::printf("  %-12s %s\n", d.name.c_str(), d.detail.c_str());
  return kExitOk;
}

int run_version(const Args& args) {
  if (args.has("json")) {
    print_json({{"version", TREADLE_VERSION}});
    return kExitOk;
  }
  std::puts("treadle " TREADLE_VERSION);
  return kExitOk;
}

int run_ops(const Args& args) {
  const std::vector<const Op*> ops = sorted_ops();
  if (!args.positional.empty()) {
    const std::string& name = args.positional[0];
    std::vector<std::string> names;
    for (const Op* op : ops) {
      names.push_back(op->full_name());
      if (op->full_name() != name) continue;
      if (args.has("json")) {
        print_json(op_json(*op));
      } else {
        print_op(*op);
      }
      return kExitOk;
    }
    fail(Code::kInvalidArgument, "no operator '", name, "'", suggestion(name, names));
  }
  Json list = Json::array();
  for (const Op* op : ops) {
    if (args.has("json")) {
      list.push_back(op_json(*op));
    } else {
      std::puts(op->full_name().c_str());
    }
  }
  if (args.has("json")) print_json({{"operators", list}});
  return kExitOk;
}

int run_check(const Args& args) {
  const std::vector<Error> problems = check(args.positional[0], load_options(args));
  if (!problems.empty()) return report_problems(problems, args);
  Graph graph = load_graph(args.positional[0], args);
  own_training(args.positional[0], args, graph);
  std::vector<std::string> notes;
  for (const std::string& what : graph.ignored) notes.push_back("ignored: " + what);
  for (NodeId id : graph.topological_order()) {
    const Node& node = graph.node(id);
    for (ValueId v : node.outputs) {
      if (v.valid() && graph.value(v).type.is_tensor() && !graph.value(v).type.shape) {
        notes.push_back(cat(describe(node), ": the rank of '", graph.value(v).name,
                            "' is known at run time only"));
      }
    }
  }
  const bool refused = args.has("strict") && !notes.empty();
  if (args.has("train")) {
    const auto missing = missing_gradients(graph, training_request(graph, args));
    if (!missing.empty()) return report_missing(missing, args);
    notes.emplace_back("every node on the way to an output can be differentiated");
  }
  if (args.has("json")) {
    print_json({{"valid", true}, {"nodes", graph.node_count()}, {"notes", notes}});
  } else {
    for (const std::string& note : notes) std::printf("note: %s\n", note.c_str());
    std::printf("valid: %zu nodes\n", graph.node_count());
  }
  return refused ? kExitDiffers : kExitOk;
}

}  // namespace treadle::tool
