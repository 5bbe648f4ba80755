// The handles of the C API of training: each wraps one C++ object.
#pragma once

#include <atomic>
#include <string>
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
  std::atomic<bool> batch_taken = false;
  // Texts that the caller is lent.
  std::vector<std::string> input_types, output_names;
};

struct treadle_network {
  treadle::Network network;
};
