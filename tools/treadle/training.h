// A trainer with one batch, by the flags of `bench --train` and `profile --train`.
#pragma once

#include <memory>
#include <vector>

#include "tools/treadle/command.h"
#include "training/trainer.h"

namespace treadle::tool {

// --loss, --optimizer, --lr, --set KEY=VALUE, --threads (default 1). UsageError.
TrainerOptions trainer_options(const Args& args);
// The trainer's inputs from --batch FILE.npz, or drawn: of --batch-size samples where a leading
// dimension is open.
std::vector<NamedValue> training_batch(const Trainer& trainer, const Args& args);

}  // namespace treadle::tool
