// Turns an elementwise node, or a fused region of them, into a tape.
#pragma once

#include <optional>

#include "backends/cpu/family.h"
#include "backends/cpu/simd/tape.h"

namespace treadle::cpu {

// A tensor that a tape reads: an input of the node, or a constant.
struct TapeSource {
  size_t input = 0;  // of the node, where `constant` is undefined
  Tensor constant;
  DType dtype = DType::kFloat;  // kFloat, kBool, kInt8 or kUint8
};

// Registers are numbered: the sources, the splats, the results, then temporaries.
struct Tape {
  std::vector<TapeSource> sources;
  std::vector<float> splats;
  std::vector<TapeInstr> code;
  std::vector<DType> results;  // of each output of the node
  size_t registers = 0;

  uint16_t result(size_t i) const {
    return static_cast<uint16_t>(sources.size() + splats.size() + i);
  }
};

inline constexpr size_t kMaxRegisters = 32;

// Nothing, with the reason, where the node is not elementwise over float and bool, quantized bytes
// apart, or needs too many registers.
std::optional<Tape> lower(const NodeSpec& spec, std::string* why);

// The operators of the standard domain that have a rule.
std::vector<const char*> elementwise_kinds();

}  // namespace treadle::cpu
