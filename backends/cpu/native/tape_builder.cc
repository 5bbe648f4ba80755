#include "backends/cpu/native/tape_builder.h"

#include <bit>
#include <cmath>
#include <limits>

namespace treadle::cpu {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

bool power_of_two(float x) {
  int exponent = 0;
  return std::isnormal(x) && std::abs(std::frexp(x, &exponent)) == 0.5f && std::isnormal(1.0f / x);
}

}  // namespace

TapeValue TapeBuilder::source(TapeSource source) {
  sources_.push_back(std::move(source));
  return {false, 0, static_cast<int>(sources_.size()) - 1};
}

int TapeBuilder::splat(float x) {
  for (size_t i = 0; i < splats_.size(); ++i) {
    if (std::bit_cast<uint32_t>(splats_[i]) == std::bit_cast<uint32_t>(x)) {
      return kSplats + static_cast<int>(i);
    }
  }
  splats_.push_back(x);
  return kSplats + static_cast<int>(splats_.size()) - 1;
}

TapeValue TapeBuilder::emit(TapeInstr instr, std::vector<TapeValue> operands) {
  Step step{instr, {}};
  for (const TapeValue& v : operands) step.operands.push_back(v.known ? splat(v.number) : v.id);
  steps_.push_back(std::move(step));
  return {false, 0, kSteps + static_cast<int>(steps_.size()) - 1};
}

const TapeBuilder::Step* TapeBuilder::step_of(TapeValue v, TapeOp op) const {
  if (v.known || v.id < kSteps || v.id >= kSplats) return nullptr;
  const Step& step = steps_[static_cast<size_t>(v.id - kSteps)];
  return step.instr.op == op ? &step : nullptr;
}

TapeValue TapeBuilder::affine(TapeValue a, float p, float q) {
  if (a.known) return number(std::fma(a.number, p, q));
  return emit({.op = TapeOp::kAffine, .p = p, .q = q}, {a});
}

TapeValue TapeBuilder::clamp(TapeValue a, float low, float high) {
  if (std::isnan(low) || std::isnan(high)) {
    return binary(TapeOp::kMin, binary(TapeOp::kMax, a, number(low)), number(high));
  }
  return emit({.op = TapeOp::kClamp, .p = low, .q = high}, {a});
}

// A product that only this sum reads is dropped when the tape is finished.
TapeValue TapeBuilder::add(TapeValue a, TapeValue b) {
  if (a.known) std::swap(a, b);
  if (b.known) {
    const Step* scaled = step_of(a, TapeOp::kAffine);
    if (scaled != nullptr && scaled->instr.q == 0) {
      return affine({false, 0, scaled->operands[0]}, scaled->instr.p, b.number);
    }
    return affine(a, 1, b.number);
  }
  if (step_of(a, TapeOp::kMul) == nullptr) std::swap(a, b);
  if (const Step* product = step_of(a, TapeOp::kMul)) {
    return ternary(TapeOp::kMulAdd, {false, 0, product->operands[0]},
                   {false, 0, product->operands[1]}, b);
  }
  return emit({.op = TapeOp::kAdd}, {a, b});
}

TapeValue TapeBuilder::multiply(TapeValue a, TapeValue b) {
  if (a.known) std::swap(a, b);
  if (b.known) return affine(a, b.number, -0.0f);  // -0 keeps the sign of a zero product
  if (step_of(a, TapeOp::kSigmoid) != nullptr) std::swap(a, b);
  const Step* gate = step_of(b, TapeOp::kSigmoid);
  if (gate != nullptr && gate->operands[0] == a.id) return with(TapeOp::kSilu, a, 1);
  return emit({.op = TapeOp::kMul}, {a, b});
}

TapeValue TapeBuilder::binary(TapeOp op, TapeValue a, TapeValue b) {
  switch (op) {
    case TapeOp::kAdd: return add(a, b);
    case TapeOp::kMul: return multiply(a, b);
    case TapeOp::kSub:
      if (b.known) return add(a, number(-b.number));
      if (a.known) return affine(b, -1, a.number);
      break;
    case TapeOp::kDiv:
      if (b.known && power_of_two(b.number)) return multiply(a, number(1.0f / b.number));
      if (a.known && a.number == 1.0f) return unary(TapeOp::kReciprocal, b);
      break;
    case TapeOp::kMax:
      if (b.known && !std::isnan(b.number)) return clamp(a, b.number, kInfinity);
      if (a.known && !std::isnan(a.number)) return clamp(b, a.number, kInfinity);
      break;
    case TapeOp::kMin:
      if (b.known && !std::isnan(b.number)) return clamp(a, -kInfinity, b.number);
      if (a.known && !std::isnan(a.number)) return clamp(b, -kInfinity, a.number);
      break;
    default: break;
  }
  return emit({.op = op}, {a, b});
}

std::vector<bool> TapeBuilder::used_steps(const std::vector<TapeValue>& results) const {
  std::vector<bool> used(steps_.size(), false);
  const auto mark = [&](int id) {
    if (id >= kSteps && id < kSplats) used[static_cast<size_t>(id - kSteps)] = true;
  };
  for (const TapeValue& v : results) mark(v.id);
  for (size_t i = steps_.size(); i-- > 0;) {
    if (!used[i]) continue;
    for (int id : steps_[i].operands) mark(id);
  }
  return used;
}

std::optional<Tape> TapeBuilder::finish(const std::vector<TapeValue>& wanted,
                                        const std::vector<DType>& dtypes) {
  // Every result is a step of its own: what is read elsewhere, or is no step, is copied.
  std::vector<TapeValue> results;
  std::map<int, size_t> result_of;
  for (TapeValue v : wanted) {
    const bool step = !v.known && v.id >= kSteps && v.id < kSplats;
    if (!step || result_of.contains(v.id)) v = unary(TapeOp::kCopy, v);
    result_of[v.id] = results.size();
    results.push_back(v);
  }
  const std::vector<bool> used = used_steps(results);
  std::map<int, size_t> last_use;
  for (size_t i = 0; i < steps_.size(); ++i) {
    if (!used[i]) continue;
    for (int id : steps_[i].operands) last_use[id] = i;
  }
  Tape tape;
  tape.sources = sources_;
  tape.splats = splats_;
  tape.results = dtypes;
  const size_t fixed = sources_.size() + splats_.size() + results.size();
  std::vector<size_t> free;
  tape.registers = fixed;
  std::map<int, size_t> place;
  const auto register_of = [&](int id) -> size_t {
    if (id < kSteps) return static_cast<size_t>(id);
    if (id >= kSplats) return sources_.size() + static_cast<size_t>(id - kSplats);
    return place.at(id);
  };
  for (size_t i = 0; i < steps_.size(); ++i) {
    if (!used[i]) continue;
    TapeInstr instr = steps_[i].instr;
    const std::vector<int>& in = steps_[i].operands;
    uint16_t* const fields[] = {&instr.a, &instr.b, &instr.c};
    for (size_t k = 0; k < in.size(); ++k) *fields[k] = static_cast<uint16_t>(register_of(in[k]));
    const int id = kSteps + static_cast<int>(i);
    if (const auto r = result_of.find(id); r != result_of.end()) {
      place[id] = sources_.size() + splats_.size() + r->second;
    } else if (!free.empty()) {
      place[id] = free.back();
      free.pop_back();
    } else {
      place[id] = tape.registers++;
    }
    instr.out = static_cast<uint16_t>(place[id]);
    tape.code.push_back(instr);
    for (size_t k = 0; k < in.size(); ++k) {
      const bool again = k > 0 && (in[k] == in[0] || (k == 2 && in[2] == in[1]));
      if (again || in[k] < kSteps || in[k] >= kSplats || last_use[in[k]] != i) continue;
      if (place.at(in[k]) >= fixed) free.push_back(place.at(in[k]));
    }
  }
  if (tape.registers > kMaxRegisters) return std::nullopt;
  return tape;
}

}  // namespace treadle::cpu
