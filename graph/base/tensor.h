// Tensor: a typed, row-major, contiguous block of elements; and Value, what a run-time value can
// be.
#pragma once

#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "graph/base/dtype.h"
#include "graph/base/shape.h"

namespace treadle {

// Bytes of `count` packed elements (sub-byte types round up); kLimit on overflow.
int64_t byte_size(DType dtype, int64_t count);

// Element i of elements of less than a byte, which follow each other from the lowest bit on; and
// its writer, over zeros. `bits` is dtype_bits(), at most 8.
uint8_t packed_element(const std::byte* raw, int bits, int64_t i);
void put_packed_element(std::byte* raw, int bits, int64_t i, uint8_t element);

inline constexpr size_t kAlignment = 64;

// Shared bytes, 64-byte aligned when owned. Borrowed bytes must outlive every tensor over them.
// Thread-safe, but for what is written into the bytes.
class Buffer {
 public:
  using Fill = std::function<void(std::span<std::byte>)>;
  // Uninitialised bytes; kOutOfMemory when the system has none.
  static std::shared_ptr<Buffer> allocate(size_t bytes);
  static std::shared_ptr<Buffer> borrow(void* data, size_t bytes);
  // Keeps `owner` alive as long as the buffer.
  static std::shared_ptr<Buffer> wrap(void* data, size_t bytes, std::shared_ptr<void> owner);
  // Bytes that `fill` produces when they are asked for, the same each time: read from a file, or
  // computed from other buffers. What it throws, the asker gets, and the next one asks again.
  static std::shared_ptr<Buffer> defer(size_t bytes, Fill fill);
  ~Buffer();
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  // Of a deferred buffer: produces the bytes, which then stay as long as the buffer.
  std::byte* data() const {
    std::byte* at = data_.load(std::memory_order_acquire);
    return at != nullptr || deferred_ == nullptr ? at : keep();
  }
  size_t size() const { return size_; }
  bool deferred() const { return deferred_ != nullptr; }
  // Whether the bytes lie in memory now.
  bool in_memory() const;
  // Of a deferred buffer: one of the same bytes that frees them with its last holder. Who asks
  // meanwhile shares it. `lasting`: it will be held for long, not just read; brief ones may lie in
  // much larger pages (BriefPages).
  std::shared_ptr<Buffer> resident(bool lasting = false) const;
  // Copies to.size() bytes from `offset` on, which leaves the buffer as it is: where all are wanted
  // and none is in memory, they are produced in `to`.
  void copy_to(std::span<std::byte> to, size_t offset = 0) const;

 private:
  struct Deferred;
  Buffer(std::byte* data, size_t size, bool owned, std::shared_ptr<void> owner);
  std::byte* keep() const;
  mutable std::atomic<std::byte*> data_;
  size_t size_;
  bool owned_;
  std::shared_ptr<void> owner_;
  std::unique_ptr<Deferred> deferred_;
};

// Copies share their bytes: `clone` makes an independent one. 4- and 2-bit elements are packed,
// first in the low bits. Elements of a borrowed buffer may be unaligned; `data<T>` checks. Over a
// deferred buffer, raw() and data() load the bytes for good: `resident` does not.
class Tensor {
 public:
  Tensor() = default;  // undefined dtype, no elements
  // Uninitialised elements (strings empty).
  Tensor(DType dtype, Dims dims);
  Tensor(DType dtype, Dims dims, std::shared_ptr<Buffer> buffer, size_t offset = 0);
  template <class T>
  static Tensor of(Dims dims, const std::vector<T>& elements);
  template <class T>
  static Tensor scalar(T element) {
    return of<T>({}, {element});
  }
  static Tensor zeros(DType dtype, Dims dims);

  DType dtype() const { return dtype_; }
  const Dims& dims() const { return dims_; }
  int64_t rank() const { return static_cast<int64_t>(dims_.size()); }
  int64_t dim(size_t i) const { return dims_[i]; }
  int64_t count() const { return count_; }
  size_t bytes() const { return static_cast<size_t>(byte_size(dtype_, count_)); }
  bool defined() const { return dtype_ != DType::kUndefined; }

  const std::byte* raw() const { return at(); }
  std::byte* raw() { return at(); }
  const std::shared_ptr<Buffer>& buffer() const { return buffer_; }

  // Elements as T (std::string included); kInternal when T is not the dtype.
  template <class T>
  std::span<const T> data() const;
  template <class T>
  std::span<T> data();

  // The same elements in memory, at least as long as the result is held; itself when they are
  // there anyway. Not to be written to: others share the bytes. `lasting` as a buffer's.
  Tensor resident(bool lasting = false) const;
  // What tells its bytes from all others' while it lives, without loading them.
  std::pair<const void*, size_t> identity() const;

  Tensor clone() const;
  // Fills `to`, of the same dtype and count (no strings).
  void copy_to(Tensor& to) const;
  // The same elements under other dims of equal count.
  Tensor reshaped(Dims dims) const;
  // All elements converted to int64 (integer and bool dtypes) or double (any number); kUnsupported
  // otherwise.
  std::vector<int64_t> to_ints() const;
  std::vector<double> to_doubles() const;

 private:
  void check_type(DType wanted) const;
  std::byte* at() const {
    return bytes_at_ != nullptr || buffer_ == nullptr ? bytes_at_ : buffer_->data() + offset_;
  }
  DType dtype_ = DType::kUndefined;
  Dims dims_;
  int64_t count_ = 0;
  std::shared_ptr<Buffer> buffer_;
  size_t offset_ = 0;
  std::byte* bytes_at_ = nullptr;  // null over a deferred buffer
  std::shared_ptr<std::vector<std::string>> strings_;
};

struct Value;
using Sequence = std::vector<Value>;
// A map's keys and values in order of insertion (ai.onnx.ml ZipMap): keys int64 or string, 1-D;
// values 1-D.
struct Map {
  Tensor keys;
  Tensor values;
};
struct Optional {
  std::shared_ptr<const Value> value;  // null = empty
};
// What flows between nodes at run time.
struct Value : std::variant<std::monostate, Tensor, std::shared_ptr<const Sequence>,
                            std::shared_ptr<const Map>, Optional> {
  using variant::variant;
  bool empty() const { return index() == 0; }
  bool is_tensor() const { return std::holds_alternative<Tensor>(*this); }
  // kInvalidData when it is something else.
  const Tensor& tensor() const;
};

template <class T>
std::span<const T> Tensor::data() const {
  check_type(dtype_of<T>);
  if constexpr (std::is_same_v<T, std::string>) {
    return {strings_->data(), static_cast<size_t>(count_)};
  } else {
    return {reinterpret_cast<const T*>(at()), static_cast<size_t>(count_)};
  }
}
template <class T>
std::span<T> Tensor::data() {
  check_type(dtype_of<T>);
  if constexpr (std::is_same_v<T, std::string>) {
    return {strings_->data(), static_cast<size_t>(count_)};
  } else {
    return {reinterpret_cast<T*>(at()), static_cast<size_t>(count_)};
  }
}
template <class T>
Tensor Tensor::of(Dims dims, const std::vector<T>& elements) {
  Tensor t(dtype_of<T>, std::move(dims));
  TREADLE_CHECK(t.count() == static_cast<int64_t>(elements.size()), kInvalidArgument,
                elements.size(), " elements for shape ", shape_text(t.dims()));
  auto out = t.data<T>();
  for (size_t i = 0; i < elements.size(); ++i) out[i] = elements[i];
  return t;
}

}  // namespace treadle
