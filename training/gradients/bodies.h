// What the rules of operators with bodies share.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "training/body.h"
#include "training/gradient.h"

namespace treadle {

// What the node's bodies capture and has a gradient that is wanted, each once.
std::vector<ValueId> wanted_captures(const GradientContext& c);
// A node of this operator that comes from the one under differentiation.
Node node_for(const GradientContext& c, const Op* op, const char* suffix);
Node node_for(const GradientContext& c, const char* kind, const char* suffix);
// The gradients of `wrt` in a body whose results have the given seeds (absent ones are zero), not
// through what they are computed from.
std::vector<Expr> differentiate(GradientContext& c, Body& body, const std::vector<Expr>& results,
                                const std::vector<std::optional<Expr>>& seeds,
                                const std::vector<Expr>& wrt);

}  // namespace treadle
