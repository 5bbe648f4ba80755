// One call of one callback, and the table of functions that it may use.
#pragma once

#include <optional>
#include <vector>

#include "graph/ops/op.h"
#include "treadle/treadle.h"

struct treadle_op_call {
  const treadle::Node& node;
  treadle::InferContext* infer = nullptr;  // in `infer` only
  treadle::EvalContext* eval = nullptr;    // in `compute` only
  std::vector<treadle::Dim> dims = {};     // that tokens stand for
  std::vector<bool> made = {};             // outputs, in `compute`
  // The first failure of a function of the table, whatever the callback makes of it.
  std::optional<treadle::Error> failure = {};
};

namespace treadle::plugins {

const treadle_op_api& op_api();
// The library's code for a status that a plugin returned; kInternal where it is none.
Code code_of(treadle_status status);

}  // namespace treadle::plugins
