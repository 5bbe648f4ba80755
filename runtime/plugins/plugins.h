// Operators by a caller's callbacks (treadle/op.h), from the application or from a shared object.
#pragma once

#include <filesystem>
#include <memory>

#include "graph/ops/added.h"
#include "treadle/treadle.h"

namespace treadle {

// kInvalidArgument where the struct or a text in it is wrong, or the name is taken.
void add_op(AddedOps& ops, const treadle_op& op);
// The operators of a plugin, all or none. kIo where there is no such file, kInvalidArgument where
// it is no plugin; else what its registration failed with.
void load_plugin(AddedOps& ops, const std::filesystem::path& path);

// The same for operators that models share: those loaded before keep what they were loaded with.
template <class Change>
void change_operators(std::shared_ptr<const AddedOps>& operators, Change&& change) {
  auto next =
      operators != nullptr ? std::make_shared<AddedOps>(*operators) : std::make_shared<AddedOps>();
  change(*next);
  operators = std::move(next);
}

}  // namespace treadle
