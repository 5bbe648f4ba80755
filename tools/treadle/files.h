// Whole files and NumPy's, and results written as a whole or not at all.
#pragma once

#include "files/file.h"
#include "files/npy.h"

namespace treadle::tool {

// Writes to a temporary file beside it, then renames; kIo naming it.
void write_file(const std::filesystem::path& path, std::string_view bytes);

}  // namespace treadle::tool
