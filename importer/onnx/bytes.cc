#include "importer/onnx/bytes.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "graph/base/lasting.h"

namespace treadle::onnx {
namespace {
constexpr size_t kDeferred = size_t{16} << 10;  // what is smaller is read at once
}

std::shared_ptr<Bytes> Bytes::open(const std::filesystem::path& path, Access access) {
  // O_NONBLOCK: opening a FIFO must not wait for a writer.
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  TREADLE_CHECK(fd >= 0, kIo, "cannot open the file: ", std::strerror(errno));
  auto bytes = adopt(fd, "the file", access);
  bytes->label_ = cat("file '", path.string(), "'");
  return bytes;
}

std::shared_ptr<Bytes> Bytes::adopt(int fd, std::string name, Access access) {
  std::shared_ptr<Bytes> bytes(new Bytes);
  bytes->fd_ = fd;
  bytes->name_ = std::move(name);
  bytes->label_ = bytes->name_;
  bytes->access_ = access;
  struct stat info {};
  TREADLE_CHECK(::fstat(fd, &info) == 0, kIo, "cannot read ", bytes->name_, ": ",
                std::strerror(errno));
  TREADLE_CHECK(S_ISREG(info.st_mode), kIo, bytes->name_, " is not a regular file");
  bytes->size_ = info.st_size;
  bytes->modified_ = info.st_mtim;
  if (access != Access::kMap || info.st_size == 0) return bytes;
  const auto size = static_cast<size_t>(info.st_size);
  void* at = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
  TREADLE_CHECK(at != MAP_FAILED, kIo, "cannot map ", bytes->name_, ": ", std::strerror(errno));
  bytes->mapping_ = std::shared_ptr<void>(at, [size](void* p) { ::munmap(p, size); });
  return bytes;
}

std::shared_ptr<Bytes> Bytes::over(std::span<const std::byte> memory) {
  std::shared_ptr<Bytes> bytes(new Bytes);
  bytes->memory_ = memory.data();
  bytes->size_ = static_cast<int64_t>(memory.size());
  bytes->name_ = "memory";
  return bytes;
}

Bytes::~Bytes() {
  if (fd_ >= 0) ::close(fd_);
}

void Bytes::read(int64_t offset, std::span<std::byte> to) const {
  const auto wanted = static_cast<int64_t>(to.size());
  TREADLE_CHECK(offset >= 0 && offset <= size_ && wanted <= size_ - offset, kIo, name_,
                " ends at byte ", size_, ": ", wanted, " bytes at ", offset, " are not there");
  if (memory_ != nullptr) {
    if (!to.empty()) std::memcpy(to.data(), memory_ + offset, to.size());
    return;
  }
  size_t done = 0;
  while (done < to.size()) {
    const ssize_t n = ::pread(fd_, to.data() + done, to.size() - done,
                              static_cast<off_t>(offset) + static_cast<off_t>(done));
    if (n < 0 && errno == EINTR) continue;
    TREADLE_CHECK(n >= 0, kIo, "cannot read ", name_, ": ", std::strerror(errno));
    TREADLE_CHECK(n > 0, kIo, name_, " became shorter while it was read");
    done += static_cast<size_t>(n);
  }
}

// Bytes written over since the load are those of another model.
void Bytes::check_unchanged() const {
  struct stat info {};
  TREADLE_CHECK(::fstat(fd_, &info) == 0, kIo, "cannot read ", name_, ": ", std::strerror(errno));
  const bool same = info.st_size == size_ && info.st_mtim.tv_sec == modified_.tv_sec &&
                    info.st_mtim.tv_nsec == modified_.tv_nsec;
  TREADLE_CHECK(same, kIo, name_, " has changed since it was loaded");
}

Tensor Bytes::tensor(DType dtype, Dims dims, int64_t offset, const std::string& name) const {
  const int64_t alignment = std::max(1, dtype_bits(dtype) / 8);
  if (mapping_ && offset % alignment == 0) {
    auto whole = Buffer::wrap(mapping_.get(), static_cast<size_t>(size_), mapping_);
    return Tensor(dtype, std::move(dims), std::move(whole), static_cast<size_t>(offset));
  }
  const auto bytes = static_cast<size_t>(byte_size(dtype, element_count(dims)));
  // Bools are looked at once they are read (TensorReader).
  if (access_ == Access::kDefer && bytes >= kDeferred && dtype != DType::kBool) {
    auto fill = [self = shared_from_this(), offset, name](std::span<std::byte> to) {
      try {
        self->read(offset, to);
        self->check_unchanged();
      } catch (Error& e) {
        e.add_context(cat("tensor '", name, "' of ", self->label_));
        throw;
      }
    };
    return Tensor(dtype, std::move(dims), Buffer::defer(bytes, std::move(fill)));
  }
  Tensor t(dtype, std::move(dims), allocate_lasting(bytes));
  read(offset, {t.raw(), t.bytes()});
  return t;
}

}  // namespace treadle::onnx
