// treadle run --training-steps.
#pragma once

#include "tools/treadle/command.h"

namespace treadle::tool {

int run_training_steps(const Args& args);

}  // namespace treadle::tool
