#include "runtime/slots.h"

namespace treadle {

SlotId Slots::add(const TensorSpec& spec, size_t bytes) {
  Slot slot;
  slot.spec = spec;
  slot.bytes = bytes;
  slots_.push_back(std::move(slot));
  return size() - 1;
}

Located Slots::locate(SlotId id) const {
  size_t offset = 0;
  while ((*this)[id].parent != kNoSlot) {
    offset += (*this)[id].offset;
    id = (*this)[id].parent;
  }
  return {id, offset};
}

bool Slots::is_whole(SlotId id) const {
  const Located at = locate(id);
  return at.offset == 0 && (*this)[at.root].bytes == (*this)[id].bytes;
}

void Slots::attach(SlotId child, SlotId parent, size_t offset) {
  (*this)[child].parent = parent;
  (*this)[child].offset = offset;
}

}  // namespace treadle
