#include "importer/file_writer.h"

#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>

#include "graph/base/error.h"

namespace treadle {

FileWriter::FileWriter(const std::filesystem::path& path) : path_(path), temporary_(path) {
  // A device or pipe would be replaced, not written to.
  std::error_code ignored;
  const auto status = std::filesystem::status(path, ignored);
  TREADLE_CHECK(!std::filesystem::exists(status) || std::filesystem::is_regular_file(status), kIo,
                "cannot replace '", path.string(), "': it is not a regular file");
  static std::atomic<unsigned> count{0};  // two threads may write one path
  temporary_ += cat(".tmp.", ::getpid(), ".", count++);
  fd_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0666);
  if (fd_ < 0) fail_io("create");
}

FileWriter::~FileWriter() {
  if (fd_ >= 0) ::close(fd_);
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

void FileWriter::fail_io(const char* what) const {
  fail(Code::kIo, "cannot ", what, " '", path_.string(), "': ", std::strerror(errno));
}

void FileWriter::write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd_, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail_io("write");
    bytes = bytes.subspan(static_cast<size_t>(n));
  }
}

void FileWriter::commit() {
  if (::fsync(fd_) != 0) fail_io("write");
  const int fd = fd_;
  fd_ = -1;
  if (::close(fd) != 0) fail_io("write");
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) fail_io("replace");
  temporary_.clear();
  // So that the rename itself survives a power cut; a folder that cannot be synced is no error.
  const auto folder = path_.has_parent_path() ? path_.parent_path() : std::filesystem::path(".");
  const int dir = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (dir < 0) return;
  ::fsync(dir);
  ::close(dir);
}

}  // namespace treadle
