#include "tools/treadle/files.h"

#include <span>

#include "importer/file_writer.h"

namespace treadle::tool {

void write_file(const std::filesystem::path& path, std::string_view bytes) {
  FileWriter file(path);
  file.write(std::as_bytes(std::span(bytes)));
  file.commit();
}

}  // namespace treadle::tool
