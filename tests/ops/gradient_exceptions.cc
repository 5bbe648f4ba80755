#include "tests/ops/gradient_exceptions.h"

#include <algorithm>

namespace treadle::test {
namespace {

constexpr Exception kExceptions[] = {
    {"ReduceMin_of_nothing_*", "the second derivative of an empty group is 0/0"},
    {"ReduceMax_of_nothing_*", "the second derivative of an empty group is 0/0"},
    {"ReduceMax_empty", "the second derivative of an empty group is 0/0"},
    {"FlexAttention_*", "refused: its score and mask bodies"},
    {"MaxPoolGrad_*", "its second input tells which elements were largest"},
    {"QAttention_*", "the kernel computes in float: differences are too coarse"},
    {"GatherBlockQuantized_*", "the kernel computes in float: differences are too coarse"},
    {"MatMulIntegerToFloat_*", "the kernel computes in float: differences are too coarse"},
    {"MatMulNBits_*", "the kernel computes in float: differences are too coarse"},
    {"DequantizeLinear_*", "the kernel computes in float: differences are too coarse"},
    {"DynamicQuantizeLinear_*", "the kernel computes in float: differences are too coarse"},
    {"DynamicQuantizeMatMul_*", "it rounds its input, and computes in float"},
    {"DynamicQuantizeLSTM_*", "refused: its weights are quantized"},
    {"CDist_*", "refused: distances of all pairs"},
    {"ArrayFeatureExtractor_*", "refused: ai.onnx.ml"},
    {"LinearClassifier_*", "refused: ai.onnx.ml"},
    {"GlobalAveragePool_average_of_nothing", "the second derivative of an empty group is 0/0"},
    {"ReduceMin_empty", "the second derivative of an empty group is 0/0"},
    {"ReduceLogSum_empty", "the second derivative of an empty group is 0/0"},
    {"ReduceMean_empty", "the second derivative of an empty group is 0/0"},
    {"Softmax_only_*", "infinities: differences are 0"},
    {"LogSoftmax_only_*", "infinities: differences are 0"},
    {"GemmUpdate_update_off", "0 times a NaN that is not read"},
    {"Resize_empty_batch", "the second derivative reshapes to -1 beside 0"},
    {"Imputer_*", "refused: ai.onnx.ml"},
    {"FeatureVectorizer_*", "refused: ai.onnx.ml"},
    {"LinearRegressor_*", "refused: ai.onnx.ml"},
    {"Normalizer_*", "refused: ai.onnx.ml"},
    {"SVMClassifier_*", "refused: ai.onnx.ml"},
    {"SVMRegressor_*", "refused: ai.onnx.ml"},
    {"Col2Im_no_channels", "refused: 2^40 columns"},
    {"CausalConvWithState_no_channels", "refused: 2^50 taps"},
    {"Det_none_of_any_order", "refused: matrices of 2^40 rows"},
    {"Dropout_training_no_ratio", "the ratio has no gradient"},
    {"Resize_crop_linear", "the region has no gradient"},
    {"RoiAlign_max_*", "refused: mode max"},
    {"Adam_t0", "the root of a second moment of 0"},
};

bool fits(std::string_view pattern, std::string_view name) {
  if (!pattern.ends_with('*')) return pattern == name;
  pattern.remove_suffix(1);
  return name.starts_with(pattern);
}

}  // namespace

const Exception* find_exception(std::string_view case_name) {
  const auto* found = std::ranges::find_if(
      kExceptions, [&](const Exception& e) { return fits(e.name, case_name); });
  return found == std::end(kExceptions) ? nullptr : found;
}

bool checked_twice(const OpCase& c) {
  constexpr int64_t kSmall = 24;
  int64_t elements = 0;
  for (const Value& v : c.inputs) {
    if (v.is_tensor()) elements += v.tensor().count();
  }
  return elements <= kSmall;
}

}  // namespace treadle::test
