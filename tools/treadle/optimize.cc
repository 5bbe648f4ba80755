// treadle optimize: writes the optimized model as standard ONNX, checked against the original.
#include <cstdio>
#include <filesystem>

#include "importer/importer.h"
#include "tools/treadle/inputs.h"
#include "tools/treadle/json.h"

namespace treadle::tool {
namespace {

// The largest difference between two models' outputs on seeded input. Input that the original
// cannot run (random indices, sizes of 1 where a dimension is symbolic) checks nothing, and is said
// on stderr.
Difference check(const std::shared_ptr<const Model>& before,
                 const std::shared_ptr<const Model>& after, const Args& args) {
  const std::vector<Value> inputs = gather_inputs(*before, args, true);
  Session a(before, session_options(args)), b(after, session_options(args));
  std::vector<Value> want(before->output_count()), got(after->output_count());
  try {
    a.run_into(inputs, want);
  } catch (const Error& e) {
    std::fprintf(stderr,
                 "treadle optimize: not checked, the original does not run on random input: %s "
                 "(see --input)\n",
                 e.what());
    return {};
  }
  b.run_into(inputs, got);
  Difference worst;
  for (size_t i = 0; i < want.size(); ++i) {
    Difference d =
        compare_values(got[i], want[i], args.number("rtol", 1e-3), args.number("atol", 1e-4));
    if (!d.equal) d.text = cat("output '", before->output_name(i), "': ", d.text);
    const bool worse = (worst.equal && !d.equal) ||
                       (worst.equal == d.equal && d.worst_absolute > worst.worst_absolute);
    if (worse) worst = d;
  }
  return worst;
}

}  // namespace

int run_optimize(const Args& args) {
  const Graph original = load_graph(args.positional[0], args);
  for (const std::string& what : original.ignored)
    std::fprintf(stderr, "treadle optimize: not kept: %s\n", what.c_str());
  Graph graph = original.clone();
  const OptimizeReport report = optimize(graph, model_options(args).passes);
  SaveOptions options;
  options.opset = args.integer("opset", 0);
  options.external_data = args.has("external-data");
  Difference difference;
  if (!args.has("no-check")) {
    ModelOptions raw;
    raw.optimize = false;
    raw.device = "cpu";
    difference =
        check(Model::create(original.clone(), raw), Model::create(graph.clone(), raw), args);
    TREADLE_CHECK(
        difference.equal, kInternal,
        "the optimized model differs from the original, nothing was written: ", difference.text);
  }
  save(graph, args.positional[1], options);
  if (args.has("json")) {
    print_json({{"nodes_before", report.nodes_before},
                {"nodes_after", report.nodes_after},
                {"worst_absolute", difference.worst_absolute}});
  } else {
    std::printf("%zu nodes -> %zu, max error against the original %.3g\n", report.nodes_before,
                report.nodes_after, difference.worst_absolute);
  }
  return kExitOk;
}

}  // namespace treadle::tool
