// Where bytes lie: a file (read by offset, now or later, or mapped) or the caller's memory.
#pragma once

#include <cstdint>
#include <ctime>
#include <filesystem>
#include <memory>
#include <span>
#include <string>

#include "graph/base/tensor.h"

namespace treadle::onnx {

// How a file's tensors get their bytes.
enum class Access {
  kRead,   // at once
  kMap,    // they are views of the mapped file
  kDefer,  // large ones when they are asked for: the file stays open as long as they do
};

class Bytes : public std::enable_shared_from_this<Bytes> {
 public:
  // A regular file, by path (which the caller's messages name). kIo when it cannot be opened or is
  // something else.
  static std::shared_ptr<Bytes> open(const std::filesystem::path& path, Access access);
  // Takes over an open descriptor; `name` is for messages.
  static std::shared_ptr<Bytes> adopt(int fd, std::string name, Access access);
  // Memory that outlives the object.
  static std::shared_ptr<Bytes> over(std::span<const std::byte> memory);
  ~Bytes();
  Bytes(const Bytes&) = delete;
  Bytes& operator=(const Bytes&) = delete;

  int64_t size() const { return size_; }
  const std::string& name() const { return name_; }
  // kIo when the bytes are not there.
  void read(int64_t offset, std::span<std::byte> to) const;
  // A tensor of the bytes from `offset` on, which must lie inside: a view of the mapping where the
  // file is mapped and the address suits the dtype; a deferred one; else a copy. `name` is for
  // errors of a deferred one: kIo when the file has changed since.
  Tensor tensor(DType dtype, Dims dims, int64_t offset, const std::string& name) const;

 private:
  Bytes() = default;
  void check_unchanged() const;
  int fd_ = -1;
  int64_t size_ = 0;
  timespec modified_{};
  Access access_ = Access::kRead;
  std::string name_;
  std::string label_;  // for errors that come after the load, which names the file itself
  const std::byte* memory_ = nullptr;
  std::shared_ptr<void> mapping_;
};

}  // namespace treadle::onnx
