// treadle new: an untrained network.
#include <charconv>
#include <cstdio>

#include "importer/importer.h"
#include "tools/treadle/command.h"
#include "tools/treadle/json.h"
#include "training/new_models.h"

namespace treadle::tool {
namespace {

// "3x32x32" or "3,32,32".
std::vector<int64_t> sizes(const Args& args, std::string_view flag) {
  const std::string text = args.text(flag);
  std::vector<int64_t> out;
  for (const char* at = text.data(); at < text.data() + text.size();) {
    int64_t value = 0;
    const auto [end, error] = std::from_chars(at, text.data() + text.size(), value);
    if (error != std::errc() || (*end != '\0' && *end != 'x' && *end != ','))
      throw UsageError(cat("--", flag, ": '", text, "' is no list of sizes, as 1x28x28"));
    out.push_back(value);
    at = *end == '\0' ? end : end + 1;
  }
  return out;
}

int64_t parameter_total(const Graph& graph) {
  int64_t total = 0;
  for (const NodeId id : graph.topological_order()) {
    for (const ValueId v : graph.node(id).inputs) {
      if (v.valid() && graph.value(v).constant.dtype() == DType::kFloat)
        total += graph.value(v).constant.count();
    }
  }
  return total;
}

}  // namespace

int run_new(const Args& args) {
  NewModelOptions options;
  options.kind = args.positional[0];
  options.classes = args.integer("classes", options.classes, 1);
  options.input_shape = sizes(args, "input-shape");
  if (args.has("hidden")) options.hidden = sizes(args, "hidden");
  options.filters = args.integer("filters", 0);
  options.dropout = args.number("dropout", options.dropout);
  options.seed = static_cast<uint64_t>(args.integer("seed", 0));
  const Graph graph = new_model(options);
  save(graph, args.positional[1]);
  const std::string input = graph.value(graph.inputs()[0]).type.text();
  const int64_t total = parameter_total(graph);
  if (args.has("json")) {
    print_json({{"kind", options.kind}, {"input", input}, {"parameters", total}});
  } else {
    std::printf("%s: %s, %lld parameters\n", args.positional[1].c_str(), input.c_str(),
                static_cast<long long>(total));
  }
  return kExitOk;
}

}  // namespace treadle::tool
