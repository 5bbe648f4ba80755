// Treadle's training for C++: RAII and exceptions over train.h. Header only; C++17.
//
//   treadle::Trainer trainer("model.onnx", {{"loss", "cross_entropy"}, {"optimizer", "adam"}});
//   for (...) loss = trainer.step({{"x", pictures}, {"target", classes}}).loss;
//   trainer.export_onnx("trained.onnx");
//
// What train.h says of names, options, threads and failures holds; errors are as in treadle.hpp.
#ifndef TREADLE_TRAIN_HPP
#define TREADLE_TRAIN_HPP

#include <treadle/train.h>

#include <exception>
#include <functional>
#include <treadle/treadle.hpp>

namespace treadle {
inline namespace api {

// Key and value pairs, as treadle_train_options_set lists them.
class TrainOptions {
 public:
  TrainOptions(std::initializer_list<std::pair<const char*, const char*>> list = {}) {
    treadle_train_options* made = nullptr;
    detail::check(treadle_train_options_create(&made));
    handle_.reset(made);
    for (const auto& [key, value] : list) set(key, value);
  }
  void set(const char* key, const char* value) {
    detail::check(treadle_train_options_set(handle_.get(), key, value));
  }
  // As Options::add_op.
  void add_op(const treadle_op& op) {
    detail::check(treadle_train_options_add_op(handle_.get(), &op));
  }
  // See treadle_train_options_add_hook. `hook` must not throw; `user` must outlive the trainers.
  void add_hook(const char* name, treadle_hook hook, void* user) {
    detail::check(treadle_train_options_add_hook(handle_.get(), name, hook, user));
  }
  const treadle_train_options* handle() const { return handle_.get(); }

 private:
  detail::Handle<treadle_train_options, treadle_train_options_release> handle_;
};

struct StepResult {
  double loss;   // of the batch, before the update
  double rate;   // the learning rate that was used
  double norm;   // of the gradients, where the option gradient_norm asks for it; else 0
  bool updated;  // false: gradients were added only, or overflowed under loss scaling
};

struct EvalResult {
  double loss;
  std::vector<Value> outputs;  // the model's first ones, as many as were asked for
};

struct FitOptions {
  int64_t epochs = 0;  // either this or steps is above 0
  int64_t steps = 0;
  int64_t batch = 32;
  uint64_t seed = 0;  // of the order
  bool in_order = false;
  bool drop_last = false;
  int32_t threads = 0;   // that prepare batches; 0: the trainer's own
  int64_t patience = 0;  // epochs without a better monitor that end the fit; 0: none do
  std::string monitor = "val_loss";
  std::string out;  // a folder for checkpoints, metrics and curves; "": nothing is kept
  bool resume = false;
  int64_t checkpoint_steps = 0;  // a checkpoint also every so many steps; 0: after epochs only
  // True: the fit ends after this step, and saves. What it throws, fit throws.
  std::function<bool(const treadle_event&)> on_event;
  const Cancel* cancel = nullptr;
};

// One call at a time.
class Trainer {
 public:
  explicit Trainer(const std::string& model_path, const TrainOptions& options = {}) {
    treadle_trainer* made = nullptr;
    detail::check(treadle_trainer_create(model_path.c_str(), options.handle(), &made));
    handle_.reset(made);
  }
  // The bytes of an ONNX file.
  Trainer(const void* model, size_t size, const TrainOptions& options = {}) {
    treadle_trainer* made = nullptr;
    detail::check(treadle_trainer_create_memory(model, size, options.handle(), &made));
    handle_.reset(made);
  }
  std::vector<std::string> warnings() const { return texts(treadle_trainer_warning); }
  std::vector<std::string> input_names() const { return texts(treadle_trainer_input_name); }
  std::vector<std::string> output_names() const { return texts(treadle_trainer_output_name); }
  std::vector<std::string> parameter_names() const { return texts(treadle_trainer_parameter_name); }

  StepResult step(const std::vector<Named>& batch) {
    return gradients(treadle_trainer_step, batch);
  }
  // The halves of a step, with the option accumulate "0".
  StepResult accumulate(const std::vector<Named>& batch) {
    return gradients(treadle_trainer_accumulate, batch);
  }
  StepResult apply(double factor) {
    return result_of(
        [&](treadle_step_result* r) { return treadle_trainer_apply(handle_.get(), factor, r); });
  }
  void zero() { detail::check(treadle_trainer_zero(handle_.get())); }
  // Inference form, no update.
  EvalResult eval(const std::vector<Named>& batch, size_t outputs = 0) {
    const detail::Arguments given(batch);
    EvalResult result{0, std::vector<Value>(outputs)};
    std::vector<treadle_value*> made(outputs, nullptr);
    detail::check(treadle_trainer_eval(handle_.get(), given.names.data(), given.values.data(),
                                       given.values.size(), &result.loss, made.data(), outputs));
    for (size_t i = 0; i < outputs; ++i) result.outputs[i] = Value(made[i]);
    return result;
  }
  Value fetched(const std::string& name) const { return value(treadle_trainer_fetched, name); }

  int64_t steps() const { return treadle_trainer_steps(handle_.get()); }
  double rate() const { return treadle_trainer_rate(handle_.get()); }
  void set_rate(double rate) { detail::check(treadle_trainer_set_rate(handle_.get(), rate)); }
  void measured(double value) { detail::check(treadle_trainer_measured(handle_.get(), value)); }

  // Copies of parameters, running statistics and the optimizer's slots.
  Value get(const std::string& name) const { return value(treadle_trainer_get, name); }
  void set(const std::string& name, const Value& value) {
    detail::check(treadle_trainer_set(handle_.get(), name.c_str(), value.handle()));
  }
  // All parameters as one buffer, in the order of their names.
  std::vector<float> parameters() const {
    std::vector<float> numbers(treadle_trainer_parameter_count(handle_.get()));
    detail::check(treadle_trainer_get_parameters(handle_.get(), numbers.data(), numbers.size()));
    return numbers;
  }
  void set_parameters(const std::vector<float>& numbers) {
    detail::check(treadle_trainer_set_parameters(handle_.get(), numbers.data(), numbers.size()));
  }

  void save(const std::string& path) const {
    detail::check(treadle_trainer_save(handle_.get(), path.c_str()));
  }
  void load(const std::string& path) {
    detail::check(treadle_trainer_load(handle_.get(), path.c_str()));
  }
  void export_onnx(const std::string& path, bool fold_batchnorm = false) const {
    detail::check(treadle_trainer_export(handle_.get(), path.c_str(), fold_batchnorm ? 1 : 0));
  }

  // A tensor [samples, …] for each input and the target; `val` may be empty.
  treadle_fit_result fit(const std::vector<Named>& train, const std::vector<Named>& val,
                         const FitOptions& options) {
    const detail::Arguments train_given(train), val_given(val);
    const treadle_samples train_samples = samples(train_given), val_samples = samples(val_given);
    return fit_by(options, [&](const treadle_fit_options& o, treadle_fit_result& result) {
      return treadle_trainer_fit(handle_.get(), &train_samples,
                                 val.empty() ? nullptr : &val_samples, &o, &result);
    });
  }
  // A file or folder, with fields as treadle_data has them.
  treadle_fit_result fit(const std::string& path,
                         const std::vector<std::pair<std::string, std::string>>& fields,
                         const FitOptions& options) {
    std::vector<const char*> keys, values;
    for (const auto& [key, value] : fields) {
      keys.push_back(key.c_str());
      values.push_back(value.c_str());
    }
    const treadle_data data = {sizeof data, path.c_str(), keys.data(), values.data(), keys.size()};
    return fit_by(options, [&](const treadle_fit_options& o, treadle_fit_result& result) {
      return treadle_trainer_fit_data(handle_.get(), &data, &o, &result);
    });
  }
  treadle_trainer* handle() const { return handle_.get(); }

 private:
  // An exception must not pass through the library: it ends the fit, which then throws it.
  struct Events {
    const FitOptions* options;
    std::exception_ptr thrown;
    static int32_t call(void* user, const treadle_event* event) {
      Events& self = *static_cast<Events*>(user);
      if (self.thrown) return 1;
      try {
        return self.options->on_event(*event) ? 1 : 0;
      } catch (...) {
        self.thrown = std::current_exception();
        return 1;
      }
    }
  };

  template <class F>
  static treadle_fit_result fit_by(const FitOptions& options, F&& call) {
    Events events{&options, nullptr};
    treadle_fit_options o = {};
    o.struct_size = sizeof o;
    o.epochs = options.epochs;
    o.steps = options.steps;
    o.batch = options.batch;
    o.seed = options.seed;
    o.in_order = options.in_order;
    o.drop_last = options.drop_last;
    o.threads = options.threads;
    o.patience = options.patience;
    o.monitor = options.monitor.c_str();
    o.out = options.out.empty() ? nullptr : options.out.c_str();
    o.resume = options.resume;
    o.checkpoint_steps = options.checkpoint_steps;
    o.on_event = options.on_event ? Events::call : nullptr;
    o.user = &events;
    o.cancel = options.cancel == nullptr ? nullptr : options.cancel->handle();
    treadle_fit_result result = {};
    result.struct_size = sizeof result;
    const treadle_status status = call(o, result);
    if (events.thrown) std::rethrow_exception(events.thrown);
    detail::check(status);
    return result;
  }
  static treadle_samples samples(const detail::Arguments& given) {
    return {given.names.data(), given.values.data(), given.values.size()};
  }
  template <class F>
  std::vector<std::string> texts(F&& of) const {
    std::vector<std::string> list;
    while (const char* text = of(handle_.get(), list.size())) list.emplace_back(text);
    return list;
  }
  template <class F>
  Value value(F&& of, const std::string& name) const {
    treadle_value* made = nullptr;
    detail::check(of(handle_.get(), name.c_str(), &made));
    return Value(made);
  }
  template <class F>
  StepResult result_of(F&& call) {
    treadle_step_result r;
    r.struct_size = sizeof r;
    detail::check(call(&r));
    return {r.loss, r.rate, r.norm, r.updated != 0};
  }
  template <class F>
  StepResult gradients(F&& call, const std::vector<Named>& batch) {
    const detail::Arguments given(batch);
    return result_of([&](treadle_step_result* r) {
      return call(handle_.get(), given.names.data(), given.values.data(), given.values.size(), r);
    });
  }

  detail::Handle<treadle_trainer, treadle_trainer_release> handle_;
};

// A network that is described layer by layer; see treadle_network_layer for the kinds and their
// settings.
class Network {
 public:
  explicit Network(uint64_t seed = 0) {
    treadle_network* made = nullptr;
    detail::check(treadle_network_create(seed, &made));
    handle_.reset(made);
  }
  size_t input(const std::string& name, treadle_dtype dtype, const std::vector<int64_t>& dims) {
    size_t value = 0;
    detail::check(treadle_network_input(handle_.get(), name.c_str(), dtype, dims.data(),
                                        dims.size(), &value));
    return value;
  }
  size_t layer(const std::string& kind, const std::string& name, const std::vector<size_t>& inputs,
               const std::string& settings = "") {
    size_t value = 0;
    detail::check(treadle_network_layer(handle_.get(), kind.c_str(), name.c_str(), inputs.data(),
                                        inputs.size(), settings.c_str(), &value));
    return value;
  }
  void output(const std::string& name, size_t value) {
    detail::check(treadle_network_output(handle_.get(), name.c_str(), value));
  }
  // The bytes of an ONNX file.
  std::string model() const {
    char* bytes = nullptr;
    size_t size = 0;
    detail::check(treadle_network_model(handle_.get(), &bytes, &size));
    return owned(bytes, size);
  }
  // The same of a well-known network: see treadle_network_known.
  static std::string known(const std::string& kind, const std::string& settings,
                           uint64_t seed = 0) {
    char* bytes = nullptr;
    size_t size = 0;
    detail::check(treadle_network_known(kind.c_str(), settings.c_str(), seed, &bytes, &size));
    return owned(bytes, size);
  }

 private:
  static std::string owned(char* bytes, size_t size) {
    const std::unique_ptr<char, void (*)(char*)> held(bytes, treadle_string_free);
    return {bytes, size};
  }

  detail::Handle<treadle_network, treadle_network_release> handle_;
};

}  // namespace api
}  // namespace treadle

#endif  // TREADLE_TRAIN_HPP
