#include "backends/backend.h"

#include <set>

namespace treadle {

std::shared_ptr<Buffer> PackCache::get(const Tensor& source, const std::string& key,
                                       const Make& make) {
  const Key name{source.identity(), source.dtype(), source.dims(), key};
  {
    const std::lock_guard lock(mutex_);
    const auto it = entries_.find(name);
    auto found = it == entries_.end() ? nullptr : it->second.packed.lock();
    if (found != nullptr) return found;
  }
  // Not under the lock: packing takes long. Where two threads pack the same, the first is kept.
  auto made = make(source.resident());
  const std::lock_guard lock(mutex_);
  Entry& entry = entries_[name];
  if (auto other = entry.packed.lock()) return other;
  entry = {source.buffer(), made};
  sweep();
  return made;
}

void PackCache::sweep() {
  if (entries_.size() < next_sweep_) return;
  std::erase_if(entries_, [](const auto& item) { return item.second.packed.expired(); });
  next_sweep_ = 2 * entries_.size() + 64;
}

size_t PackCache::bytes() const {
  const std::lock_guard lock(mutex_);
  std::set<const Buffer*> counted;  // one form may serve two keys
  size_t sum = 0;
  for (const auto& [key, entry] : entries_) {
    const auto packed = entry.packed.lock();
    if (packed != nullptr && counted.insert(packed.get()).second) sum += packed->size();
  }
  return sum;
}

std::shared_ptr<Buffer> packed(const CompileContext& context, const Tensor& source,
                               const std::string& key, const PackCache::Make& make) {
  auto buffer =
      context.packs == nullptr ? make(source.resident()) : context.packs->get(source, key, make);
  if (context.held != nullptr) context.held->push_back(buffer);
  return buffer;
}

Tensor held_plain(const CompileContext& context, const Tensor& source) {
  Tensor plain = source.resident(true);
  // Bytes that lie in memory anyway are nothing that a plan holds.
  if (context.held != nullptr && plain.buffer() != source.buffer())
    context.held->push_back(plain.buffer());
  return plain;
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
