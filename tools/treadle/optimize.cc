// treadle optimize: writes the optimized model as standard ONNX, checked against the original.
#include <cstdio>
#include <optional>
#include <span>

#include "importer/importer.h"
#include "tools/treadle/inputs.h"
#include "tools/treadle/json.h"
#include "tools/treadle/tolerance.h"

namespace treadle::tool {
namespace {

std::shared_ptr<const Model> unchanged(const Graph& graph) {
  ModelOptions options;
  options.optimize = false;
  return Model::create(graph.clone(), options);
}

// The graph as it will be read from the file. Above 2 GB, where a model has no bytes without files
// beside it, the graph as it is.
Graph as_written(const Graph& graph, SaveOptions options, const Args& args) {
  options.external_data = false;
  try {
    const std::string bytes = save_bytes(graph, options);
    return load_bytes(std::as_bytes(std::span(bytes)), {}, load_options(args));
  } catch (Error& e) {
    if (e.code() == Code::kLimit) return graph.clone();
    e.add_context(cat("writing '", args.positional[1], "'"));
    throw;
  }
}

struct Check {
  std::optional<Difference> difference;  // none: nothing was compared,
  std::string why;                       // for this reason
};

// Both models' outputs on the same input. Input that the original cannot run (random indices, sizes
// of 1 where a dimension is symbolic) checks nothing.
Check check_equal(const Graph& original, const Graph& optimized, const Args& args) {
  const auto before = unchanged(original), after = unchanged(optimized);
  const Tolerances tolerances(args, output_names(*before));
  Session a(before, session_options(args)), b(after, session_options(args));
  std::vector<Value> want(before->output_count()), got(after->output_count()), inputs;
  try {
    inputs = gather_inputs(*before, args, Missing::kGuess);
    run_model(a, args, inputs, want);
  } catch (const Error& e) {
    if (args.has("input")) throw;
    return {std::nullopt, cat("the original does not run on made-up input: ", e.what())};
  }
  run_model(b, args, inputs, got);
  Difference worst;
  for (size_t i = 0; i < want.size(); ++i) {
    const std::string& name = before->output_name(i);
    worst.merge(tolerances.compare(name, got[i], want[i]), cat("output '", name, "'"));
  }
  return {worst, ""};
}

}  // namespace

int run_optimize(const Args& args) {
  const OptimizeOptions passes = optimize_options(args);
  SaveOptions options;
  options.opset = args.integer("opset", 0, 1);
  options.external_data = args.has("external-data");
  const Graph original = load_graph(args.positional[0], args);
  for (const std::string& what : original.ignored)
    std::fprintf(stderr, "treadle optimize: not kept: %s\n", what.c_str());
  Graph graph = original.clone();
  const OptimizeReport report = optimize(graph, passes);
  const bool unchecked = args.has("no-check");
  const Check check = unchecked ? Check{std::nullopt, "--no-check"}
                                : check_equal(original, as_written(graph, options, args), args);
  const bool differs = check.difference && !check.difference->equal;
  if (!differs) save(graph, args.positional[1], options);
  if (args.has("json")) {
    Json json = {{"nodes_before", report.nodes_before},
                 {"nodes_after", report.nodes_after},
                 {"written", !differs},
                 {"checked", check.difference.has_value()},
                 {"worst_absolute", nullptr}};
    if (check.difference) json["worst_absolute"] = check.difference->worst_absolute;
    json["reason"] = differs ? check.difference->text : check.why;
    print_json(json);
  } else if (differs) {
    std::printf("DIFFER, nothing was written: %s\n", check.difference->text.c_str());
  } else {
    std::printf("%zu nodes -> %zu, %s\n", report.nodes_before, report.nodes_after,
                check.difference ? cat("checked: max error against the original ",
                                       check.difference->worst_absolute)
                                       .c_str()
                                 : cat("not checked (", check.why, ")").c_str());
  }
  return differs ? kExitDiffers : kExitOk;
}

}  // namespace treadle::tool
