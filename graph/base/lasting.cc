#include "graph/base/lasting.h"

#include <algorithm>
#include <mutex>

#include "graph/base/pages.h"

namespace treadle {
namespace {

// Chunks grow from the first size to the largest, which lies in huge pages.
constexpr size_t kFirst = size_t{256} << 10;
constexpr size_t kLargest = size_t{4} << 20;

// Large ones in pages of their own, which do not stay when the plans that read them go.
std::shared_ptr<Buffer> allocate_whole(size_t bytes) {
  if (bytes <= kFirst) return Buffer::allocate(bytes);
  const std::shared_ptr<void> pages = map_pages(bytes);
  return Buffer::wrap(pages.get(), bytes, pages);
}

class Chunks {
 public:
  std::shared_ptr<Buffer> take(size_t bytes) {
    const size_t rounded = (bytes / kAlignment + 1) * kAlignment;
    const std::lock_guard lock(mutex_);
    std::shared_ptr<Buffer> chunk = current_.lock();
    if (chunk == nullptr || size_ - used_ < rounded) {
      size_ = chunk == nullptr ? kFirst : std::min(2 * size_, kLargest);
      while (size_ < 2 * rounded) size_ *= 2;
      chunk = allocate_whole(size_);
      current_ = chunk;
      used_ = 0;
    }
    std::byte* at = chunk->data() + used_;
    used_ += rounded;
    return Buffer::wrap(at, bytes, std::move(chunk));
  }

 private:
  std::mutex mutex_;
  std::weak_ptr<Buffer> current_;
  size_t size_ = 0;  // of the current chunk
  size_t used_ = 0;
};

}  // namespace

std::shared_ptr<Buffer> allocate_lasting(size_t bytes) {
  static Chunks chunks;
  return bytes < kLargest / 4 ? chunks.take(bytes) : allocate_whole(bytes);
}

}  // namespace treadle
