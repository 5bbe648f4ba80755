#include "runtime/slots.h"

#include <utility>

namespace treadle {

SlotId Slots::add(const TensorSpec& spec, size_t bytes) {
  Slot slot;
  slot.spec = spec;
  slot.bytes = bytes;
  slots_.push_back(std::move(slot));
  return size() - 1;
}

// Every slot on the way is attached to the root itself: a long chain of slots that share a buffer
// is walked only once.
Located Slots::locate(SlotId id) {
  Located at{id, 0};
  for (; (*this)[at.root].parent != kNoSlot; at.root = (*this)[at.root].parent) {
    at.offset += (*this)[at.root].offset;
  }
  for (size_t offset = at.offset; id != at.root;) {
    Slot& slot = (*this)[id];
    id = std::exchange(slot.parent, at.root);
    offset -= std::exchange(slot.offset, offset);
  }
  return at;
}

bool Slots::is_whole(SlotId id) {
  const Located at = locate(id);
  return at.offset == 0 && (*this)[at.root].bytes == (*this)[id].bytes;
}

void Slots::attach(SlotId child, SlotId parent, size_t offset) {
  (*this)[child].parent = parent;
  (*this)[child].offset = offset;
}

}  // namespace treadle
