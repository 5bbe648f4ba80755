// The list of candidates, and the families that it names.
#pragma once

#include <span>

#include "backends/cpu/family.h"

namespace treadle::cpu {

std::span<const Candidate> candidates();

}  // namespace treadle::cpu
