// treadle info, treadle ops, treadle check: what this build and a model's file are.
#include <cstdio>
#include <fstream>

#include "importer/importer.h"
#include "tools/treadle/inputs.h"
#include "tools/treadle/json.h"

namespace treadle::tool {
namespace {

std::string processor() {
  std::ifstream in("/proc/cpuinfo");
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with("model name")) return line.substr(line.find(':') + 2);
  }
  return "unknown";
}

Json op_json(const Op& op) {
  Json json = {{"name", op.full_name()}};
  for (const Param& p : op.inputs)
    json["inputs"].push_back(p.name + (p.optional ? "?" : p.variadic ? "*" : ""));
  for (const Param& p : op.outputs)
    json["outputs"].push_back(p.name + (p.optional ? "?" : p.variadic ? "*" : ""));
  for (const AttributeDef& a : op.attributes) json["attributes"].push_back(a.name);
  json["reference"] = op.eval != nullptr ? "kernel" : "decomposition";
  return json;
}

void print_op(const Op& op) {
  auto print = [](const char* title, const std::vector<Param>& params) {
    std::printf("%s\n", title);
    for (const Param& p : params) {
      std::string types;
      for (int d = 1; d < kDTypeCount && !p.any; ++d) {
        if (p.allowed.has(static_cast<DType>(d)))
          types += cat(" ", dtype_name(static_cast<DType>(d)));
      }
      std::printf("  %s%s:%s\n", p.name.c_str(),
                  p.optional   ? " (optional)"
                  : p.variadic ? " (any number)"
                               : "",
                  p.any ? " any type" : types.c_str());
    }
  };
  std::printf("%s (%s)\n", op.full_name().c_str(),
              op.eval != nullptr ? "reference kernel" : "decomposition");
  print("inputs", op.inputs);
  print("outputs", op.outputs);
  if (!op.attributes.empty()) std::printf("attributes\n");
  for (const AttributeDef& a : op.attributes) {
    std::printf("  %s: %s%s%s\n", a.name.c_str(), a.kind.c_str(), a.required ? ", required" : "",
                a.default_text.empty() ? "" : cat(", default ", a.default_text).c_str());
  }
}

// Every problem on a line of stderr; in JSON, a list.
int report_problems(const std::vector<Error>& problems, const Args& args) {
  Json list = Json::array();
  for (const Error& e : problems) {
    list.push_back({{"code", std::string(code_name(e.code()))}, {"problem", e.what()}});
    std::fprintf(stderr, "treadle check: %s: %s\n", std::string(code_name(e.code())).c_str(),
                 e.what());
  }
  if (args.has("json")) print_json({{"valid", false}, {"problems", list}});
  const Code code = problems.front().code();
  return code == Code::kLimit ? kExitModel : exit_code(code);
}

}  // namespace

int run_info(const Args& args) {
  const Json json = {{"version", TREADLE_VERSION},
                     {"opset", kOpset},
                     {"operators", all_ops().size()},
                     {"processor", processor()},
                     {"threads", default_threads()},
                     {"devices", {"cpu", "reference"}},
                     {"cuda", "not built: this build has no CUDA backend"}};
  if (args.has("json")) {
    print_json(json);
  } else {
    for (const auto& [key, value] : json.items()) {
      std::printf("%-10s %s\n", key.c_str(),
                  value.is_string() ? value.get<std::string>().c_str() : value.dump().c_str());
    }
  }
  return kExitOk;
}

int run_ops(const Args& args) {
  if (!args.positional.empty()) {
    const std::string& name = args.positional[0];
    std::vector<std::string> names;
    for (const Op& op : all_ops()) {
      names.push_back(op.full_name());
      if (op.full_name() != name) continue;
      if (args.has("json")) {
        print_json(op_json(op));
      } else {
        print_op(op);
      }
      return kExitOk;
    }
    const std::string near = close_match(name, names);
    fail(Code::kInvalidArgument, "no operator '", name, "'",
         near.empty() ? "" : "; did you mean '" + near + "'?");
  }
  Json list = Json::array();
  for (const Op& op : all_ops()) {
    if (args.has("json")) {
      list.push_back(op_json(op));
    } else {
      std::puts(op.full_name().c_str());
    }
  }
  if (args.has("json")) print_json({{"operators", list}});
  return kExitOk;
}

int run_check(const Args& args) {
  const std::vector<Error> problems = check(args.positional[0]);
  if (!problems.empty()) return report_problems(problems, args);
  const Graph graph = load_graph(args.positional[0], args);
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
  if (args.has("json")) {
    print_json({{"valid", true}, {"nodes", graph.node_count()}, {"notes", notes}});
  } else {
    for (const std::string& note : notes) std::printf("note: %s\n", note.c_str());
    std::printf("valid: %zu nodes\n", graph.node_count());
  }
  return kExitOk;
}

}  // namespace treadle::tool
