// Samples that lie in memory as rows of tensors.
#include <cstring>

#include "training/data/formats.h"

namespace treadle {
namespace {

Dims row_dims(const Tensor& t) { return {t.dims().begin() + 1, t.dims().end()}; }

// A copy of row i, which the caller may change.
Tensor row(const Tensor& t, int64_t i) {
  Tensor out(t.dtype(), row_dims(t));
  std::memcpy(out.raw(), t.raw() + static_cast<size_t>(i) * out.bytes(), out.bytes());
  return out;
}

Content content_of(DType dtype) {
  return dtype == DType::kFloat || dtype == DType::kDouble ? Content::kFeatures : Content::kTokens;
}

}  // namespace

Source from_memory(std::string name, std::vector<std::pair<std::string, Tensor>> inputs,
                   const Tensor& target) {
  Source source;
  source.name = std::move(name);
  TREADLE_CHECK(!inputs.empty() && target.rank() > 0, kInvalidArgument, "'", source.name,
                "' holds no inputs, or a target without samples");
  source.size = target.dim(0);
  for (const auto& [field, tensor] : inputs) {
    TREADLE_CHECK(tensor.rank() > 0 && tensor.dim(0) == source.size, kInvalidArgument, "'",
                  source.name, "': '", field, "' of shape ", shape_text(tensor.dims()),
                  " does not have the ", source.size, " samples of the target");
    source.inputs.push_back({field, tensor.dtype(), row_dims(tensor)});
  }
  source.content = content_of(inputs[0].second.dtype());
  source.target = {"target", target.dtype(), row_dims(target)};
  source.sample = [inputs = std::move(inputs), target](int64_t i) {
    Sample sample;
    for (const auto& [field, tensor] : inputs) sample.inputs.push_back(row(tensor, i));
    sample.target = row(target, i);
    return sample;
  };
  return source;
}

Source from_bytes(std::string name, const Tensor& pictures, const std::vector<int64_t>& labels) {
  TREADLE_CHECK(pictures.dim(0) == static_cast<int64_t>(labels.size()), kInvalidArgument, "'", name,
                "' holds ", pictures.dim(0), " pictures and ", labels.size(), " labels");
  Source source;
  source.name = std::move(name);
  source.content = Content::kPictures;
  source.size = pictures.dim(0);
  source.inputs = {{"", DType::kFloat, row_dims(pictures)}};
  source.target = {"target", DType::kInt64, {}};
  const auto count = static_cast<size_t>(element_count(source.inputs[0].dims));
  source.sample = [pictures, labels, dims = source.inputs[0].dims, count](int64_t i) {
    Tensor x(DType::kFloat, dims);
    const auto* from =
        reinterpret_cast<const uint8_t*>(pictures.raw()) + static_cast<size_t>(i) * count;
    float* to = x.data<float>().data();
    for (size_t k = 0; k < count; ++k) to[k] = static_cast<float>(from[k]) / 255.0f;
    return Sample{{x}, Tensor::scalar<int64_t>(labels[static_cast<size_t>(i)])};
  };
  return source;
}

}  // namespace treadle
