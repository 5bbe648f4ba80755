// Memory by pages, straight from the system.
#pragma once

#include <array>
#include <cstddef>
#include <memory>

namespace treadle {

inline constexpr size_t kHugePage = size_t{2} << 20;

// Whether that many bytes may lie in huge pages: then give_huge() when they are freed.
bool take_huge(size_t bytes);
void give_huge(size_t bytes);

// Pages, all of which will be written, that the system gets back when their last holder is gone;
// the allocator would keep them, as holes between what stays. kOutOfMemory when it has none.
std::shared_ptr<void> map_pages(size_t bytes);
// The same, for bytes that are soon given back.
std::shared_ptr<void> map_brief_pages(size_t bytes);

// While one lives, the last brief pages that its thread gave back serve the next that it asks for:
// the system clears what it gives, which takes longer than reading a weight into it.
class BriefPages {
 public:
  BriefPages();
  ~BriefPages();
  BriefPages(const BriefPages&) = delete;
  BriefPages& operator=(const BriefPages&) = delete;

 private:
  friend std::shared_ptr<void> map_brief_pages(size_t bytes);
  struct Pages {
    void* data = nullptr;
    size_t bytes = 0;
  };
  static Pages take(size_t bytes);
  static void give_back(Pages pages) noexcept;
  std::array<Pages, 2> kept_;  // a weight, and one that it is made of
  BriefPages* outer_;
};

}  // namespace treadle
