#include "importer/onnx/external.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace treadle::onnx {
namespace {

constexpr size_t kMostDeferred = 16;  // files that stay open; a process may open some hundreds

// Resolves and opens in one system call, so that nothing can be exchanged in between. -1 and errno.
int open_beneath(const std::filesystem::path& folder, const std::string& name, uint64_t extra) {
  const int dir = ::open(folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (dir < 0) return -1;
  open_how how{};
  how.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | extra;
  const long fd = ::syscall(SYS_openat2, dir, name.c_str(), &how, sizeof how);
  const int error = errno;
  ::close(dir);
  errno = error;
  return static_cast<int>(fd);
}

// Hugging Face's cache: snapshots/<revision>/model.onnx and its data are links to
// ../../blobs/<hash>.
int open_beside_target(const std::filesystem::path& model, const std::filesystem::path& entry) {
  std::error_code error;
  if (model.empty() || !std::filesystem::is_symlink(model, error)) return -1;
  const auto model_target = std::filesystem::canonical(model, error);
  if (error) return -1;
  const auto target = std::filesystem::canonical(entry, error);
  if (error || target.parent_path() != model_target.parent_path()) return -1;
  return open_beneath(target.parent_path(), target.filename().string(), RESOLVE_NO_SYMLINKS);
}

}  // namespace

const Bytes& ExternalFiles::open(const std::string& location) {
  if (const auto it = opened_.find(location); it != opened_.end()) return *it->second;
  TREADLE_CHECK(!folder_.empty(), kInvalidModel, "external data '", location,
                "' is refused: the model comes from memory and no folder was given");
  TREADLE_CHECK(!location.empty() && location.find('\0') == std::string::npos, kInvalidModel,
                "external data has an empty or malformed location");
  int fd = open_beneath(folder_, location, 0);
  if (fd < 0 && errno == EXDEV) {
    fd = open_beside_target(model_, folder_ / location);
    TREADLE_CHECK(fd >= 0, kInvalidModel, "external data '", location,
                  "' lies outside the model's folder '", folder_.string(), "'");
  }
  TREADLE_CHECK(fd >= 0, kInvalidModel, "cannot open external data '", location, "' in '",
                folder_.string(), "': ", std::strerror(errno));
  const bool many = access_ == Access::kDefer && opened_.size() >= kMostDeferred;
  try {
    return *(opened_[location] = Bytes::adopt(fd, cat("external data '", location, "'"),
                                              many ? Access::kRead : access_));
  } catch (const Error& e) {
    throw e.as(Code::kInvalidModel);
  }
}

}  // namespace treadle::onnx
