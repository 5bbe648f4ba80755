#include "backends/backend.h"

namespace treadle {

std::shared_ptr<Buffer> PackCache::get(const Tensor& source, const std::string& key,
                                       const std::function<std::shared_ptr<Buffer>()>& make) {
  const std::lock_guard lock(mutex_);
  Entry& entry = entries_[{source.raw(), key}];
  if (!entry.packed) {
    entry.source = source.buffer();
    entry.packed = make();
  }
  return entry.packed;
}

size_t PackCache::bytes() const {
  const std::lock_guard lock(mutex_);
  size_t sum = 0;
  for (const auto& [key, entry] : entries_) sum += entry.packed ? entry.packed->size() : 0;
  return sum;
}

std::vector<size_t> plain_adjacent_parts(const TensorSpec& whole,
                                         const std::vector<TensorSpec>& parts, int64_t axis) {
  for (int64_t i = 0; i < axis; ++i) {
    if (whole.dims[static_cast<size_t>(i)] != 1) return {};
  }
  if (dtype_bits(whole.dtype) < 8) return {};
  std::vector<size_t> offsets;
  size_t offset = 0;
  for (const TensorSpec& part : parts) {
    offsets.push_back(offset);
    offset += static_cast<size_t>(byte_size(part.dtype, element_count(part.dims)));
  }
  return offsets;
}

}  // namespace treadle
