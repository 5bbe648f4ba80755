// The handles of the C API of training: each wraps one C++ object.
#pragma once

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "runtime/c_api/handles.h"
#include "training/network.h"
#include "training/trainer.h"
#include "treadle/train.h"

struct treadle_train_options {
  treadle::TrainerOptions options;
};

struct treadle_trainer {
  treadle_trainer(treadle::Graph model, const treadle_train_options* options);
  treadle::Trainer trainer;
  std::vector<treadle::NamedValue> batch;  // of the last call, so that the next allocates nothing
  // For Call (calls.h); `told` is the thread that a fit tells an event.
  mutable std::atomic<bool> in_call = false;
  mutable std::atomic<std::thread::id> told;
  // Texts that the caller is lent.
  std::vector<std::string> input_types, output_names;
};

struct treadle_network {
  treadle::Network network;
};
