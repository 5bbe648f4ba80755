#include "tools/treadle/files.h"

#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <iterator>
#include <span>

#include "graph/base/error.h"
#include "importer/file_writer.h"

namespace treadle::tool {
namespace fs = std::filesystem;

Temporary::Temporary(const std::string& name) {
  std::string folder = (fs::temp_directory_path() / "treadle-XXXXXX").string();
  TREADLE_CHECK(mkdtemp(folder.data()) != nullptr, kIo, "cannot make a folder '", folder, "'");
  path_ = fs::path(folder) / name;
}

Temporary::~Temporary() {
  std::error_code ignored;
  fs::remove_all(path_.parent_path(), ignored);
}

std::unique_ptr<Temporary> standard_input() {
  const std::string bytes{std::istreambuf_iterator<char>(std::cin), {}};
  TREADLE_CHECK(!bytes.empty(), kIo, "the standard input is empty");
  const char* kind = bytes.starts_with("\x93NUMPY") ? ".npy"
                     : bytes.starts_with("PK")      ? ".npz"
                                                    : ".json";
  auto file = std::make_unique<Temporary>(cat("stdin", kind));
  write_file(file->path(), bytes);
  return file;
}

void write_file(const std::filesystem::path& path, std::string_view bytes) {
  FileWriter file(path);
  file.write(std::as_bytes(std::span(bytes)));
  file.commit();
}

}  // namespace treadle::tool
