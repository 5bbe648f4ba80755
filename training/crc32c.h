// CRC-32C (Castagnoli), as iSCSI, ext4 and TensorBoard's records have it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace treadle {

// Of the bytes after those whose CRC is `before`.
uint32_t crc32c(std::span<const std::byte> bytes, uint32_t before = 0);

}  // namespace treadle
