// Whole files as bytes.
#pragma once

#include <filesystem>
#include <string>

namespace treadle {

// All bytes of a regular file; kIo naming it.
std::string read_file(const std::filesystem::path& path);

}  // namespace treadle
