// What a loader gives as what a trainer takes.
#pragma once

#include <vector>

#include "training/data/loader.h"
#include "training/trainer.h"

namespace treadle {

// The source in the shape of the trainer's first input, where their sizes agree.
// kInvalidArgument naming both where they cannot be brought together.
Source fitted(const Source& source, const Trainer& trainer);

// The batch by the trainer's names: fields without one in order, numbers in the dtype that is asked
// for. Classes become shares of them where the loss takes numbers for each class.
std::vector<NamedValue> named_batch(const Trainer& trainer, const Source& source,
                                    const Batch& batch);

}  // namespace treadle
