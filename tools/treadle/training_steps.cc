// treadle run --training-steps: a model's own training (TrainingInfoProto), step by step.
#include "tools/treadle/training_steps.h"

#include <algorithm>
#include <cstdio>

#include "graph/ops/op.h"
#include "importer/training_info.h"
#include "tools/treadle/files.h"
#include "tools/treadle/inputs.h"
#include "tools/treadle/values.h"
#include "training/gradient_nodes.h"

namespace treadle::tool {
namespace {

// What the file says that weights begin with; those that no step changes are returned.
std::map<std::string, Tensor> initialize(TrainingStep& step) {
  std::map<std::string, Tensor> fixed;
  if (step.initial.empty()) return fixed;
  const std::vector<Value> outputs = evaluate(step.start, {});
  for (const auto& [name, output] : step.initial) {
    const auto& all = step.start.outputs();
    const auto at = std::ranges::find(all, output, &GraphOutput::name) - all.begin();
    const Tensor value = outputs.at(static_cast<size_t>(at)).tensor();
    const ValueId id = step.graph.find_value(name);
    if (step.updates.contains(name)) {
      step.graph.value(id).default_value = value;
    } else {
      fixed[name] = value;
      if (id.valid()) step.graph.set_constant(id, value);
    }
  }
  return fixed;
}

size_t position(const std::vector<std::string>& names, const std::string& name) {
  return static_cast<size_t>(std::ranges::find(names, name) - names.begin());
}

}  // namespace

int run_training_steps(const Args& args) {
  const std::string& path = args.positional[0];
  const int64_t count = args.integer("training-steps", 1, 1);
  const LoadOptions load = load_options(args);
  TrainingStep step = load_training_step(path, load);
  expand_gradient_nodes(step.graph, load.operators);
  std::map<std::string, Tensor> trained;
  if (!args.has("no-initialization")) trained = initialize(step);
  const auto model = Model::create(std::move(step.graph), model_options(args));
  std::vector<Value> inputs = gather_inputs(*model, args, Missing::kRefuse);
  Session session(model, session_options(args));
  const std::vector<std::string> names = output_names(*model);
  std::vector<std::string> takes;
  for (size_t i = 0; i < model->input_count(); ++i) takes.push_back(model->input(i).name);
  std::vector<Value> outputs;
  for (int64_t i = 0; i < count; ++i) {
    outputs.assign(names.size(), {});
    run_model(session, args, inputs, outputs);
    for (const auto& [name, output] : step.updates)
      inputs.at(position(takes, name)) = outputs.at(position(names, output));
  }
  for (const auto& [name, output] : step.updates)
    trained[name] = inputs.at(position(takes, name)).tensor();
  Json json = {{"steps", count}, {"outputs", Json::array()}};
  for (size_t i = 0; i < names.size(); ++i) {
    json["outputs"].push_back(value_json(names[i], outputs[i]));
    if (!args.has("json")) std::printf("%s  %s\n", names[i].c_str(), summary(outputs[i]).c_str());
  }
  if (args.has("save-model")) save_trained(path, args.text("save-model"), trained);
  if (args.has("json")) print_json(json);
  return kExitOk;
}

}  // namespace treadle::tool
