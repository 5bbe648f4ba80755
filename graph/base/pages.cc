#include "graph/base/pages.h"

#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <utility>

#include "graph/base/error.h"

namespace treadle {
namespace {

// First touching a page of 4 KiB takes longer than copying one, so large buffers take huge pages.
// Not beyond so many bytes: a virtual machine whose host takes back free memory has few at hand,
// and is slower with others than with small pages.
constexpr size_t kMostHuge = size_t{128} << 20;
std::atomic<size_t> huge_bytes = 0;

constexpr int kAllAtOnce = MAP_POPULATE;  // takes less time than page by page

void* map(size_t bytes, int flags) {
  void* data =
      ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
  return data == MAP_FAILED ? nullptr : data;
}

}  // namespace

bool take_huge(size_t bytes) {
  if (bytes < kHugePage) return false;
  if (huge_bytes.fetch_add(bytes) + bytes <= kMostHuge) return true;
  huge_bytes.fetch_sub(bytes);
  return false;
}

void give_huge(size_t bytes) { huge_bytes.fetch_sub(bytes); }

std::shared_ptr<void> map_pages(size_t bytes) {
  TREADLE_CHECK(bytes <= SIZE_MAX - kHugePage, kLimit, "size overflows: ", bytes, " bytes");
  const bool huge = take_huge(bytes);
  const size_t whole = bytes + (huge ? kHugePage : 0);  // some to begin at a huge page
  void* data = map(whole, huge ? 0 : kAllAtOnce);
  if (data == nullptr && huge) give_huge(bytes);
  TREADLE_CHECK(data != nullptr, kOutOfMemory, "cannot allocate ", bytes, " bytes");
  const std::shared_ptr<void> owner(data, [bytes, whole, huge](void* p) {
    ::munmap(p, whole);
    if (huge) give_huge(bytes);
  });
  if (!huge) return owner;
  void* first = static_cast<std::byte*>(data) +
                (kHugePage - reinterpret_cast<uintptr_t>(data) % kHugePage) % kHugePage;
  // Whole pages only; the system may refuse.
  ::madvise(first, bytes / kHugePage * kHugePage, MADV_HUGEPAGE);
  return {owner, first};
}

namespace {
thread_local BriefPages* reuse = nullptr;
}  // namespace

BriefPages::BriefPages() : outer_(reuse) { reuse = this; }

BriefPages::~BriefPages() {
  reuse = outer_;
  for (Pages& kept : kept_) give_back(kept);
}

// The smallest that suffice; where none do, the largest make room for what comes.
BriefPages::Pages BriefPages::take(size_t bytes) {
  if (reuse == nullptr) return {};
  auto& kept = reuse->kept_;
  std::ranges::sort(kept, {}, &Pages::bytes);
  for (Pages& pages : kept) {
    if (pages.bytes >= bytes) return std::exchange(pages, {});
  }
  if (kept.back().data != nullptr) ::munmap(kept.back().data, kept.back().bytes);
  kept.back() = {};
  return {};
}

void BriefPages::give_back(Pages pages) noexcept {
  if (reuse != nullptr) {
    const auto least = std::ranges::min_element(reuse->kept_, {}, &Pages::bytes);
    if (least->bytes < pages.bytes) std::swap(*least, pages);
  }
  if (pages.data != nullptr) ::munmap(pages.data, pages.bytes);
}

std::shared_ptr<void> map_brief_pages(size_t bytes) {
  BriefPages::Pages pages = BriefPages::take(bytes);
  if (pages.data == nullptr) {
    // Room for somewhat larger ones, which often follow.
    TREADLE_CHECK(bytes <= SIZE_MAX / 2, kLimit, "size overflows: ", bytes, " bytes");
    const size_t whole = reuse == nullptr ? bytes : bytes + bytes / 8;
    pages = {map(whole, kAllAtOnce), whole};
  }
  TREADLE_CHECK(pages.data != nullptr, kOutOfMemory, "cannot allocate ", bytes, " bytes");
  return {pages.data, [pages](void*) { BriefPages::give_back(pages); }};
}

}  // namespace treadle
