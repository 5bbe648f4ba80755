// Calls of a trainer: one at a time, and what they are given by name.
#pragma once

#include "training/c_api/handles.h"

namespace treadle::c_api {

enum class CallKind {
  kTrains,
  kUses,  // the thread that a fit tells an event may make it
};

// While one lives, any other call of the trainer is kBusy.
class Call {
 public:
  explicit Call(const treadle_trainer& trainer, CallKind kind = CallKind::kUses);
  ~Call();
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

 private:
  const treadle_trainer& trainer_;
  const bool within_event_;
};

// While it lives, this thread is told an event of a fit.
class Telling {
 public:
  explicit Telling(const treadle_trainer& trainer) : trainer_(trainer) {
    trainer_.told = std::this_thread::get_id();
  }
  ~Telling() { trainer_.told = std::thread::id(); }
  Telling(const Telling&) = delete;
  Telling& operator=(const Telling&) = delete;

 private:
  const treadle_trainer& trainer_;
};

// Checks that all names and values are there, and that each name is an input, given once. `holder`
// begins the message: "the batch holds".
void check_given(const Trainer& trainer, const char* holder, const char* const* names,
                 const treadle_value* const* values, size_t count);

}  // namespace treadle::c_api
