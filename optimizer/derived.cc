#include "optimizer/derived.h"

#include <algorithm>

namespace treadle {

bool is_deferred(const Tensor& tensor) {
  return tensor.buffer() != nullptr && tensor.buffer()->deferred();
}

Tensor derived(DType dtype, const Dims& dims, std::vector<Tensor> sources, MakeWeights make) {
  if (std::none_of(sources.begin(), sources.end(), is_deferred)) {
    Tensor now(dtype, dims);
    make(sources, now);
    return now;
  }
  const auto bytes = static_cast<size_t>(byte_size(dtype, element_count(dims)));
  auto fill = [dtype, dims, sources = std::move(sources),
               make = std::move(make)](std::span<std::byte> bytes_to) {
    Tensor to(dtype, dims, Buffer::borrow(bytes_to.data(), bytes_to.size()));
    make(sources, to);
  };
  return Tensor(dtype, dims, Buffer::defer(bytes, std::move(fill)));
}

}  // namespace treadle
