// treadle optimize: writes the optimized model as standard ONNX, checked against the original.
#include <cstdio>
#include <optional>
#include <span>

#include "graph/text.h"
#include "importer/importer.h"
#include "tools/treadle/inputs.h"
#include "tools/treadle/json.h"
#include "tools/treadle/shapes.h"
#include "tools/treadle/tolerance.h"

namespace treadle::tool {
namespace {

constexpr int64_t kElementsShown = 16;  // of a constant that is printed

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

// The graph as it is after a pass: those behind it left out.
std::string text_after(const std::string& last, const Graph& original, OptimizeOptions options) {
  bool behind = false;
  for (const std::string& pass : pass_names()) {
    if (behind) options.skip.insert(pass);
    behind = behind || pass == last;
  }
  Graph graph = original.clone();
  optimize(graph, options);
  PrintOptions shown;
  shown.types = true;
  shown.max_elements = kElementsShown;
  return print(graph, shown);
}

// Texts by pass, of --print-after.
Json printed_passes(const Graph& original, const OptimizeOptions& options, const Args& args) {
  Json texts = Json::object();
  for (const std::string& pass : named_passes(args, "print-after")) {
    texts[pass] = text_after(pass, original, options);
    if (!args.has("json"))
      std::printf("# after %s\n%s\n", pass.c_str(), texts[pass].get<std::string>().c_str());
  }
  return texts;
}

int list_passes(const Args& args) {
  if (args.has("json")) print_json({{"passes", pass_names()}});
  for (const std::string& pass : pass_names()) {
    if (!args.has("json")) std::puts(pass.c_str());
  }
  return kExitOk;
}

Json report_json(const OptimizeReport& report, const Check& check) {
  const bool differs = check.difference && !check.difference->equal;
  Json json = {{"nodes_before", report.nodes_before},
               {"nodes_after", report.nodes_after},
               {"written", !differs},
               {"checked", check.difference.has_value()},
               {"worst_absolute", nullptr}};
  if (check.difference) json["worst_absolute"] = check.difference->worst_absolute;
  json["reason"] = differs ? check.difference->text : check.why;
  return json;
}

void print_report(const OptimizeReport& report, const Check& check) {
  if (check.difference && !check.difference->equal) {
    std::printf("DIFFER, nothing was written: %s\n", check.difference->text.c_str());
    return;
  }
  const std::string checked = check.difference ? cat("checked: max error against the original ",
                                                     check.difference->worst_absolute)
                                               : cat("not checked (", check.why, ")");
  std::printf("%zu nodes -> %zu, %s\n", report.nodes_before, report.nodes_after, checked.c_str());
}

}  // namespace

int run_optimize(const Args& args) {
  if (args.has("list-passes")) return list_passes(args);
  OptimizeOptions passes = optimize_options(args);
  const bool prints = !named_passes(args, "print-after").empty();
  if (args.positional.size() < (prints ? 1 : 2))
    throw UsageError(args.positional.empty() ? "IN is required" : "OUT is required");
  SaveOptions options;
  options.opset = args.integer("opset", 0, 1);
  options.external_data = args.has("external-data");
  Graph original = load_graph(args.positional[0], args);
  overwrite_input_shapes(original, args);
  const Json printed = printed_passes(original, passes, args);
  if (args.positional.size() < 2) {
    if (args.has("json")) print_json({{"after", printed}});
    return kExitOk;
  }
  for (const std::string& what : original.ignored)
    std::fprintf(stderr, "treadle optimize: not kept: %s\n", what.c_str());
  Graph graph = original.clone();
  passes.skip.insert("widen_halves");  // each load does it for its device; a file stays small
  const OptimizeReport report = optimize(graph, passes);
  const bool unchecked = args.has("no-check");
  const Check check = unchecked ? Check{std::nullopt, "--no-check"}
                                : check_equal(original, as_written(graph, options, args), args);
  const bool differs = check.difference && !check.difference->equal;
  if (!differs) save(graph, args.positional[1], options);
  if (args.has("json")) {
    Json json = report_json(report, check);
    if (prints) json["after"] = printed;
    print_json(json);
  } else {
    print_report(report, check);
  }
  return differs ? kExitDiffers : kExitOk;
}

}  // namespace treadle::tool
