#include "tools/treadle/load.h"

#include <algorithm>

#include "graph/base/suggestion.h"
#include "runtime/plugins/plugins.h"
#include "training/gradient_nodes.h"

namespace treadle::tool {
namespace {

// A limit that is reached while a model is loaded is the model's fault, not the input data's.
template <class F>
auto of_model(F&& f) {
  try {
    return f();
  } catch (const Error& e) {
    if (e.code() == Code::kLimit) throw ModelError(e);
    throw;
  }
}

}  // namespace

std::vector<std::string> named_passes(const Args& args, const char* flag) {
  const std::vector<std::string> known = pass_names();
  const std::vector<std::string> given = args.list(flag);
  for (const std::string& pass : given) {
    if (std::find(known.begin(), known.end(), pass) != known.end()) continue;
    std::string list;
    for (const std::string& name : known) list += " " + name;
    throw UsageError(cat("--", flag, ": '", pass, "' is no pass", suggestion(pass, known, "."),
                         " The passes are:", list));
  }
  return given;
}

LoadOptions load_options(const Args& args) {
  LoadOptions options;
  for (const std::string& name : args.list("overridable")) options.overridable.insert(name);
  auto operators = std::make_shared<AddedOps>();
  for (const std::string& plugin : args.all("plugin")) load_plugin(*operators, plugin);
  options.operators = std::move(operators);
  return options;
}

Graph load_graph(const std::string& path, const Args& args) {
  const LoadOptions options = load_options(args);
  return of_model([&] {
    Graph graph = load(path, options);
    expand_gradient_nodes(graph, options.operators);
    return graph;
  });
}

OptimizeOptions optimize_options(const Args& args) {
  OptimizeOptions options;
  for (const std::string& pass : named_passes(args, "skip-pass")) options.skip.insert(pass);
  const std::vector<std::string> only = named_passes(args, "pass");
  for (const std::string& pass : pass_names()) {
    const bool wanted = only.empty() || std::find(only.begin(), only.end(), pass) != only.end();
    if (!wanted) options.skip.insert(pass);
  }
  options.stop_after = args.integer("stop-after", -1);
  options.fold_growth = args.integer("fold-limit", options.fold_growth);
  return options;
}

ModelOptions model_options(const Args& args) {
  ModelOptions options;
  options.device = args.text("device", "cpu");
  options.fallback = !args.has("no-fallback");
  options.optimize = !args.has("no-optimize");
  options.winograd = !args.has("no-winograd");
  options.passes = optimize_options(args);
  return options;
}

void expose_all(Graph& graph) {
  while (!graph.outputs().empty()) graph.remove_output(graph.outputs().size() - 1);
  for (NodeId id : graph.topological_order()) {
    for (ValueId v : graph.node(id).outputs) {
      if (v.valid() && graph.value(v).type.is_tensor()) graph.add_output(graph.value(v).name, v);
    }
  }
}

std::shared_ptr<const Model> create_exposed(Graph graph, ModelOptions options) {
  if (options.optimize) optimize(graph, options.passes);
  options.optimize = false;  // with all tensors outputs, little could be fused
  expose_all(graph);
  return of_model([&] { return Model::create(std::move(graph), options); });
}

std::shared_ptr<const Model> load_model(const std::string& path, const Args& args) {
  const ModelOptions options = model_options(args);
  Graph graph = load_graph(path, args);
  return of_model([&] { return Model::create(std::move(graph), options); });
}

std::vector<std::string> output_names(const Model& model) {
  std::vector<std::string> names;
  for (size_t i = 0; i < model.output_count(); ++i) names.push_back(model.output_name(i));
  return names;
}

SessionOptions session_options(const Args& args) {
  const int64_t threads = args.integer("threads", 0, 1);
  if (threads > 1024) throw UsageError(cat("--threads: ", threads, " is above 1024"));
  return {static_cast<int>(threads)};
}

}  // namespace treadle::tool
