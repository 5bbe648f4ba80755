// What the parts of treadle._native share.
#pragma once

#include <nanobind/nanobind.h>

#include <string>
#include <treadle/treadle.hpp>
#include <vector>

namespace treadle::python {

// A value and the Python object whose bytes it borrows.
struct Held {
  treadle::Value value;
  nanobind::object owner;
};

// For the C API, which would take the text to end at a NUL: that is a ValueError.
inline const char* c_text(const std::string& text) {
  if (text.find('\0') != std::string::npos)
    throw nanobind::value_error(("a NUL follows '" + std::string(text.c_str()) + "'").c_str());
  return text.c_str();
}

inline std::vector<const treadle_value*> handles(const std::vector<const Held*>& values) {
  std::vector<const treadle_value*> out;
  for (const Held* v : values) {
    if (v == nullptr) throw nanobind::type_error("None is no value");
    out.push_back(v->value.handle());
  }
  return out;
}

void this_is_the_main_thread();

// While it lives on the main thread, and SIGINT has Python's own handler, Ctrl-C signals its token,
// and then that handler raises KeyboardInterrupt.
class InterruptScope {
 public:
  // `given` may be null: then the scope makes a token of its own where it needs one.
  explicit InterruptScope(treadle_cancel* given);
  ~InterruptScope();
  InterruptScope(const InterruptScope&) = delete;
  InterruptScope& operator=(const InterruptScope&) = delete;
  treadle_cancel* cancel() const { return cancel_; }

 private:
  treadle_cancel* cancel_;
  treadle_cancel* own_ = nullptr;
  bool listening_ = false;
};

void bind_training(nanobind::module_& m);
void bind_networks(nanobind::module_& m);

}  // namespace treadle::python
