// Where bytes lie: a file (read by offset, or mapped) or the caller's memory.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>

#include "graph/base/tensor.h"

namespace treadle::onnx {

class Bytes {
 public:
  // A regular file, by path (which the caller's messages name). kIo when it cannot be opened or is
  // something else.
  static std::shared_ptr<Bytes> open(const std::filesystem::path& path, bool map);
  // Takes over an open descriptor; `name` is for messages.
  static std::shared_ptr<Bytes> adopt(int fd, std::string name, bool map);
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
  // file is mapped and the address suits the dtype, else a copy.
  Tensor tensor(DType dtype, Dims dims, int64_t offset) const;

 private:
  Bytes() = default;
  int fd_ = -1;
  int64_t size_ = 0;
  std::string name_;
  const std::byte* memory_ = nullptr;
  std::shared_ptr<void> mapping_;
};

}  // namespace treadle::onnx
