// Python functions that the library calls back.
#pragma once

#include <treadle/train.h>

#include <memory>
#include <utility>

#include "native.h"

namespace treadle::python {

// What a Python function raised in a call from the library: it is raised again when the library has
// returned.
class Raised {
 public:
  // 0, or 1 where it raised.
  template <class Body>
  int32_t guard(Body&& body) {
    try {
      return body();
    } catch (nanobind::python_error& e) {
      error_ = std::make_unique<nanobind::python_error>(std::move(e));
    } catch (const std::exception& e) {
      PyErr_SetString(PyExc_TypeError, e.what());
      error_ = std::make_unique<nanobind::python_error>();
    }
    return 1;
  }
  void check(treadle_status status) {
    if (const auto error = std::move(error_)) throw std::move(*error);
    if (status != TREADLE_OK) throw Exception(status);
  }

 private:
  std::unique_ptr<nanobind::python_error> error_;
};

struct PythonHook {
  Raised* raised;
  nanobind::object function;  // (name, Value) -> Value | None
};

struct Listener {
  Raised raised;
  nanobind::object function;  // (kind, epoch, step, batch, batches, numbers, text) -> stop
};

// For treadle_train_options_add_hook, with a PythonHook, and for a fit, with a Listener.
int32_t call_hook(void* user, const char* name, treadle_value* value);
int32_t call_listener(void* user, const treadle_event* event);

}  // namespace treadle::python
