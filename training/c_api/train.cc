// The C API of training (include/treadle/train.h) over Trainer.
#include "treadle/train.h"

#include <algorithm>
#include <functional>
#include <string>

#include "importer/importer.h"
#include "runtime/plugins/plugins.h"
#include "training/c_api/calls.h"
#include "training/checkpoint.h"
#include "training/settings.h"

using treadle::NamedValue;
using treadle::Trainer;
using treadle::Variable;
using treadle::c_api::Call;
using treadle::c_api::CallKind;
using treadle::c_api::guarded;
using treadle::c_api::require;

treadle_trainer::treadle_trainer(treadle::Graph model, const treadle_train_options* options)
    : trainer(std::move(model), options != nullptr ? options->options : treadle::TrainerOptions{}),
      output_names(trainer.output_names()) {
  for (const Trainer::Input& input : trainer.inputs()) {
    input_types.push_back(treadle::c_api::type_text(input.type));
  }
}

namespace {

std::span<const NamedValue> batch_of(treadle_trainer& trainer, const char* const* names,
                                     const treadle_value* const* values, size_t count) {
  treadle::c_api::check_given(trainer.trainer, "the batch holds", names, values, count);
  trainer.batch.resize(count);
  for (size_t i = 0; i < count; ++i) {
    trainer.batch[i].name = names[i];
    trainer.batch[i].value = values[i]->value;
  }
  return trainer.batch;
}

treadle::LoadOptions load_options(const treadle_train_options* options) {
  treadle::LoadOptions load;
  if (options != nullptr) load.operators = options->options.joint.operators;
  return load;
}

void add_plugins(treadle::TrainerOptions& options, std::string_view paths) {
  treadle::change_operators(options.joint.operators, [&](treadle::AddedOps& ops) {
    while (!paths.empty()) {
      const size_t comma = std::min(paths.find(','), paths.size());
      if (comma > 0) load_plugin(ops, paths.substr(0, comma));
      paths.remove_prefix(std::min(comma + 1, paths.size()));
    }
  });
}

void put_result(treadle_step_result* to, const treadle::StepResult& result) {
  if (to == nullptr) return;
  const treadle_step_result made = {sizeof made, result.loss, result.rate, result.norm,
                                    result.updated ? 1 : 0};
  treadle::write_struct(made, sizeof made, "treadle_step_result", to);
}

treadle_status create(treadle_trainer** trainer, const treadle_train_options* options,
                      const std::function<treadle::Graph()>& load) {
  return guarded([&] {
    require(trainer, "trainer");
    *trainer = new treadle_trainer(load(), options);
  });
}

std::function<void(const std::string&, treadle::Tensor&)> hook_of(treadle_hook hook, void* user) {
  return [hook, user](const std::string& name, treadle::Tensor& tensor) {
    treadle_value value{tensor};
    TREADLE_CHECK(hook(user, name.c_str(), &value) == 0, kCancelled, "the hook on '", name,
                  "' ended the step");
  };
}

const char* text_at(const std::vector<std::string>& texts, size_t index) {
  return index < texts.size() ? texts[index].c_str() : nullptr;
}

}  // namespace

extern "C" {

treadle_status treadle_train_options_create(treadle_train_options** options) {
  return guarded([&] {
    require(options, "options");
    *options = new treadle_train_options;
  });
}
void treadle_train_options_release(treadle_train_options* options) { delete options; }
treadle_status treadle_train_options_set(treadle_train_options* options, const char* key,
                                         const char* value) {
  return guarded([&] {
    require(options, "options");
    require(key, "key");
    require(value, "value");
    if (std::string_view(key) == "plugins") return add_plugins(options->options, value);
    set_train_setting(options->options, key, value);
  });
}

treadle_status treadle_train_options_add_op(treadle_train_options* options, const treadle_op* op) {
  return guarded([&] {
    require(options, "options");
    require(op, "op");
    treadle::change_operators(options->options.joint.operators,
                              [&](treadle::AddedOps& ops) { add_op(ops, *op); });
  });
}

treadle_status treadle_train_options_add_hook(treadle_train_options* options, const char* name,
                                              treadle_hook hook, void* user) {
  return guarded([&] {
    require(options, "options");
    require(name, "name");
    require(reinterpret_cast<const void*>(hook), "hook");
    options->options.joint.hooks.push_back({name, hook_of(hook, user)});
  });
}

treadle_status treadle_trainer_create(const char* model_path, const treadle_train_options* options,
                                      treadle_trainer** trainer) {
  return create(trainer, options, [&] {
    require(model_path, "model_path");
    return treadle::load(model_path, load_options(options));
  });
}
treadle_status treadle_trainer_create_memory(const void* model, size_t size,
                                             const treadle_train_options* options,
                                             treadle_trainer** trainer) {
  return create(trainer, options, [&] {
    require(model, "model");
    return treadle::load_bytes({static_cast<const std::byte*>(model), size}, "",
                               load_options(options));
  });
}
void treadle_trainer_release(treadle_trainer* trainer) { delete trainer; }

const char* treadle_trainer_warning(const treadle_trainer* trainer, size_t index) {
  if (trainer == nullptr || index >= trainer->trainer.warnings().size()) return nullptr;
  return trainer->trainer.warnings()[index].c_str();
}

const char* treadle_trainer_input_name(const treadle_trainer* trainer, size_t index) {
  if (trainer == nullptr || index >= trainer->trainer.inputs().size()) return nullptr;
  return trainer->trainer.inputs()[index].name.c_str();
}
treadle_status treadle_trainer_input_type(const treadle_trainer* trainer, size_t index,
                                          treadle_type* type) {
  return guarded([&] {
    require(trainer, "trainer");
    const auto& inputs = trainer->trainer.inputs();
    TREADLE_CHECK(index < inputs.size(), kInvalidArgument, "input ", index, " of ", inputs.size());
    treadle::c_api::fill_type(inputs[index].type, trainer->input_types[index], type);
  });
}
const char* treadle_trainer_output_name(const treadle_trainer* trainer, size_t index) {
  return trainer == nullptr ? nullptr : text_at(trainer->output_names, index);
}

treadle_status treadle_trainer_step(treadle_trainer* trainer, const char* const* names,
                                    const treadle_value* const* values, size_t count,
                                    treadle_step_result* result) {
  return guarded([&] {
    require(trainer, "trainer");
    if (result != nullptr) put_result(result, {});
    const Call call(*trainer, CallKind::kTrains);
    put_result(result, trainer->trainer.step(batch_of(*trainer, names, values, count)));
  });
}

treadle_status treadle_trainer_accumulate(treadle_trainer* trainer, const char* const* names,
                                          const treadle_value* const* values, size_t count,
                                          treadle_step_result* result) {
  return guarded([&] {
    require(trainer, "trainer");
    if (result != nullptr) put_result(result, {});
    const Call call(*trainer, CallKind::kTrains);
    put_result(result, trainer->trainer.accumulate(batch_of(*trainer, names, values, count)));
  });
}
treadle_status treadle_trainer_apply(treadle_trainer* trainer, double factor,
                                     treadle_step_result* result) {
  return guarded([&] {
    require(trainer, "trainer");
    if (result != nullptr) put_result(result, {});
    const Call call(*trainer, CallKind::kTrains);
    put_result(result, trainer->trainer.apply(factor));
  });
}
treadle_status treadle_trainer_zero(treadle_trainer* trainer) {
  return guarded([&] {
    require(trainer, "trainer");
    const Call call(*trainer, CallKind::kTrains);
    trainer->trainer.zero();
  });
}

treadle_status treadle_trainer_eval(treadle_trainer* trainer, const char* const* names,
                                    const treadle_value* const* values, size_t count, double* loss,
                                    treadle_value** outputs, size_t output_count) {
  return guarded([&] {
    require(trainer, "trainer");
    if (output_count > 0) require(outputs, "outputs");
    const size_t most = trainer->trainer.model().outputs().size();
    TREADLE_CHECK(output_count <= most, kInvalidArgument, output_count,
                  " outputs are asked for, the model has ", most);
    const Call call(*trainer);
    Trainer::EvalResult result = trainer->trainer.eval(batch_of(*trainer, names, values, count));
    std::vector<std::unique_ptr<treadle_value>> made;
    for (size_t i = 0; i < output_count; ++i) {
      made.push_back(std::make_unique<treadle_value>(treadle_value{std::move(result.outputs[i])}));
    }
    for (size_t i = 0; i < output_count; ++i) outputs[i] = made[i].release();
    if (loss != nullptr) *loss = result.loss;
  });
}

treadle_status treadle_trainer_fetched(const treadle_trainer* trainer, const char* name,
                                       treadle_value** value) {
  return guarded([&] {
    require(trainer, "trainer");
    require(name, "name");
    require(value, "value");
    const Call call(*trainer);
    *value = new treadle_value{trainer->trainer.fetched(name).tensor().clone()};
  });
}

int64_t treadle_trainer_steps(const treadle_trainer* trainer) {
  return trainer == nullptr ? 0 : trainer->trainer.progress().steps;
}
double treadle_trainer_rate(const treadle_trainer* trainer) {
  return trainer == nullptr ? 0 : trainer->trainer.rate();
}
treadle_status treadle_trainer_set_rate(treadle_trainer* trainer, double rate) {
  return guarded([&] {
    require(trainer, "trainer");
    const Call call(*trainer);
    trainer->trainer.set_rate(rate < 0 ? std::nullopt : std::optional<double>(rate));
  });
}
treadle_status treadle_trainer_measured(treadle_trainer* trainer, double value) {
  return guarded([&] {
    require(trainer, "trainer");
    const Call call(*trainer);
    trainer->trainer.measured(value);
  });
}

const char* treadle_trainer_parameter_name(const treadle_trainer* trainer, size_t index) {
  if (trainer == nullptr) return nullptr;
  const std::vector<Variable>& all = trainer->trainer.variables();
  const bool is_one = index < all.size() && all[index].role == Variable::Role::kParameter;
  return is_one ? all[index].name.c_str() : nullptr;  // parameters come first
}
treadle_status treadle_trainer_get(const treadle_trainer* trainer, const char* name,
                                   treadle_value** value) {
  return guarded([&] {
    require(trainer, "trainer");
    require(name, "name");
    require(value, "value");
    const Call call(*trainer);
    *value = new treadle_value{trainer->trainer.variable(name).clone()};
  });
}
treadle_status treadle_trainer_set(treadle_trainer* trainer, const char* name,
                                   const treadle_value* value) {
  return guarded([&] {
    require(trainer, "trainer");
    require(name, "name");
    require(value, "value");
    const Call call(*trainer);
    TREADLE_CHECK(value->value.is_tensor(), kInvalidArgument, "the value given for '", name,
                  "' is no tensor");
    trainer->trainer.set_variable(name, value->value.tensor());
  });
}

size_t treadle_trainer_parameter_count(const treadle_trainer* trainer) {
  return trainer == nullptr ? 0 : static_cast<size_t>(trainer->trainer.parameter_count());
}
treadle_status treadle_trainer_get_parameters(const treadle_trainer* trainer, float* to,
                                              size_t count) {
  return guarded([&] {
    require(trainer, "trainer");
    require(to, "to");
    const Call call(*trainer);
    trainer->trainer.get_parameters({to, count});
  });
}
treadle_status treadle_trainer_set_parameters(treadle_trainer* trainer, const float* from,
                                              size_t count) {
  return guarded([&] {
    require(trainer, "trainer");
    require(from, "from");
    const Call call(*trainer);
    trainer->trainer.set_parameters({from, count});
  });
}

treadle_status treadle_trainer_save(const treadle_trainer* trainer, const char* path) {
  return guarded([&] {
    require(trainer, "trainer");
    require(path, "path");
    const Call call(*trainer);
    write_checkpoint(checkpoint_of(trainer->trainer), path);
  });
}
treadle_status treadle_trainer_load(treadle_trainer* trainer, const char* path) {
  return guarded([&] {
    require(trainer, "trainer");
    require(path, "path");
    const Call call(*trainer, CallKind::kTrains);
    restore(trainer->trainer, treadle::read_checkpoint(path));
  });
}
treadle_status treadle_trainer_export(const treadle_trainer* trainer, const char* path,
                                      int32_t fold_batchnorm) {
  return guarded([&] {
    require(trainer, "trainer");
    require(path, "path");
    const Call call(*trainer);
    treadle::save(trainer->trainer.exported({.fold_batchnorm = fold_batchnorm != 0}), path);
  });
}

}  // extern "C"
