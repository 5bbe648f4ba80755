// The steps of upgrades.cc for operators whose meaning changed, and what every step works on.
#pragma once

#include <optional>

#include "importer/onnx/upgrades.h"

namespace treadle::onnx {

struct Upgrade {
  OldNode& node;
  Builder& builder;
  Attributes& attributes() { return node.attributes; }
  const Type& type(size_t input) const { return builder.type(node.input(input)); }
  std::optional<int64_t> rank(size_t input) const {
    if (!node.input(input).valid() || !type(input).shape) return std::nullopt;
    return static_cast<int64_t>(type(input).shape->size());
  }
  const Tensor* constant(size_t input) const {
    if (!node.input(input).valid()) return nullptr;
    const ValueDef& def = builder.graph().value(node.input(input));
    return def.is_constant() ? &def.constant : nullptr;
  }
  DType dtype(size_t input) const {
    const DType d = type(input).dtype;
    TREADLE_CHECK(d != DType::kUndefined, kUnsupported, "the element type of its input ", input,
                  " must be known to lift it to the current opset");
    return d;
  }
  void set_input(size_t i, ValueId v) {
    if (node.inputs.size() <= i) node.inputs.resize(i + 1);
    node.inputs[i] = v;
  }
  void set_default(std::string_view name, Attribute value) {
    if (!attributes().has(name)) attributes().set(name, std::move(value));
  }
};

void softmax_of_matrix(Upgrade& u);
void batch_norm(Upgrade& u);
void batch_norm_training(Upgrade& u);
void upsample_scales(Upgrade& u);
void resize_asymmetric(Upgrade& u);
void resize_tf_half_pixel(Upgrade& u);
void resize_empty_inputs(Upgrade& u);
void group_norm_per_channel(Upgrade& u);
void scan_of_batch(Upgrade& u);
void label_encoder_classes(Upgrade& u);

}  // namespace treadle::onnx
