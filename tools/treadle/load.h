// Models by the flags that every subcommand understands in the same way.
#pragma once

#include <memory>
#include <string>

#include "importer/importer.h"
#include "runtime/runtime.h"
#include "tools/treadle/command.h"

namespace treadle::tool {

// --overridable and --plugin.
LoadOptions load_options(const Args& args);
// By these options. ModelError where it exceeds a limit.
Graph load_graph(const std::string& path, const Args& args);
// --pass, --skip-pass (UsageError for an unknown one), --stop-after, --fold-limit.
OptimizeOptions optimize_options(const Args& args);
// The passes that a flag names; UsageError for one that there is not.
std::vector<std::string> named_passes(const Args& args, const char* flag);
// --device, --no-fallback, --no-optimize and those above.
ModelOptions model_options(const Args& args);
// Makes every tensor that the graph computes an output, in the order in which they are computed.
void expose_all(Graph& graph);
// With every tensor that is there after optimizing as an output.
std::shared_ptr<const Model> create_exposed(Graph graph, ModelOptions options);
std::shared_ptr<const Model> load_model(const std::string& path, const Args& args);
std::vector<std::string> output_names(const Model& model);
// --threads.
SessionOptions session_options(const Args& args);

}  // namespace treadle::tool
