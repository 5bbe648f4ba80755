// Builds a tape in single-assignment form, folding constants into instructions, and assigns its
// registers.
#pragma once

#include <map>

#include "backends/cpu/native/lower.h"

namespace treadle::cpu {

// A value of the tape under construction: a known scalar, or the source or instruction that yields
// it.
struct TapeValue {
  bool known = false;
  float number = 0;
  int id = -1;
};

class TapeBuilder {
 public:
  static TapeValue number(float x) { return {true, x, -1}; }
  TapeValue source(TapeSource source);
  TapeValue unary(TapeOp op, TapeValue a) { return emit({.op = op}, {a}); }
  TapeValue binary(TapeOp op, TapeValue a, TapeValue b);
  TapeValue ternary(TapeOp op, TapeValue a, TapeValue b, TapeValue c) {
    return emit({.op = op}, {a, b, c});
  }
  TapeValue affine(TapeValue a, float p, float q);
  TapeValue clamp(TapeValue a, float low, float high);
  TapeValue instruction(const TapeInstr& instr, TapeValue a) { return emit(instr, {a}); }
  TapeValue with(TapeOp op, TapeValue a, float p) { return emit({.op = op, .p = p}, {a}); }
  TapeValue call(float (*f)(float), TapeValue a) {
    return emit({.op = TapeOp::kCall, .call = f}, {a});
  }
  TapeValue call(float (*f)(float, float), TapeValue a, TapeValue b) {
    return emit({.op = TapeOp::kCall2, .call2 = f}, {a, b});
  }

  // The tape that yields the values; nothing when it takes more than kMaxRegisters.
  std::optional<Tape> finish(const std::vector<TapeValue>& results,
                             const std::vector<DType>& dtypes);

 private:
  struct Step {
    TapeInstr instr;
    std::vector<int> operands;  // ids
  };
  TapeValue emit(TapeInstr instr, std::vector<TapeValue> operands);
  TapeValue add(TapeValue a, TapeValue b);
  TapeValue multiply(TapeValue a, TapeValue b);
  int splat(float x);
  const Step* step_of(TapeValue v, TapeOp op) const;
  std::vector<bool> used_steps(const std::vector<TapeValue>& results) const;

  // Ids: sources from 0, steps from kSteps, splats from kSplats.
  static constexpr int kSteps = 1 << 16;
  static constexpr int kSplats = 1 << 17;
  std::vector<TapeSource> sources_;
  std::vector<Step> steps_;
  std::vector<float> splats_;
};

}  // namespace treadle::cpu
