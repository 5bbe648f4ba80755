#include "backends/cpu/native/activation.h"

#include <algorithm>
#include <array>
#include <utility>

#include "backends/cpu/native/rules.h"

namespace treadle::cpu {
namespace {

std::optional<Tape> tape_of(const Epilogue& e) {
  if (e.activation.empty()) return Tape{};
  TapeBuilder b;
  const TapeValue y = b.source({.input = 0, .constant = {}, .dtype = DType::kFloat});
  if (e.activation == "Clip") return b.finish({b.clamp(y, e.alpha, e.beta)}, {DType::kFloat});
  const bool tanh = e.activation == "GeluTanh";
  Node node;
  node.attributes = {{"alpha", e.alpha}, {"beta", e.beta}};
  if (tanh) node.attributes.set("approximate", std::string("tanh"));
  node.op = find_op(tanh ? "Gelu" : e.activation);
  if (node.op == nullptr) return std::nullopt;
  std::string why;
  const std::optional<TapeValue> value = apply_rule(b, node, {y}, &why);
  return value ? b.finish({*value}, {DType::kFloat}) : std::nullopt;
}

}  // namespace

std::optional<Activation> Activation::of(const Node& node) {
  const Epilogue e = epilogue_of(node);
  std::optional<Tape> tape = tape_of(e);
  if (!tape) return std::nullopt;
  return Activation(std::move(*tape), bounds_of(e));
}

void Activation::apply(float* y, size_t rows, size_t columns, size_t stride) const {
  if (tape_.code.empty()) return;
  if (columns == stride) columns *= std::exchange(rows, 1);
  alignas(64) float storage[kMaxRegisters][kTile];
  std::array<float*, kMaxRegisters> registers;
  for (size_t i = 0; i < tape_.registers; ++i) registers[i] = storage[i];
  for (size_t i = 0; i < tape_.splats.size(); ++i) {
    std::fill_n(storage[tape_.sources.size() + i], std::min(columns, kTile), tape_.splats[i]);
  }
  for (size_t row = 0; row < rows; ++row, y += stride) {
    for (size_t done = 0; done < columns; done += kTile) {
      registers[0] = registers[tape_.result(0)] = y + done;
      function_(tape_.code.data(), tape_.code.size(), registers.data(),
                std::min(kTile, columns - done));
    }
  }
}

Support supports_activation(const Node& node) {
  return Activation::of(node) ? Support{} : Support::no("activation");
}

}  // namespace treadle::cpu
