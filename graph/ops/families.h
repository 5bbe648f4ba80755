// The families of rows, one function a file of this folder.
#pragma once

#include <span>
#include <vector>

namespace treadle {

struct OpDef;

std::vector<std::span<const OpDef>> op_families();  // families.cc

std::span<const OpDef> identity_ops();

}  // namespace treadle
