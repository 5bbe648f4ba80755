// treadle run --training-steps: a model's own training (TrainingInfoProto), step by step.
#include "tools/treadle/training_steps.h"

#include <algorithm>
#include <cstdio>

#include "tools/treadle/files.h"
#include "tools/treadle/inputs.h"
#include "tools/treadle/values.h"
#include "training/gradient_nodes.h"
#include "training/training_step.h"

namespace treadle::tool {
namespace {

size_t position(const std::vector<std::string>& names, const std::string& name) {
  return static_cast<size_t>(std::ranges::find(names, name) - names.begin());
}

}  // namespace

std::optional<TrainingStep> own_training(const std::string& path, const Args& args,
                                         Graph& original) {
  const auto told = std::ranges::find_if(original.ignored, [](const std::string& what) {
    return what.starts_with("training information");
  });
  if (told == original.ignored.end()) return std::nullopt;
  try {
    TrainingStep step = load_training_step(path, load_options(args));
    original.ignored.erase(told);
    return step;
  } catch (const Error& e) {
    *told += cat(": ", e.text());
    return std::nullopt;
  }
}

int run_training_steps(const Args& args) {
  const std::string& path = args.positional[0];
  const int64_t count = args.integer("training-steps", 1, 1);
  const LoadOptions load = load_options(args);
  TrainingStep step = load_training_step(path, load);
  expand_gradient_nodes(step.graph, load.operators);
  if (!args.has("no-initialization")) initialize(step);
  std::map<std::string, Tensor> trained;
  for (const auto& [name, output] : step.initial)
    trained[name] = step.graph.value(step.graph.find_value(name)).default_value;
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
    for (const auto& [name, output] : step.updates) {
      Value& variable = inputs.at(position(takes, name));
      const Value& next = outputs.at(position(names, output));
      check_becomes(name, variable.tensor(), output, next);
      variable = next;
    }
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
