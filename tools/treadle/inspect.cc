// treadle inspect: what a model is, and how it will run.
#include <algorithm>
#include <cstdio>
#include <map>

#include "importer/importer.h"
#include "tools/treadle/files.h"
#include "tools/treadle/inputs.h"
#include "tools/treadle/json.h"

namespace treadle::tool {
namespace {

struct Counts {
  std::map<std::string, int64_t> ops;
  int64_t parameters = 0;
  int64_t parameter_bytes = 0;
};

Counts count(const Graph& graph) {
  Counts c;
  for (NodeId id : graph.topological_order()) {
    ++c.ops[graph.node(id).op->full_name()];
    for (const Subgraph& s : graph.node(id).subgraphs) {
      for (const auto& [op, n] : count(*s.graph).ops) c.ops[op] += n;
    }
  }
  for (uint32_t i = 0; i < graph.value_count(); ++i) {
    const ValueDef& def = graph.value(ValueId{i});
    if (!def.is_constant()) continue;
    c.parameters += def.constant.count();
    c.parameter_bytes += static_cast<int64_t>(def.constant.bytes());
  }
  return c;
}

std::string printable(const std::string& text) {
  std::string out;
  for (unsigned char c : text) out += c < 0x20 || c == 0x7f ? '?' : static_cast<char>(c);
  return out;
}

void write_dot(const std::string& path, const Graph& graph) {
  std::string dot = "digraph model {\n  node [shape=box, fontname=\"sans-serif\"];\n";
  for (NodeId id : graph.topological_order()) {
    const Node& node = graph.node(id);
    dot += cat("  n", id.index, " [label=\"", node.op->full_name(), "\"];\n");
    for_each_use(node, [&](ValueId v) {
      const NodeId from = graph.value(v).producer;
      if (from.valid()) dot += cat("  n", from.index, " -> n", id.index, ";\n");
    });
  }
  write_file(path, dot + "}\n");
}

PlanInfo plan(const std::shared_ptr<const Model>& model, const Args& args) {
  Session session(model, session_options(args));
  return session.describe_plan(input_types(*model, args, true));
}

int64_t multiply_adds(const Model& model, const Args& args) {
  int64_t sum = 0;
  for (const StepInfo& s : describe_nodes(model.graph(), input_types(model, args, true))) {
    if (__builtin_add_overflow(sum, s.multiply_adds, &sum)) return INT64_MAX;
  }
  return sum;
}

void show_passes(const Model& model, Json* json) {
  const OptimizeReport& report = model.report();
  for (const PassReport& p : report.passes) {
    if (json != nullptr) {
      (*json)["passes"].push_back(
          {{"pass", p.pass}, {"ms", p.milliseconds}, {"fired", p.fired}, {"refused", p.refused}});
      continue;
    }
    std::printf("%-28s fired %5lld  %8.2f ms\n", p.pass.c_str(), static_cast<long long>(p.fired),
                p.milliseconds);
    for (const std::string& why : p.refused) std::printf("    refused: %s\n", why.c_str());
  }
  if (json == nullptr) std::printf("%zu nodes -> %zu\n", report.nodes_before, report.nodes_after);
}

void show_steps(const std::vector<StepInfo>& steps, bool placement) {
  for (const StepInfo& s : steps) {
    std::printf("%-24s %-10s %-32s %s%s%s\n", s.op.c_str(), s.backend.c_str(), s.kernel.c_str(),
                placement ? s.node.c_str() : s.shapes.c_str(),
                s.reason.empty() ? "" : "  because: ", s.reason.c_str());
  }
}

void show_summary(const Model& model, const Graph& original) {
  for (const auto& [key, value] : original.metadata) {
    std::printf("%-18s %s\n", printable(key).c_str(), printable(value).c_str());
  }
  const Counts before = count(original), after = count(model.graph());
  for (const std::string& what : original.ignored) std::printf("ignored %s\n", what.c_str());
  for (size_t i = 0; i < model.input_count(); ++i) {
    std::printf("input   %s  %s\n", printable(model.input(i).name).c_str(),
                model.input(i).type.text().c_str());
  }
  for (size_t i = 0; i < model.output_count(); ++i) {
    std::printf("output  %s  %s\n", printable(model.output_name(i)).c_str(),
                model.output_type(i).text().c_str());
  }
  std::printf("parameters  %lld (%.2f MB)\n", static_cast<long long>(before.parameters),
              static_cast<double>(before.parameter_bytes) / 1e6);
  std::printf("nodes       %zu, optimized to %zu\n", original.node_count(),
              model.graph().node_count());
  for (const auto& [op, n] : after.ops)
    std::printf("  %6lld  %s\n", static_cast<long long>(n), op.c_str());
}

Json summary_json(const Model& model, const Graph& original) {
  const Counts before = count(original), after = count(model.graph());
  Json json = {{"nodes", original.node_count()},  {"nodes_optimized", model.graph().node_count()},
               {"parameters", before.parameters}, {"parameter_bytes", before.parameter_bytes},
               {"metadata", original.metadata},   {"ops", before.ops},
               {"ops_optimized", after.ops},      {"ignored", original.ignored}};
  for (size_t i = 0; i < model.input_count(); ++i) {
    json["inputs"].push_back(type_json(model.input(i).name, model.input(i).type));
  }
  for (size_t i = 0; i < model.output_count(); ++i) {
    json["outputs"].push_back(type_json(model.output_name(i), model.output_type(i)));
  }
  return json;
}

void show_memory(const MemoryInfo& memory) {
  std::printf("arena      %10.3f MB\nweights    %10.3f MB\npacked     %10.3f MB\n",
              static_cast<double>(memory.arena_bytes) / 1e6,
              static_cast<double>(memory.constant_bytes) / 1e6,
              static_cast<double>(memory.packed_bytes) / 1e6);
}

void add_plan(const std::shared_ptr<const Model>& model, const Args& args, Json& json) {
  try {
    const PlanInfo info = plan(model, args);
    json["memory"] = {{"arena", info.memory.arena_bytes},
                      {"weights", info.memory.constant_bytes},
                      {"packed", info.memory.packed_bytes}};
    for (const StepInfo& s : info.steps) json["steps"].push_back(step_json(s));
  } catch (const Error& e) {  // a shape is needed that only --shape can give
    if (e.code() != Code::kInvalidArgument) throw;
    json["not_planned"] = e.what();
  }
}

}  // namespace

int run_inspect(const Args& args) {
  const std::string part = args.text("show");
  const std::vector<std::string> parts = {"layers", "ops", "memory", "placement", "passes"};
  if (!part.empty() && std::find(parts.begin(), parts.end(), part) == parts.end()) {
    throw UsageError(cat("--show: '", part, "' is none of: layers ops memory placement passes"));
  }
  const Graph original = load_graph(args.positional[0], args);
  const auto model = Model::create(original.clone(), model_options(args));
  if (args.has("dot")) write_dot(args.text("dot"), model->graph());
  if (args.has("json")) {
    Json json = summary_json(*model, original);
    json["multiply_adds"] = multiply_adds(*model, args);
    add_plan(model, args, json);
    show_passes(*model, &json);
    print_json(json);
  } else if (part == "passes") {
    show_passes(*model, nullptr);
  } else if (part == "memory") {
    show_memory(plan(model, args).memory);
  } else if (part == "layers" || part == "placement") {
    show_steps(plan(model, args).steps, part == "placement");
  } else if (part == "ops") {
    for (const auto& [op, n] : count(original).ops)
      std::printf("%6lld  %s\n", static_cast<long long>(n), op.c_str());
  } else {
    show_summary(*model, original);
    std::printf("multiply-adds  %.3f M\n", static_cast<double>(multiply_adds(*model, args)) / 1e6);
  }
  return kExitOk;
}

}  // namespace treadle::tool
