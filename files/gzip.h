// Files that may be compressed by gzip.
#pragma once

#include <filesystem>
#include <string>

namespace treadle {

// All bytes of a file, decompressed where it begins as gzip does. kIo; kInvalidArgument for a
// broken stream; kLimit above `max_bytes`, or above 64 MiB and 100 times what is compressed.
std::string read_unzipped(const std::filesystem::path& path, size_t max_bytes = size_t{1} << 34);

}  // namespace treadle
