// Whole files and NumPy's, and results written as a whole or not at all.
#pragma once

#include <memory>

#include "files/file.h"
#include "files/npy.h"

namespace treadle::tool {

// A file in a folder of its own, both gone with the object: what comes from or goes to a pipe, for
// the readers and writers of files.
class Temporary {
 public:
  explicit Temporary(const std::string& name);
  ~Temporary();
  Temporary(const Temporary&) = delete;
  Temporary& operator=(const Temporary&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};
// The standard input, "stdin" with .npy, .npz or .json by its first bytes; kIo.
std::unique_ptr<Temporary> standard_input();

// Writes to a temporary file beside it, then renames; kIo naming it.
void write_file(const std::filesystem::path& path, std::string_view bytes);

}  // namespace treadle::tool
