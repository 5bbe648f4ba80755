// Slots: a value in one layout. Slots that share bytes form a tree whose root
// owns a buffer.
#pragma once

#include <limits>
#include <vector>

#include "backends/backend.h"
#include "runtime/plan.h"

namespace treadle {

using SlotId = int32_t;
inline constexpr SlotId kNoSlot = -1;
inline constexpr size_t kForever = std::numeric_limits<size_t>::max();

struct Slot {
  TensorSpec spec;
  size_t bytes = 0;
  SlotId parent = kNoSlot;  // kNoSlot: a root
  size_t offset = 0;        // within the parent
  // Of roots:
  Place::Kind kind = Place::Kind::kArena;
  uint32_t index = 0;       // of the input, output or constant
  size_t first = kForever;  // step of the first write; kForever: never written
  size_t last = 0;          // step of the last read or write
};

struct Located {
  SlotId root;
  size_t offset;
  bool operator==(const Located&) const = default;
};

class Slots {
 public:
  SlotId add(const TensorSpec& spec, size_t bytes);
  Slot& operator[](SlotId id) { return slots_[static_cast<size_t>(id)]; }
  const Slot& operator[](SlotId id) const { return slots_[static_cast<size_t>(id)]; }
  SlotId size() const { return static_cast<SlotId>(slots_.size()); }
  Located locate(SlotId id);
  Slot& root(SlotId id) { return (*this)[locate(id).root]; }
  // The slot covers the whole buffer of its root.
  bool is_whole(SlotId id);
  // Makes the buffer of root `child` a part of slot `parent`'s.
  void attach(SlotId child, SlotId parent, size_t offset);

 private:
  std::vector<Slot> slots_;
};

}  // namespace treadle
