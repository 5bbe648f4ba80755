#include "runtime/plan.h"
#include "runtime/runtime.h"

namespace treadle {

Model::Model() = default;
Model::~Model() = default;

std::shared_ptr<const Model> Model::create(Graph graph, const ModelOptions& options) {
  std::shared_ptr<Model> model(new Model());
  std::string why_not;
  model->options_ = options;
  model->backend_ = find_backend(options.device, &why_not);
  TREADLE_CHECK(model->backend_ != nullptr, kDevice, why_not);
  if (options.optimize) model->report_ = optimize(graph, options.passes);
  model->graph_ = std::move(graph);
  model->plans_ = std::make_unique<PlanCache>(options.plan_cache);
  return model;
}

namespace {

[[noreturn]] void unknown_name(std::string_view what, std::string_view name,
                               const std::vector<std::string>& names) {
  std::string list;
  for (const std::string& n : names) list += (list.empty() ? "'" : ", '") + n + "'";
  const std::string near = close_match(name, names);
  fail(Code::kInvalidArgument, "the model has no ", what, " '", name, "'",
       near.empty() ? "; it has " + list : "; did you mean '" + near + "'?");
}

}  // namespace

size_t Model::find_input(std::string_view name) const {
  std::vector<std::string> names;
  for (size_t i = 0; i < input_count(); ++i) {
    if (input(i).name == name) return i;
    names.push_back(input(i).name);
  }
  unknown_name("input", name, names);
}

size_t Model::find_output(std::string_view name) const {
  std::vector<std::string> names;
  for (size_t i = 0; i < output_count(); ++i) {
    if (output_name(i) == name) return i;
    names.push_back(output_name(i));
  }
  unknown_name("output", name, names);
}

}  // namespace treadle
