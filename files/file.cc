#include "files/file.h"

#include <fstream>

#include "graph/base/error.h"

namespace treadle {
namespace fs = std::filesystem;

std::string read_file(const fs::path& path) {
  TREADLE_CHECK(fs::is_regular_file(path), kIo, "cannot read '", path.string(), "': no such file");
  std::ifstream in(path, std::ios::binary);
  std::string bytes(static_cast<size_t>(fs::file_size(path)), '\0');
  in.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  TREADLE_CHECK(in.good() || bytes.empty(), kIo, "cannot read '", path.string(), "'");
  return bytes;
}

}  // namespace treadle
