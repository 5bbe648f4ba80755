// treadle grad: writes the gradient of a model as standard ONNX, and compares it with differences.
#include "tools/treadle/grad.h"

#include <cstdio>

#include "importer/importer.h"
#include "tools/treadle/inputs.h"
#include "tools/treadle/json.h"
#include "training/autodiff.h"
#include "training/differences.h"

namespace treadle::tool {
namespace {

// The first gradient, and for --order 2 that of its products with directions, which are inputs of
// the result.
struct Derivative {
  Graph graph;
  // What the last differentiation was asked for, of which graph.
  GradientRequest request;
  Graph of;
};

GradientRequest request_of(const Graph& graph, const Args& args) {
  GradientRequest request;
  request.operators = load_options(args).operators;
  request.wrt = args.list("wrt");
  request.outputs = args.list("of");
  request.keep_outputs = args.has("keep-outputs");
  if (request.wrt.empty()) throw UsageError("--wrt: the values to differentiate for are missing");
  for (const GraphOutput& o : graph.outputs()) {
    const Type& type = graph.value(o.value).type;
    if (!args.has("of") && type.is_tensor() && is_float(type.dtype)) {
      request.outputs.push_back(o.name);
    }
  }
  if (request.outputs.empty()) throw UsageError("--of: the model has no output of floats");
  return request;
}

// The outputs from `first` on under names of their own.
void rename_outputs(Graph& graph, size_t first, const char* prefix,
                    const std::vector<std::string>& names) {
  const std::vector<GraphOutput> old = graph.outputs();
  while (graph.outputs().size() > first) graph.remove_output(graph.outputs().size() - 1);
  for (size_t i = 0; i < names.size(); ++i)
    graph.add_output(prefix + names[i], old[first + i].value);
}

Derivative differentiate(const Graph& graph, const Args& args) {
  const GradientRequest request = request_of(graph, args);
  const int64_t order = args.integer("order", 1, 1);
  if (order > 2) throw UsageError(cat("--order: ", order, " is above 2"));
  if (order == 1) return {autodiff(graph, request), request, graph.clone()};
  GradientRequest once = request;
  once.keep_outputs = false;
  once.zero_unreachable = true;
  Graph first = autodiff(graph, once);
  GradientRequest twice;
  twice.wrt = request.wrt;
  twice.zero_unreachable = true;
  twice.keep_outputs = true;
  for (const std::string& name : request.wrt) {
    twice.outputs.push_back("grad_" + name);
    twice.seeds.push_back("direction_" + name);
  }
  Graph second = autodiff(first, twice);
  rename_outputs(second, twice.outputs.size(), "grad2_", request.wrt);
  return {std::move(second), twice, std::move(first)};
}

// Inputs by flags or made up: of the model, then the directions of a second derivative.
std::vector<Value> inputs_for(const Derivative& d, const Args& args) {
  ModelOptions options;
  options.optimize = false;
  const auto model = Model::create(d.graph.clone(), options);
  return gather_inputs(*model, args, Missing::kGuess);
}

Json difference_json(const GradientDifference& d) {
  return {{"wrt", d.wrt},
          {"gradient", d.gradient},
          {"difference", d.difference},
          {"relative", d.relative}};
}

bool report(const std::vector<GradientDifference>& list, const Args& args, Json& json) {
  const double tolerance = args.positive("tolerance", 1e-5);
  bool agree = true;
  for (const GradientDifference& d : list) {
    const bool same = d.relative <= tolerance;  // false for NaN
    agree = agree && same;
    json["checked"].push_back(difference_json(d));
    if (args.has("json")) continue;
    std::printf("%s  %s: along a random direction %.9g, by differences %.9g (relative %.1e)\n",
                same ? "agrees" : "DIFFERS", d.wrt.c_str(), d.gradient, d.difference, d.relative);
  }
  return agree;
}

}  // namespace

int run_grad(const Args& args) {
  const Graph graph = load_graph(args.positional[0], args);
  const Derivative d = differentiate(graph, args);
  Json json = {{"nodes", d.graph.node_count()}, {"outputs", Json::array()}};
  for (const GraphOutput& o : d.graph.outputs()) json["outputs"].push_back(o.name);
  bool agree = true;
  if (args.has("check")) {
    json["checked"] = Json::array();
    const auto seed = static_cast<uint64_t>(args.integer("seed", 0));
    agree =
        report(compare_with_differences(d.of, d.request, inputs_for(d, args), seed), args, json);
  }
  SaveOptions options;
  options.opset = args.integer("opset", 0, 1);
  options.external_data = args.has("external-data");
  if (agree) save(d.graph, args.positional[1], options);
  json["written"] = agree;
  if (args.has("json")) {
    print_json(json);
  } else if (agree) {
    std::printf("%zu nodes -> %s\n", d.graph.node_count(), args.positional[1].c_str());
  } else {
    std::printf("nothing was written\n");
  }
  return agree ? kExitOk : kExitDiffers;
}

}  // namespace treadle::tool
