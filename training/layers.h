// Layers with initial values, as new_models.cc puts them together.
#pragma once

#include <string>

#include "graph/builder.h"

namespace treadle {

struct ConvLayer {
  int64_t filters = 1;
  int64_t kernel = 3;
  int64_t stride = 1;
  int64_t groups = 1;
  int64_t dilation = 1;
  int64_t pad = -1;  // on each side; -1: as much as keeps the size at stride 1, of odd kernels
  bool bias = true;  // not where a normalization follows
};

struct ConvTransposeLayer {
  int64_t filters = 1;
  int64_t kernel = 2;
  int64_t stride = 2;
  int64_t pad = 0;
  std::vector<int64_t> output_padding = {0, 0};
  bool bias = true;
};

// Each layer's parameters begin with its name ("block1.conv" → "block1.conv.weight"), and their
// initial values depend on the seed and that name alone.
class Layers {
 public:
  Layers(Graph& graph, uint64_t seed) : builder_(graph), seed_(seed) {}

  // Of the weights from now on: this instead of the layer's usual one; "": the usual ones again.
  void set_initializer(std::string kind) { initializer_ = std::move(kind); }

  ValueId conv(const std::string& name, ValueId x, const ConvLayer& layer);
  ValueId conv_transpose(const std::string& name, ValueId x, const ConvTransposeLayer& layer);
  // Twice the size (of `like`, which may be one more where its size is odd).
  ValueId upsample(const std::string& name, ValueId x, int64_t filters, ValueId like);
  ValueId batch_norm(const std::string& name, ValueId x);
  // Conv, BatchNormalization, Relu.
  ValueId conv_block(const std::string& name, ValueId x, ConvLayer layer);
  ValueId layer_norm(const std::string& name, ValueId x);  // of the last axis
  // Of [N, in] or [N, T, in]; no bias: a projection.
  ValueId linear(const std::string& name, ValueId x, int64_t out, bool bias = true);
  ValueId embedding(const std::string& name, ValueId tokens, int64_t count, int64_t width);
  // Of [T, N, in] to [T, N, width].
  ValueId lstm(const std::string& name, ValueId x, int64_t width);
  ValueId relu(ValueId x) { return op("Relu", {x}); }
  ValueId clip6(ValueId x);  // ReLU6
  ValueId max_pool(ValueId x, int64_t kernel, int64_t stride);
  ValueId pooled(ValueId x);  // the mean of each channel, [N, C]
  ValueId dropout(ValueId x, double ratio);
  ValueId transpose(ValueId x, const std::vector<int64_t>& permutation);
  ValueId reshape(ValueId x, const std::vector<int64_t>& shape);  // 0: as it is, -1: the rest
  ValueId scalar(double value) { return builder_.scalar(DType::kFloat, value); }
  ValueId ints(const std::vector<int64_t>& values) { return builder_.ints(values); }
  ValueId op(std::string_view kind, std::vector<ValueId> inputs, Attributes attributes = {}) {
    return builder_.op(kind, std::move(inputs), std::move(attributes));
  }
  // The size of a dimension, which is known.
  int64_t size(ValueId x, size_t dim) const { return (*builder_.type(x).shape)[dim].value(); }
  ValueId parameter(const std::string& name, const Dims& dims, const char* initializer,
                    double value = 0);
  Builder& builder() { return builder_; }

 private:
  Builder builder_;
  uint64_t seed_;
  std::string initializer_;
};

}  // namespace treadle
