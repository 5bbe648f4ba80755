// treadle grad.
#pragma once

#include "tools/treadle/command.h"

namespace treadle::tool {

int run_grad(const Args& args);

}  // namespace treadle::tool
