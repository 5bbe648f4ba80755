// treadle inspect: what a model is, and how it will run.
#include <algorithm>
#include <cstdio>
#include <map>

#include "graph/ops/op.h"
#include "importer/importer.h"
#include "tools/treadle/contents.h"
#include "tools/treadle/dot.h"
#include "tools/treadle/files.h"
#include "tools/treadle/inputs.h"
#include "tools/treadle/json.h"
#include "tools/treadle/shapes.h"
#include "tools/treadle/training_steps.h"
#include "tools/treadle/values.h"

namespace treadle::tool {
namespace {

const std::vector<std::string> kPlanned = {"layers", "memory", "placement"};
const std::vector<std::string> kParts = {"layers", "ops",     "memory",   "placement",
                                         "passes", "weights", "metadata", "attrs"};

bool is_among(const std::vector<std::string>& parts, const std::string& part) {
  return std::find(parts.begin(), parts.end(), part) != parts.end();
}

struct Counts {
  std::map<std::string, int64_t> ops;
  int64_t nodes = 0;  // bodies included, as in the others
  int64_t parameters = 0;
  int64_t parameter_bytes = 0;
};

void add_counts(const Graph& graph, Counts& c) {
  for (NodeId id : graph.topological_order()) {
    ++c.nodes;
    ++c.ops[graph.node(id).op->full_name()];
    for (const Subgraph& s : graph.node(id).subgraphs) add_counts(*s.graph, c);
  }
  for (uint32_t i = 0; i < graph.value_count(); ++i) {
    const ValueDef& def = graph.value(ValueId{i});
    if (!def.is_constant()) continue;
    c.parameters += def.constant.count();
    c.parameter_bytes += static_cast<int64_t>(def.constant.bytes());
  }
}

Counts count(const Graph& graph) {
  Counts c;
  add_counts(graph, c);
  return c;
}

// The model, and the sizes at which it is looked at.
struct Subject {
  FileVersions versions;
  Graph original;
  std::shared_ptr<const Model> model;
  std::optional<TrainingStep> training;  // the file's own
  std::vector<Type> types;               // a batch of 1 where it is open
  std::string missing;  // flags that would size what is still open; "" when all is sized
};

Subject subject_of(const Args& args) {
  Graph original = load_graph(args.positional[0], args);
  FileVersions versions = versions_of(args.positional[0]);
  auto training = own_training(args.positional[0], args, original);
  const auto model = Model::create(original.clone(), model_options(args));
  Subject s{std::move(versions), std::move(original),       model,
            std::move(training), input_types(*model, args), ""};
  for (size_t i = 0; i < s.types.size(); ++i) {
    const Tensor& fallback = model->input(i).default_value;
    s.types[i] = fallback.defined() ? Type::tensor(fallback.dtype(), symbolic(fallback.dims()))
                                    : with_batch(s.types[i]);
    if (is_sized(s.types[i])) continue;
    const std::string hint = shape_hint(model->input(i).name, s.types[i]);
    if (s.missing.find(hint) == std::string::npos)
      s.missing += (s.missing.empty() ? "" : " ") + hint;
  }
  return s;
}

PlanInfo plan(const Subject& s, const Args& args) {
  if (!s.missing.empty())
    throw UsageError(cat("the steps depend on the inputs' sizes: give them, as in ", s.missing));
  Session session(s.model, session_options(args));
  try {
    return session.describe_plan(s.types);
  } catch (const Error& e) {
    blame_shapes(e, *s.model, shapes_text(*s.model, s.types));
  }
}

Json passes_json(const OptimizeReport& report) {
  Json list = Json::array();
  for (const PassReport& p : report.passes) {
    list.push_back(
        {{"pass", p.pass}, {"ms", p.milliseconds}, {"fired", p.fired}, {"refused", p.refused}});
  }
  return list;
}

void show_passes(const OptimizeReport& report) {
  for (const PassReport& p : report.passes) {
    std::printf("%-28s fired %5lld  %8.2f ms\n", p.pass.c_str(), static_cast<long long>(p.fired),
                p.milliseconds);
    for (const std::string& why : p.refused) std::printf("    refused: %s\n", why.c_str());
  }
  std::printf("%zu nodes -> %zu\n", report.nodes_before, report.nodes_after);
}

void show_steps(const std::vector<StepInfo>& steps, bool placement) {
  for (const StepInfo& s : steps) {
    std::printf("%-24s %-10s %-32s %s%s%s\n", s.op.c_str(), s.backend.c_str(), s.kernel.c_str(),
                placement ? s.node.c_str() : s.shapes.c_str(),
                s.reason.empty() ? "" : "  because: ", s.reason.c_str());
  }
}

void show_ops(const Counts& counts) {
  for (const auto& [op, n] : counts.ops)
    std::printf("  %6lld  %s\n", static_cast<long long>(n), op.c_str());
}

void show_memory(const MemoryInfo& memory) {
  std::printf("arena      %10.3f MB\nweights    %10.3f MB\npacked     %10.3f MB\n",
              static_cast<double>(memory.arena_bytes) / 1e6,
              static_cast<double>(memory.constant_bytes) / 1e6,
              static_cast<double>(memory.packed_bytes) / 1e6);
}

int64_t total(const std::vector<StepInfo>& steps) {
  int64_t sum = 0;
  for (const StepInfo& s : steps) {
    if (__builtin_add_overflow(sum, s.multiply_adds, &sum)) return INT64_MAX;
  }
  return sum;
}

// Multiply-adds and at which shapes; or why they are not known.
Json work_json(const Subject& s) {
  Json json = {{"multiply_adds", nullptr}, {"at", ""}, {"note", ""}};
  if (!s.missing.empty()) {
    json["note"] = "depends on the inputs' sizes: give them, as in " + s.missing;
    return json;
  }
  json["at"] = shapes_text(*s.model, s.types);
  try {
    std::vector<Known> known;
    for (const Type& type : s.types) known.push_back({type, {}, {}});
    infer(s.original, known);  // which tells where these shapes do not fit
    json["multiply_adds"] = total(describe_nodes(s.original, s.types));
  } catch (const Error& e) {
    json["note"] = cat("not at these shapes: ", e.what());
  }
  return json;
}

void show_work(const Subject& s) {
  const Json work = work_json(s);
  if (work["multiply_adds"].is_null()) {
    std::printf("multiply-adds  %s\n", work["note"].get<std::string>().c_str());
  } else {
    std::printf("multiply-adds  %.3f M at %s\n", work["multiply_adds"].get<double>() / 1e6,
                work["at"].get<std::string>().c_str());
  }
}

void show_versions(const FileVersions& versions) {
  std::printf("%-18s %lld\n", "ir_version", static_cast<long long>(versions.ir_version));
  for (const auto& [domain, version] : versions.opsets) {
    std::printf("%-18s %s %lld\n", "opset", printable(domain).c_str(),
                static_cast<long long>(version));
  }
}

void show_training(const TrainingStep& training) {
  const auto names = [](const std::map<std::string, std::string>& bindings) {
    std::string text;
    for (const auto& [name, output] : bindings) text += cat(text.empty() ? "" : ", ", name);
    return printable(text);
  };
  std::printf("training           updates %s%s%s\n", names(training.updates).c_str(),
              training.initial.empty() ? "" : "; initializes ", names(training.initial).c_str());
}

void show_summary(const Subject& s) {
  show_versions(s.versions);
  print_metadata(s.original);
  if (s.training) show_training(*s.training);
  for (const std::string& what : s.original.ignored)
    std::printf("ignored            %s\n", what.c_str());
  const Model& model = *s.model;
  for (size_t i = 0; i < model.input_count(); ++i) {
    std::printf("input   %s  %s\n", printable(model.input(i).name).c_str(),
                model.input(i).type.text().c_str());
  }
  for (size_t i = 0; i < model.output_count(); ++i) {
    std::printf("output  %s  %s\n", printable(model.output_name(i)).c_str(),
                model.output_type(i).text().c_str());
  }
  const Counts before = count(s.original), after = count(model.graph());
  std::printf("parameters     %lld (%.2f MB)\n", static_cast<long long>(before.parameters),
              static_cast<double>(before.parameter_bytes) / 1e6);
  show_work(s);
  std::printf("nodes          %lld, optimized to %lld:\n", static_cast<long long>(before.nodes),
              static_cast<long long>(after.nodes));
  show_ops(after);
}

Json summary_json(const Subject& s) {
  const Counts before = count(s.original), after = count(s.model->graph());
  Json json = {{"ir_version", s.versions.ir_version},
               {"opsets", s.versions.opsets},
               {"nodes", before.nodes},
               {"nodes_optimized", after.nodes},
               {"parameters", before.parameters},
               {"parameter_bytes", before.parameter_bytes},
               {"metadata", metadata_of(s.original)},
               {"inputs", Json::array()},
               {"outputs", Json::array()},
               {"ops", before.ops},
               {"ops_optimized", after.ops},
               {"ignored", s.original.ignored}};
  for (size_t i = 0; i < s.model->input_count(); ++i) {
    json["inputs"].push_back(type_json(s.model->input(i).name, s.model->input(i).type));
  }
  for (size_t i = 0; i < s.model->output_count(); ++i) {
    json["outputs"].push_back(type_json(s.model->output_name(i), s.model->output_type(i)));
  }
  if (s.training)
    json["training"] = {{"updates", s.training->updates}, {"initial", s.training->initial}};
  json.update(work_json(s));
  return json;
}

// Adds a part of --show to the JSON, or prints it.
void show_part(const std::string& part, const Subject& s, const PlanInfo& planned, Json* json) {
  if (part == "passes") {
    if (json == nullptr) return show_passes(s.model->report());
    (*json)["passes"] = passes_json(s.model->report());
  } else if (part == "memory") {
    if (json == nullptr) return show_memory(planned.memory);
    (*json)["memory"] = {{"arena", planned.memory.arena_bytes},
                         {"weights", planned.memory.constant_bytes},
                         {"packed", planned.memory.packed_bytes}};
  } else if (part == "ops") {
    if (json == nullptr) show_ops(count(s.original));  // the JSON has them anyway,
  } else if (part == "metadata") {
    if (json == nullptr) print_metadata(s.original);  // and these
  } else if (part == "weights") {
    if (json == nullptr) return print_weights(s.original);
    (*json)["weights"] = weights_json(s.original);
  } else if (part == "attrs") {
    if (json == nullptr) return print_attributes(s.original);
    (*json)["attributes"] = attributes_json(s.original);
  } else {
    if (json == nullptr) return show_steps(planned.steps, part == "placement");
    (*json)["steps"] = Json::array();
    for (const StepInfo& step : planned.steps) (*json)["steps"].push_back(step_json(step));
  }
}

}  // namespace

int run_inspect(const Args& args) {
  const std::vector<std::string> parts = args.list("show");
  bool steps = false;
  for (const std::string& part : parts) {
    if (!is_among(kParts, part)) {
      std::string list;
      for (const std::string& known : kParts) list += " " + known;
      throw UsageError(cat("--show: '", part, "' is none of:", list));
    }
    steps = steps || is_among(kPlanned, part);
  }
  const Subject s = subject_of(args);
  if (args.has("dot")) write_file(args.text("dot"), dot_text(s.model->graph()));
  const PlanInfo planned = steps ? plan(s, args) : PlanInfo{};
  Json json = args.has("json") ? summary_json(s) : Json();
  for (const std::string& part : parts) {
    if (parts.size() > 1 && !args.has("json")) std::printf("-- %s\n", part.c_str());
    show_part(part, s, planned, args.has("json") ? &json : nullptr);
  }
  if (args.has("json")) {
    print_json(json);
  } else if (parts.empty()) {
    show_summary(s);
  }
  return kExitOk;
}

}  // namespace treadle::tool
