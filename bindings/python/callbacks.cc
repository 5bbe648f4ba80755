#include "callbacks.h"

#include <nanobind/stl/string.h>

#include <cstring>

namespace nb = nanobind;

namespace treadle::python {
namespace {

// The library's tensor lives for the call only: Python gets a copy.
Held* copy_of(const treadle_value* value) {
  treadle_value* made = nullptr;
  treadle::detail::check(treadle_tensor_create(
      treadle_tensor_dtype(value), treadle_tensor_dims(value), treadle_tensor_rank(value), &made));
  std::memcpy(treadle_tensor_data(made), treadle_tensor_const_data(value),
              treadle_tensor_size(value));
  return new Held{treadle::Value(made), nb::none()};
}

}  // namespace

int32_t call_hook(void* user, const char* name, treadle_value* value) {
  const nb::gil_scoped_acquire locked;
  const auto& hook = *static_cast<PythonHook*>(user);
  return hook.raised->guard([&] {
    const nb::object given = nb::cast(copy_of(value), nb::rv_policy::take_ownership);
    const nb::object left = hook.function(name, given);
    if (left.is_none()) return 0;
    const treadle_value* from = nb::cast<const Held&>(left).value.handle();
    if (treadle_tensor_dtype(from) != treadle_tensor_dtype(value) ||
        treadle_tensor_size(from) != treadle_tensor_size(value)) {
      PyErr_Format(PyExc_ValueError, "the hook on '%s' returned an array of another shape or dtype",
                   name);
      throw nb::python_error();
    }
    std::memcpy(treadle_tensor_data(value), treadle_tensor_const_data(from),
                treadle_tensor_size(value));
    return 0;
  });
}

int32_t call_listener(void* user, const treadle_event* event) {
  const nb::gil_scoped_acquire locked;
  auto& listener = *static_cast<Listener*>(user);
  return listener.raised.guard([&] {
    nb::dict numbers;
    for (size_t i = 0; i < event->number_count; ++i) numbers[event->names[i]] = event->numbers[i];
    const nb::object stop = listener.function(event->kind, event->epoch, event->step, event->batch,
                                              event->batches, numbers, event->text);
    return nb::cast<bool>(nb::bool_(stop)) ? 1 : 0;
  });
}

}  // namespace treadle::python
