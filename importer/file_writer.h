// Writes a file as a whole or not at all: into a temporary one beside it, which is then renamed.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>

namespace treadle {

class FileWriter {
 public:
  // kIo when the temporary file cannot be made.
  explicit FileWriter(const std::filesystem::path& path);
  ~FileWriter();  // removes the temporary file unless it was committed
  FileWriter(const FileWriter&) = delete;
  FileWriter& operator=(const FileWriter&) = delete;
  void write(std::span<const std::byte> bytes);  // kIo
  void commit();                                 // flushed to the disk, then renamed; kIo

 private:
  [[noreturn]] void fail_io(const char* what) const;
  std::filesystem::path path_;
  std::filesystem::path temporary_;
  int fd_ = -1;
};

}  // namespace treadle
