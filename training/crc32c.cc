#include "training/crc32c.h"

#include <array>

namespace treadle {
namespace {

constexpr size_t kLanes = 8;
using Tables = std::array<std::array<uint32_t, 256>, kLanes>;

// Table k is a byte's share after k more bytes of zeros, so that eight bytes are taken at once.
constexpr Tables make_tables() {
  Tables t{};
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t c = i;
    for (int bit = 0; bit < 8; ++bit) c = c >> 1 ^ ((c & 1) != 0 ? 0x82f63b78u : 0);
    t[0][i] = c;
  }
  for (size_t k = 1; k < kLanes; ++k) {
    for (size_t i = 0; i < 256; ++i) t[k][i] = t[k - 1][i] >> 8 ^ t[0][t[k - 1][i] & 0xff];
  }
  return t;
}
constexpr Tables kTables = make_tables();

}  // namespace

uint32_t crc32c(std::span<const std::byte> bytes, uint32_t before) {
  uint32_t crc = ~before;
  while (bytes.size() >= kLanes) {
    uint32_t next = 0;
    for (size_t k = 0; k < kLanes; ++k) {
      const uint32_t held = k < 4 ? crc >> (8 * k) & 0xff : 0;
      next ^= kTables[kLanes - 1 - k][held ^ std::to_integer<uint32_t>(bytes[k])];
    }
    crc = next;
    bytes = bytes.subspan(kLanes);
  }
  for (const std::byte b : bytes) {
    crc = crc >> 8 ^ kTables[0][(crc ^ std::to_integer<uint32_t>(b)) & 0xff];
  }
  return ~crc;
}

}  // namespace treadle
