// Ctrl-C during a call into the library.
#include <pthread.h>
#include <signal.h>

#include "native.h"

namespace nb = nanobind;

namespace treadle::python {
namespace {

pthread_t main_thread;
treadle_cancel* running = nullptr;
struct sigaction python_action;

void interrupt(int signal) {
  treadle_cancel_signal(running);
  python_action.sa_handler(signal);
}

// Whether Ctrl-C raises KeyboardInterrupt. Where the program ignores it, or has a handler that only
// takes a note, the run goes on.
bool raises() {
  struct Signals {
    nb::module_ module = nb::module_::import_("signal");
    nb::object get = module.attr("getsignal");
    nb::object number = nb::cast(SIGINT);
    nb::object raising = module.attr("default_int_handler");
  };
  static const Signals& signals = *new Signals;  // outlives the interpreter
  return signals.get(signals.number).is(signals.raising);
}

}  // namespace

void this_is_the_main_thread() { main_thread = pthread_self(); }

InterruptScope::InterruptScope(treadle_cancel* given) : cancel_(given) {
  if (!pthread_equal(pthread_self(), main_thread) || running != nullptr || !raises()) return;
  if (cancel_ == nullptr) {
    treadle::detail::check(treadle_cancel_create(&own_));
    cancel_ = own_;
  }
  running = cancel_;
  struct sigaction action = {};
  action.sa_handler = interrupt;
  sigaction(SIGINT, &action, &python_action);
  listening_ = true;
}

InterruptScope::~InterruptScope() {
  if (!listening_) return;
  sigaction(SIGINT, &python_action, nullptr);
  running = nullptr;
  treadle_cancel_release(own_);
}

}  // namespace treadle::python
