// The elementwise operators as instructions of a tape: one rule an operator.
#pragma once

#include <string>
#include <vector>

#include "backends/cpu/native/tape_builder.h"

namespace treadle::cpu {

// What tapes compute with.
inline bool is_tape_dtype(DType dtype) { return dtype == DType::kFloat || dtype == DType::kBool; }

// What they read and write beside: the quantized values of QuantizeLinear and DequantizeLinear.
inline bool is_tape_byte(DType dtype) { return dtype == DType::kInt8 || dtype == DType::kUint8; }

// The node's value given its operands (absent ones are NaN constants); nothing, with the reason,
// where it has no rule.
std::optional<TapeValue> apply_rule(TapeBuilder& builder, const Node& node,
                                    const std::vector<TapeValue>& operands, std::string* why);

// The operators of the standard domain that have a rule.
std::vector<const char*> ruled_kinds();

}  // namespace treadle::cpu
