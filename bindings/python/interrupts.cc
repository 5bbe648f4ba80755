// Ctrl-C during a call into the library.
#include <pthread.h>
#include <signal.h>

#include "native.h"

namespace treadle::python {
namespace {

pthread_t main_thread;
treadle_cancel* running = nullptr;
struct sigaction python_action;

void interrupt(int signal) {
  treadle_cancel_signal(running);
  if ((python_action.sa_flags & SA_SIGINFO) == 0 && python_action.sa_handler != SIG_DFL &&
      python_action.sa_handler != SIG_IGN)
    python_action.sa_handler(signal);
}

}  // namespace

void this_is_the_main_thread() { main_thread = pthread_self(); }

InterruptScope::InterruptScope(treadle_cancel* given) : cancel_(given) {
  if (!pthread_equal(pthread_self(), main_thread) || running != nullptr) return;
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
