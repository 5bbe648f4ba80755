// treadle export: a run's model in inference form.
#include <cstdio>

#include "importer/importer.h"
#include "tools/treadle/training_run.h"
#include "training/fine_tuning.h"
#include "training/run/embed.h"

namespace treadle::tool {

int run_export(const Args& args) {
  Job job;
  const auto trainer = trainer_of_run(args.positional[0], job, args);
  Graph graph = trainer->exported(
      {.fold_batchnorm = args.has("fold-batchnorm"), .averaged = args.has("averaged")});
  merge_lora(graph);
  if (args.has("embed-preprocess")) embed_preprocess(graph);
  SaveOptions options;
  options.opset = args.integer("opset", 0, 7);
  save(graph, args.positional[1], options);
  const int64_t steps = trainer->progress().steps;
  if (args.has("json")) {
    print_json({{"out", args.positional[1]}, {"steps", steps}, {"nodes", graph.node_count()}});
  } else {
    std::printf("%s: %zu nodes, after %lld steps\n", args.positional[1].c_str(), graph.node_count(),
                static_cast<long long>(steps));
  }
  return kExitOk;
}

}  // namespace treadle::tool
