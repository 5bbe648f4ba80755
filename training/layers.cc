#include "training/layers.h"

#include <cmath>

#include "training/initializers.h"

namespace treadle {

// `value` is the constant's, or the deviation of normal numbers.
ValueId Layers::parameter(const std::string& name, const Dims& dims, const char* initializer,
                          double value) {
  InitializerOptions options;
  options.kind = initializer;
  if (!initializer_.empty() && options.kind != "constant") options.kind = initializer_;
  options.value = value;
  options.deviation = value;
  options.in_first = true;  // of matrices; filters are [out, in, window…]
  if (dims.size() > 2) options.in_first = false;
  constexpr int64_t kMost = int64_t{1} << 31;
  TREADLE_CHECK(element_count(dims) <= kMost, kLimit, "parameter '", name, "' of shape ",
                shape_text(dims), ": at most ", kMost, " numbers");
  return builder_.graph().add_constant(name,
                                       initial_values(options, DType::kFloat, dims, seed_, name));
}

ValueId Layers::conv(const std::string& name, ValueId x, const ConvLayer& layer) {
  const int64_t in = size(x, 1), reach = layer.dilation * (layer.kernel - 1);
  const int64_t pad = layer.pad < 0 ? reach / 2 : layer.pad;
  std::vector<ValueId> inputs = {
      x, parameter(name + ".weight", {layer.filters, in / layer.groups, layer.kernel, layer.kernel},
                   "he")};
  if (layer.bias) inputs.push_back(parameter(name + ".bias", {layer.filters}, "constant"));
  return op("Conv", inputs,
            {{"kernel_shape", std::vector<int64_t>{layer.kernel, layer.kernel}},
             {"strides", std::vector<int64_t>{layer.stride, layer.stride}},
             {"pads", std::vector<int64_t>{pad, pad, pad, pad}},
             {"dilations", std::vector<int64_t>{layer.dilation, layer.dilation}},
             {"group", layer.groups}});
}

ValueId Layers::conv_transpose(const std::string& name, ValueId x,
                               const ConvTransposeLayer& layer) {
  const int64_t kernel = layer.kernel, pad = layer.pad;
  std::vector<ValueId> inputs = {
      x, parameter(name + ".weight", {size(x, 1), layer.filters, kernel, kernel}, "he_out")};
  if (layer.bias) inputs.push_back(parameter(name + ".bias", {layer.filters}, "constant"));
  return op("ConvTranspose", inputs,
            {{"kernel_shape", std::vector<int64_t>{kernel, kernel}},
             {"strides", std::vector<int64_t>{layer.stride, layer.stride}},
             {"pads", std::vector<int64_t>{pad, pad, pad, pad}},
             {"output_padding", layer.output_padding}});
}

// A window of 3 at stride 2 with pads of 1 yields 2·size - 1; output_padding adds what lacks.
ValueId Layers::upsample(const std::string& name, ValueId x, int64_t filters, ValueId like) {
  const auto lacks = [&](size_t dim) { return size(like, dim) - (2 * size(x, dim) - 1); };
  return conv_transpose(
      name, x, {.filters = filters, .kernel = 3, .pad = 1, .output_padding = {lacks(2), lacks(3)}});
}

ValueId Layers::batch_norm(const std::string& name, ValueId x) {
  const int64_t channels = size(x, 1);
  const auto vector = [&](const char* part, double value) {
    return parameter(name + part, {channels}, "constant", value);
  };
  return op("BatchNormalization", {x, vector(".weight", 1), vector(".bias", 0),
                                   vector(".running_mean", 0), vector(".running_var", 1)});
}

ValueId Layers::conv_block(const std::string& name, ValueId x, ConvLayer layer) {
  layer.bias = false;
  return relu(batch_norm(name + ".norm", conv(name + ".conv", x, layer)));
}

ValueId Layers::layer_norm(const std::string& name, ValueId x) {
  const int64_t width = size(x, builder_.type(x).shape->size() - 1);
  return op("LayerNormalization", {x, parameter(name + ".weight", {width}, "constant", 1),
                                   parameter(name + ".bias", {width}, "constant")});
}

ValueId Layers::linear(const std::string& name, ValueId x, int64_t out, bool bias) {
  const Shape shape = *builder_.type(x).shape;
  const ValueId weight = parameter(name + ".weight", {shape.back().value(), out}, "xavier");
  if (!bias) return op("MatMul", {x, weight});
  const ValueId offset = parameter(name + ".bias", {out}, "constant");
  if (shape.size() == 2) return op("Gemm", {x, weight, offset});
  return op("Add", {op("MatMul", {x, weight}), offset});
}

ValueId Layers::embedding(const std::string& name, ValueId tokens, int64_t count, int64_t width) {
  return op("Gather", {parameter(name + ".weight", {count, width}, "normal", 0.02), tokens});
}

ValueId Layers::lstm(const std::string& name, ValueId x, int64_t width) {
  const int64_t in = size(x, 2);
  const auto weights = [&](const char* part, int64_t columns) {
    return parameter(name + part, {1, 4 * width, columns}, "normal",
                     1 / std::sqrt(static_cast<double>(width)));
  };
  const ValueId y = op("LSTM",
                       {x, weights(".weight", in), weights(".recurrent", width),
                        parameter(name + ".bias", {1, 8 * width}, "constant")},
                       {{"hidden_size", width}});
  return op("Squeeze", {y, ints({1})});  // the axis of directions
}

ValueId Layers::clip6(ValueId x) { return op("Clip", {x, scalar(0), scalar(6)}); }

ValueId Layers::max_pool(ValueId x, int64_t kernel, int64_t stride) {
  const int64_t pad = (kernel - 1) / 2;
  return op("MaxPool", {x},
            {{"kernel_shape", std::vector<int64_t>{kernel, kernel}},
             {"strides", std::vector<int64_t>{stride, stride}},
             {"pads", std::vector<int64_t>{pad, pad, pad, pad}}});
}

ValueId Layers::pooled(ValueId x) { return op("Flatten", {op("GlobalAveragePool", {x})}); }

ValueId Layers::dropout(ValueId x, double ratio) {
  return ratio == 0 ? x : op("Dropout", {x, scalar(ratio)});
}

ValueId Layers::transpose(ValueId x, const std::vector<int64_t>& permutation) {
  return op("Transpose", {x}, {{"perm", permutation}});
}

ValueId Layers::reshape(ValueId x, const std::vector<int64_t>& shape) {
  return op("Reshape", {x, ints(shape)});
}

}  // namespace treadle
