// Memory by pages, straight from the system.
#pragma once

#include <cstddef>
#include <memory>

namespace treadle {

inline constexpr size_t kHugePage = size_t{2} << 20;

// Whether that many bytes may lie in huge pages: then give_huge() when they are freed.
bool take_huge(size_t bytes);
void give_huge(size_t bytes);

// Pages that the system gets back when their last holder is gone; the allocator would keep them, as
// holes between what stays. kOutOfMemory when the system has none.
std::shared_ptr<void> map_pages(size_t bytes);
// The same, for bytes that are all written at once and soon given back.
std::shared_ptr<void> map_brief_pages(size_t bytes);

}  // namespace treadle
