// Trainers of the C API of training as Python objects; treadle/train/trainer.py is what users see.
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>
#include <treadle/train.h>

#include <memory>
#include <optional>
#include <tuple>

#include "callbacks.h"

namespace nb = nanobind;
using treadle::Exception;
using treadle::detail::check;

namespace treadle::python {
namespace {

using Names = std::vector<std::string>;
using Values = std::vector<const Held*>;
using Floats = nb::ndarray<float, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Numbers = std::tuple<double, double, double, bool>;  // loss, rate, norm, updated

std::vector<const char*> texts(const Names& names) {
  std::vector<const char*> out;
  for (const std::string& n : names) out.push_back(c_text(n));
  return out;
}

using Options = std::unique_ptr<treadle_train_options, void (*)(treadle_train_options*)>;

class Trainer {
 public:
  Trainer(const nb::object& source, const nb::dict& settings, const nb::list& hooks);
  ~Trainer() { treadle_trainer_release(handle_); }
  Trainer(const Trainer&) = delete;
  Trainer& operator=(const Trainer&) = delete;
  treadle_trainer* handle() const { return handle_; }

  // Without Python's lock; what a hook raised comes before the library's own error.
  template <class Body>
  void call(Body&& body) {
    treadle_status status = TREADLE_OK;
    {
      const nb::gil_scoped_release released;
      status = body();
    }
    raised_.check(status);
  }
  using BatchFn = treadle_status (*)(treadle_trainer*, const char* const*,
                                     const treadle_value* const*, size_t, treadle_step_result*);
  Numbers batch(BatchFn function, const Names& names, const Values& values);
  Raised& raised() { return raised_; }
  const std::vector<std::unique_ptr<PythonHook>>& hooks() const { return hooks_; }

 private:
  treadle_trainer* handle_ = nullptr;
  Raised raised_;
  std::vector<std::unique_ptr<PythonHook>> hooks_;
};

// For Python's collector: a hook may hold on to what holds the trainer.
int visit_hooks(PyObject* self, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(self));
  if (!nb::inst_ready(self)) return 0;
  for (const auto& hook : nb::inst_ptr<Trainer>(self)->hooks()) Py_VISIT(hook->function.ptr());
  return 0;
}
int clear_hooks(PyObject* self) {
  for (const auto& hook : nb::inst_ptr<Trainer>(self)->hooks()) hook->function = nb::none();
  return 0;
}
PyType_Slot kSlots[] = {{Py_tp_traverse, reinterpret_cast<void*>(visit_hooks)},
                        {Py_tp_clear, reinterpret_cast<void*>(clear_hooks)},
                        {0, nullptr}};

Options options_of(const nb::dict& settings) {
  treadle_train_options* made = nullptr;
  check(treadle_train_options_create(&made));
  Options options(made, treadle_train_options_release);
  for (const auto& [key, value] : settings)
    check(treadle_train_options_set(made, c_text(nb::cast<std::string>(key)),
                                    c_text(nb::cast<std::string>(value))));
  return options;
}

Trainer::Trainer(const nb::object& source, const nb::dict& settings, const nb::list& hooks) {
  const Options options = options_of(settings);
  for (const nb::handle pair : hooks) {
    hooks_.push_back(std::make_unique<PythonHook>(
        PythonHook{&raised_, nb::borrow<nb::object>(nb::cast<nb::tuple>(pair)[1])}));
    const auto name = nb::cast<std::string>(nb::cast<nb::tuple>(pair)[0]);
    check(treadle_train_options_add_hook(options.get(), c_text(name), call_hook,
                                         hooks_.back().get()));
  }
  if (nb::isinstance<nb::bytes>(source)) {
    const auto bytes = nb::cast<nb::bytes>(source);
    call([&] {
      return treadle_trainer_create_memory(bytes.data(), bytes.size(), options.get(), &handle_);
    });
  } else {
    const auto path = nb::cast<std::string>(source);
    call([&] { return treadle_trainer_create(c_text(path), options.get(), &handle_); });
  }
}

Numbers numbers_of(const treadle_step_result& r) {
  return {r.loss, r.rate, r.norm, r.updated != 0};
}

Numbers Trainer::batch(BatchFn function, const Names& names, const Values& values) {
  treadle_step_result result = {};
  result.struct_size = sizeof result;
  const auto given_names = texts(names);
  const auto given = handles(values);
  call([&] { return function(handle_, given_names.data(), given.data(), given.size(), &result); });
  return numbers_of(result);
}

Numbers apply(Trainer& t, double factor) {
  treadle_step_result result = {};
  result.struct_size = sizeof result;
  t.call([&] { return treadle_trainer_apply(t.handle(), factor, &result); });
  return numbers_of(result);
}

std::pair<double, std::vector<Held>> evaluate(Trainer& t, const Names& names,
                                              const Values& values) {
  const auto given_names = texts(names);
  const auto given = handles(values);
  size_t count = 0;
  while (treadle_trainer_output_name(t.handle(), count) != nullptr) ++count;
  std::vector<treadle_value*> made(count, nullptr);
  double loss = 0;
  t.call([&] {
    return treadle_trainer_eval(t.handle(), given_names.data(), given.data(), given.size(), &loss,
                                made.data(), count);
  });
  std::vector<Held> outputs;
  for (treadle_value* v : made) outputs.push_back(Held{treadle::Value(v), nb::none()});
  return {loss, std::move(outputs)};
}

struct FitSamples {
  FitSamples(const Names& names_given, const Values& values_given)
      : names(texts(names_given)), values(handles(values_given)) {
    samples = {names.data(), values.data(), values.size()};
  }
  std::vector<const char*> names;
  std::vector<const treadle_value*> values;
  treadle_samples samples;
};

using Part = std::pair<Names, Values>;

// `options`: the fields of treadle_fit_options by name, all numbers but monitor and out.
treadle_fit_options fit_options(const nb::dict& options) {
  treadle_fit_options o = {};
  o.struct_size = sizeof o;
  const auto integer = [&](const char* key, auto& to) {
    if (options.contains(key) && !nb::try_cast(options[key], to))
      throw nb::type_error(
          (std::string(key) + " is " + nb::cast<std::string>(nb::repr(options[key])) +
           ", expected an integer of at most " + std::to_string(8 * sizeof to) + " bits")
              .c_str());
  };
  integer("epochs", o.epochs);
  integer("steps", o.steps);
  integer("batch", o.batch);
  integer("seed", o.seed);
  integer("in_order", o.in_order);
  integer("drop_last", o.drop_last);
  integer("threads", o.threads);
  integer("patience", o.patience);
  integer("resume", o.resume);
  integer("checkpoint_steps", o.checkpoint_steps);
  return o;
}

// (steps, epochs, best, stopped early, cancelled)
using Fitted = std::tuple<int64_t, int64_t, double, bool, bool>;

struct FitRequest {
  const nb::dict& options;
  const std::string& monitor;
  const std::optional<std::string>& out;
  const nb::object& on_event;
};

template <class F>
Fitted fit_by(Trainer& t, const FitRequest& request, const F& call) {
  treadle_fit_options o = fit_options(request.options);
  o.monitor = c_text(request.monitor);
  o.out = request.out ? c_text(*request.out) : nullptr;
  Listener listener{{}, request.on_event};
  if (!request.on_event.is_none()) {
    o.on_event = call_listener;
    o.user = &listener;
  }
  treadle_fit_result result = {};
  result.struct_size = sizeof result;
  treadle_status status = TREADLE_OK;
  {
    const InterruptScope interrupts(nullptr);
    o.cancel = interrupts.cancel();
    const nb::gil_scoped_release released;
    status = call(o, result);
  }
  listener.raised.check(TREADLE_OK);
  t.raised().check(status);
  if (PyErr_CheckSignals() != 0) throw nb::python_error();
  return {result.steps, result.epochs, result.best, result.stopped_early != 0,
          result.cancelled != 0};
}

Fitted fit(Trainer& t, const Names& names, const Values& values, const std::optional<Part>& val,
           const nb::dict& options, const std::string& monitor,
           const std::optional<std::string>& out, const nb::object& on_event) {
  const FitSamples train(names, values);
  std::optional<FitSamples> validation;
  if (val) validation.emplace(val->first, val->second);
  return fit_by(t, {options, monitor, out, on_event},
                [&](const treadle_fit_options& o, treadle_fit_result& result) {
                  return treadle_trainer_fit(t.handle(), &train.samples,
                                             validation ? &validation->samples : nullptr, &o,
                                             &result);
                });
}

Fitted fit_data(Trainer& t, const std::string& path, const Names& keys, const Names& values,
                const nb::dict& options, const std::string& monitor,
                const std::optional<std::string>& out, const nb::object& on_event) {
  const std::vector<const char*> key_texts = texts(keys), value_texts = texts(values);
  if (keys.size() != values.size()) throw nb::value_error("as many keys as values");
  const treadle_data data = {sizeof data, c_text(path), key_texts.data(), value_texts.data(),
                             keys.size()};
  return fit_by(t, {options, monitor, out, on_event},
                [&](const treadle_fit_options& o, treadle_fit_result& result) {
                  return treadle_trainer_fit_data(t.handle(), &data, &o, &result);
                });
}

nb::typed<nb::list, nb::tuple> inputs_of(const Trainer& t) {
  nb::list out;
  for (size_t i = 0; treadle_trainer_input_name(t.handle(), i) != nullptr; ++i) {
    treadle_type type = {};
    type.struct_size = sizeof type;
    check(treadle_trainer_input_type(t.handle(), i, &type));
    out.append(nb::make_tuple(treadle_trainer_input_name(t.handle(), i), type.text, type.dtype));
  }
  return out;
}

Names names_by(const char* (*at)(const treadle_trainer*, size_t), const Trainer& t) {
  Names out;
  for (size_t i = 0; at(t.handle(), i) != nullptr; ++i) out.emplace_back(at(t.handle(), i));
  return out;
}

Held* get(const Trainer& t, const std::string& name) {
  treadle_value* made = nullptr;
  check(treadle_trainer_get(t.handle(), c_text(name), &made));
  return new Held{treadle::Value(made), nb::none()};
}

Held* fetched(const Trainer& t, const std::string& name) {
  treadle_value* made = nullptr;
  check(treadle_trainer_fetched(t.handle(), c_text(name), &made));
  return new Held{treadle::Value(made), nb::none()};
}

void bind_parameters(nb::class_<Trainer>& c) {
  c.def_prop_ro("parameters",
                [](const Trainer& t) { return names_by(treadle_trainer_parameter_name, t); })
      .def_prop_ro("parameter_count",
                   [](const Trainer& t) { return treadle_trainer_parameter_count(t.handle()); })
      .def("get", &get, nb::arg("name"))
      .def(
          "set",
          [](Trainer& t, const std::string& name, const Held& value) {
            check(treadle_trainer_set(t.handle(), c_text(name), value.value.handle()));
          },
          nb::arg("name"), nb::arg("value"))
      .def(
          "get_parameters",
          [](const Trainer& t, const Floats& to) {
            check(treadle_trainer_get_parameters(t.handle(), to.data(), to.size()));
          },
          nb::arg("to"))
      .def(
          "set_parameters",
          [](Trainer& t, const Floats& from) {
            check(treadle_trainer_set_parameters(t.handle(), from.data(), from.size()));
          },
          nb::arg("values"));
}

void bind_files(nb::class_<Trainer>& c) {
  c.def(
       "save",
       [](Trainer& t, const std::string& path) {
         t.call([&] { return treadle_trainer_save(t.handle(), c_text(path)); });
       },
       nb::arg("path"))
      .def(
          "load",
          [](Trainer& t, const std::string& path) {
            t.call([&] { return treadle_trainer_load(t.handle(), c_text(path)); });
          },
          nb::arg("path"))
      .def(
          "export",
          [](Trainer& t, const std::string& path, bool fold_batchnorm) {
            t.call([&] {
              return treadle_trainer_export(t.handle(), c_text(path), fold_batchnorm ? 1 : 0);
            });
          },
          nb::arg("path"), nb::arg("fold_batchnorm"));
}

}  // namespace

void bind_training(nb::module_& m) {
  nb::class_<Trainer> c(m, "Trainer", nb::type_slots(kSlots));
  c.def(nb::init<const nb::object&, const nb::dict&, const nb::list&>(), nb::arg("source"),
        nb::arg("settings"), nb::arg("hooks"))
      .def_prop_ro("inputs", &inputs_of)
      .def_prop_ro("outputs",
                   [](const Trainer& t) { return names_by(treadle_trainer_output_name, t); })
      .def_prop_ro("warnings",
                   [](const Trainer& t) { return names_by(treadle_trainer_warning, t); })
      .def(
          "step",
          [](Trainer& t, const Names& names, const Values& values) {
            return t.batch(treadle_trainer_step, names, values);
          },
          nb::arg("names"), nb::arg("values"))
      .def(
          "accumulate",
          [](Trainer& t, const Names& names, const Values& values) {
            return t.batch(treadle_trainer_accumulate, names, values);
          },
          nb::arg("names"), nb::arg("values"))
      .def("apply", &apply, nb::arg("factor"))
      .def("zero", [](Trainer& t) { check(treadle_trainer_zero(t.handle())); })
      .def("eval", &evaluate, nb::arg("names"), nb::arg("values"))
      .def("fetched", &fetched, nb::arg("name"))
      .def("fit", &fit, nb::arg("names"), nb::arg("values"), nb::arg("val").none(),
           nb::arg("options"), nb::arg("monitor"), nb::arg("out").none(),
           nb::arg("on_event").none())
      .def("fit_data", &fit_data, nb::arg("path"), nb::arg("keys"), nb::arg("values"),
           nb::arg("options"), nb::arg("monitor"), nb::arg("out").none(),
           nb::arg("on_event").none())
      .def_prop_ro("steps", [](const Trainer& t) { return treadle_trainer_steps(t.handle()); })
      .def_prop_ro("rate", [](const Trainer& t) { return treadle_trainer_rate(t.handle()); })
      .def(
          "set_rate",
          [](Trainer& t, double rate) { check(treadle_trainer_set_rate(t.handle(), rate)); },
          nb::arg("rate"))
      .def(
          "measured",
          [](Trainer& t, double value) { check(treadle_trainer_measured(t.handle(), value)); },
          nb::arg("value"));
  bind_parameters(c);
  bind_files(c);
}

}  // namespace treadle::python
