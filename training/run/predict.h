// What a step will need, before there is one.
#pragma once

#include "training/data/source.h"
#include "training/trainer.h"

namespace treadle {

struct StepMemory {
  size_t variables = 0;  // bytes of weights, statistics and slots
  MemoryInfo step;       // of its plan
  size_t all() const {
    return variables + step.arena_bytes + step.constant_bytes + step.packed_bytes;
  }
};

size_t variable_bytes(const Trainer& trainer);
// Of a batch of so many of the source's samples (`fitted` ones). Plans the step, which then is
// ready. Nodes whose shapes the run alone knows are not counted.
StepMemory predict_memory(Trainer& trainer, const Source& source, int64_t samples);

}  // namespace treadle
