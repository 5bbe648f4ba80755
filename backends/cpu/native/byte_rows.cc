#include "backends/cpu/native/byte_rows.h"

#include "backends/cpu/native/lines.h"

namespace treadle::cpu {

int64_t ByteRows::row_bytes() const {
  return pointer_bytes(1) + windows_.copied() + functions_.form.copy_bytes(depth());
}

int64_t ByteRows::bytes(int64_t rows) const {
  return whole_lines(pointer_bytes(rows)) +
         whole_lines(checked_mul(rows, windows_.copied() + functions_.form.copy_bytes(depth())));
}

const uint8_t* const* ByteRows::find(const Source& source, const Range& rows,
                                     std::byte* memory) const {
  auto** found = reinterpret_cast<const uint8_t**>(memory);
  auto* copies = reinterpret_cast<uint8_t*>(memory) + whole_lines(pointer_bytes(rows.most));
  windows_.find({source.x, rows.group, source.padding}, rows.first, rows.count, found, copies);
  if (functions_.form.kind == ByteKind::kParts) return found;
  if (functions_.form.kind == ByteKind::kTiles && are_tiles(found, rows.count, source.flip))
    return found;
  uint8_t* row = copies + rows.most * windows_.copied();
  const int64_t step = functions_.form.copy_bytes(depth());
  functions_.copy({.parts = found,
                   .rows = static_cast<size_t>(rows.count),
                   .count = static_cast<size_t>(parts()),
                   .part_bytes = static_cast<size_t>(part_bytes()),
                   .flip = source.flip,
                   .to = row,
                   .step = static_cast<size_t>(step)});
  for (int64_t i = 0; i < rows.count; ++i) found[i] = row + i * step;
  return found;
}

bool ByteRows::are_tiles(const uint8_t* const* parts, int64_t count, uint8_t flip) const {
  if (flip != 0 || windows_.count() > 1 || functions_.form.weight_rows(depth()) != depth())
    return false;
  for (int64_t i = 2; i < count; ++i) {
    if (parts[i] - parts[i - 1] != parts[1] - parts[0]) return false;
  }
  return true;
}

}  // namespace treadle::cpu
