// Sources made of others: parts of them, other orders, other shapes.
#include <algorithm>
#include <memory>
#include <numeric>

#include "training/data/random.h"
#include "training/data/source.h"

namespace treadle {

Source subset(const Source& source, std::vector<int64_t> samples) {
  Source out = source;
  out.size = static_cast<int64_t>(samples.size());
  const auto numbers = std::make_shared<const std::vector<int64_t>>(std::move(samples));
  out.sample = [numbers, sample = source.sample](int64_t i) {
    return sample((*numbers)[static_cast<size_t>(i)]);
  };
  return out;
}

std::vector<int64_t> permutation(int64_t count, uint64_t seed, uint64_t epoch) {
  std::vector<int64_t> order(static_cast<size_t>(count));
  std::iota(order.begin(), order.end(), int64_t{0});
  Random random(seed, Purpose::kOrder, epoch);
  for (int64_t i = count - 1; i > 0; --i)
    std::swap(order[static_cast<size_t>(i)], order[static_cast<size_t>(random.below(i + 1))]);
  return order;
}

Source with_input_dims(const Source& source, const Dims& dims) {
  TREADLE_CHECK(
      !source.inputs.empty() && element_count(source.inputs[0].dims) == element_count(dims),
      kInvalidArgument, "data '", source.name, "' of shape ",
      shape_text(source.inputs.empty() ? Dims{} : source.inputs[0].dims),
      " a sample do not fit the model's ", shape_text(dims));
  Source out = source;
  out.inputs[0].dims = dims;
  out.sample = [dims, sample = source.sample](int64_t i) {
    Sample s = sample(i);
    s.inputs[0] = s.inputs[0].reshaped(dims);
    return s;
  };
  return out;
}

}  // namespace treadle
