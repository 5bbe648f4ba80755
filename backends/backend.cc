#include "backends/backend.h"

#include <set>

namespace treadle {

std::shared_ptr<Buffer> PackCache::get(const Tensor& source, const std::string& key,
                                       const std::function<std::shared_ptr<Buffer>()>& make) {
  const std::pair<const void*, std::string> name{source.raw(), key};
  {
    const std::lock_guard lock(mutex_);
    const auto it = entries_.find(name);
    if (it != entries_.end()) return it->second.packed;
  }
  // Not under the lock: packing takes long. Where two threads pack the same, the first is kept.
  Entry entry{source.buffer(), make()};
  const std::lock_guard lock(mutex_);
  return entries_.emplace(name, std::move(entry)).first->second.packed;
}

size_t PackCache::bytes() const {
  const std::lock_guard lock(mutex_);
  std::set<const Buffer*> counted;  // one form may serve two keys
  size_t sum = 0;
  for (const auto& [key, entry] : entries_) {
    if (counted.insert(entry.packed.get()).second) sum += entry.packed->size();
  }
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
