#include "graph/base/tensor.h"

#include <sys/mman.h>

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <new>

#include "graph/base/lasting.h"
#include "graph/base/pages.h"

namespace treadle {

int64_t byte_size(DType dtype, int64_t count) {
  const int bits = dtype_bits(dtype);
  if (bits >= 8) return checked_mul(count, bits / 8);
  return bits == 0 ? 0 : ceil_div(checked_mul(count, bits), 8);
}

namespace {

std::byte* allocate_bytes(size_t rounded) {
  const bool huge = take_huge(rounded);
  void* data = nullptr;
  // Not std::aligned_alloc, which demands a multiple of the alignment.
  if (::posix_memalign(&data, huge ? kHugePage : kAlignment, rounded) != 0) data = nullptr;
  if (huge && data == nullptr) give_huge(rounded);
  // Whole pages only; the system may refuse.
  if (huge && data != nullptr) ::madvise(data, rounded / kHugePage * kHugePage, MADV_HUGEPAGE);
  return static_cast<std::byte*>(data);
}

// For bytes that are soon given back.
std::shared_ptr<Buffer> allocate_brief(size_t bytes) {
  // Small ones too would leave holes among what is allocated meanwhile and stays.
  constexpr size_t kLarge = size_t{16} << 10;
  if (bytes < kLarge) return Buffer::allocate(bytes);
  const std::shared_ptr<void> pages = map_brief_pages(bytes);
  return Buffer::wrap(pages.get(), bytes, pages);
}

size_t rounded_up(size_t bytes) {
  return (bytes / kAlignment + 1) * kAlignment;  // never zero: a valid address for empty tensors
}

}  // namespace

uint8_t packed_element(const std::byte* raw, int bits, int64_t i) {
  const int64_t byte = i * bits / 8;
  const auto shift = static_cast<int>(i * bits % 8);
  auto window = static_cast<unsigned>(raw[byte]);
  if (shift + bits > 8) window |= static_cast<unsigned>(raw[byte + 1]) << 8;
  return static_cast<uint8_t>((window >> shift) & ((1u << bits) - 1));
}

void put_packed_element(std::byte* raw, int bits, int64_t i, uint8_t element) {
  const int64_t byte = i * bits / 8;
  const auto shift = static_cast<int>(i * bits % 8);
  const unsigned window = (element & ((1u << bits) - 1)) << shift;
  raw[byte] |= static_cast<std::byte>(window & 0xff);
  if (shift + bits > 8) raw[byte + 1] |= static_cast<std::byte>(window >> 8);
}

struct Buffer::Deferred {
  std::mutex mutex;                // held while the bytes are produced
  Fill fill;                       // until they stay
  std::weak_ptr<Buffer> resident;  // the last that was handed out
  std::shared_ptr<Buffer> kept;    // the bytes that stay

  std::shared_ptr<Buffer> produce(size_t bytes, std::shared_ptr<Buffer> (*allocate)(size_t)) {
    if (kept != nullptr) return kept;
    if (auto shared = resident.lock()) return shared;
    auto made = allocate(bytes);
    fill({made->data(), bytes});
    resident = made;
    return made;
  }
};

Buffer::Buffer(std::byte* data, size_t size, bool owned, std::shared_ptr<void> owner)
    : data_(data), size_(size), owned_(owned), owner_(std::move(owner)) {}

std::shared_ptr<Buffer> Buffer::allocate(size_t bytes) {
  TREADLE_CHECK(bytes <= SIZE_MAX - 2 * kAlignment, kLimit, "size overflows: ", bytes, " bytes");
  std::byte* data = allocate_bytes(rounded_up(bytes));
  TREADLE_CHECK(data != nullptr, kOutOfMemory, "cannot allocate ", bytes, " bytes");
  return std::shared_ptr<Buffer>(new Buffer(data, bytes, true, nullptr));
}
std::shared_ptr<Buffer> Buffer::borrow(void* data, size_t bytes) {
  return wrap(data, bytes, nullptr);
}
std::shared_ptr<Buffer> Buffer::wrap(void* data, size_t bytes, std::shared_ptr<void> owner) {
  return std::shared_ptr<Buffer>(
      new Buffer(static_cast<std::byte*>(data), bytes, false, std::move(owner)));
}
std::shared_ptr<Buffer> Buffer::defer(size_t bytes, Fill fill) {
  std::shared_ptr<Buffer> buffer(new Buffer(nullptr, bytes, false, nullptr));
  buffer->deferred_ = std::make_unique<Deferred>();
  buffer->deferred_->fill = std::move(fill);
  return buffer;
}
Buffer::~Buffer() {
  if (!owned_) return;
  std::byte* data = data_.load(std::memory_order_relaxed);
  // The allocator aligns other memory less: its own header comes first.
  const bool huge =
      rounded_up(size_) >= kHugePage && reinterpret_cast<uintptr_t>(data) % kHugePage == 0;
  if (huge) give_huge(rounded_up(size_));
  std::free(data);
}

bool Buffer::in_memory() const {
  if (deferred_ == nullptr) return true;
  const std::lock_guard lock(deferred_->mutex);
  return deferred_->kept != nullptr || !deferred_->resident.expired();
}

std::shared_ptr<Buffer> Buffer::resident(bool lasting) const {
  TREADLE_CHECK(deferred_ != nullptr, kInternal, "the buffer is not deferred");
  const std::lock_guard lock(deferred_->mutex);
  return deferred_->produce(size_, lasting ? allocate_lasting : allocate_brief);
}

void Buffer::copy_to(std::span<std::byte> to, size_t offset) const {
  if (to.empty()) return;
  if (deferred_ == nullptr) {
    std::memcpy(to.data(), data() + offset, to.size());
    return;
  }
  const std::lock_guard lock(deferred_->mutex);
  const bool in_memory = deferred_->kept != nullptr || !deferred_->resident.expired();
  if (!in_memory && to.size() == size_) return deferred_->fill(to);
  std::memcpy(to.data(), deferred_->produce(size_, allocate_brief)->data() + offset, to.size());
}

std::byte* Buffer::keep() const {
  const std::lock_guard lock(deferred_->mutex);
  deferred_->kept = deferred_->produce(size_, Buffer::allocate);
  deferred_->fill = nullptr;  // what it holds is needed no more
  data_.store(deferred_->kept->data(), std::memory_order_release);
  return deferred_->kept->data();
}

Tensor::Tensor(DType dtype, Dims dims)
    : dtype_(dtype), dims_(std::move(dims)), count_(element_count(dims_)) {
  if (dtype_ == DType::kString) {
    strings_ = std::make_shared<std::vector<std::string>>(static_cast<size_t>(count_));
  } else {
    buffer_ = Buffer::allocate(bytes());
    bytes_at_ = buffer_->data();
  }
}

Tensor::Tensor(DType dtype, Dims dims, std::shared_ptr<Buffer> buffer, size_t offset)
    : dtype_(dtype),
      dims_(std::move(dims)),
      count_(element_count(dims_)),
      buffer_(std::move(buffer)),
      offset_(offset) {
  TREADLE_CHECK(dtype_ != DType::kString, kInternal, "a string tensor has no buffer");
  TREADLE_CHECK(offset <= buffer_->size() && bytes() <= buffer_->size() - offset, kInvalidArgument,
                "a buffer of ", buffer_->size(), " bytes is too short for ", dtype_name(dtype_),
                shape_text(dims_), " (", bytes(), " bytes)");
  if (!buffer_->deferred()) bytes_at_ = buffer_->data() + offset;
}

Tensor Tensor::zeros(DType dtype, Dims dims) {
  Tensor t(dtype, std::move(dims));
  if (t.bytes_at_ != nullptr) std::memset(t.bytes_at_, 0, t.bytes());
  return t;
}

void Tensor::check_type(DType wanted) const {
  TREADLE_CHECK(dtype_ == wanted, kInternal, "a tensor of ", dtype_name(dtype_), " read as ",
                dtype_name(wanted));
}

Tensor Tensor::resident(bool lasting) const {
  if (bytes_at_ != nullptr || buffer_ == nullptr || !buffer_->deferred()) return *this;
  Tensor loaded = *this;
  loaded.buffer_ = buffer_->resident(lasting);
  loaded.bytes_at_ = loaded.buffer_->data() + offset_;
  return loaded;
}

std::pair<const void*, size_t> Tensor::identity() const {
  if (buffer_ != nullptr && buffer_->deferred()) return {buffer_.get(), offset_};
  return {bytes_at_, 0};
}

Tensor Tensor::clone() const {
  if (!defined()) return {};
  Tensor copy(dtype_, dims_);
  if (strings_) {
    *copy.strings_ = *strings_;
  } else if (count_ != 0) {
    copy_to(copy);
  }
  return copy;
}

void Tensor::copy_to(Tensor& to) const {
  TREADLE_CHECK(to.dtype_ == dtype_ && to.count_ == count_ && !strings_, kInternal, "a copy of ",
                dtype_name(dtype_), shape_text(dims_), " as ", dtype_name(to.dtype_),
                shape_text(to.dims_));
  if (buffer_ != nullptr) buffer_->copy_to({to.raw(), to.bytes()}, offset_);
}

Tensor Tensor::reshaped(Dims dims) const {
  TREADLE_CHECK(element_count(dims) == count_, kInvalidArgument, "cannot reshape ",
                shape_text(dims_), " to ", shape_text(dims));
  Tensor view = *this;
  view.dims_ = std::move(dims);
  return view;
}

namespace {
template <class To>
std::vector<To> convert(const Tensor& t) {
  return dispatch(t.dtype(), NumberOrBoolTypes{}, [&]<class T>() {
    std::vector<To> out;
    out.reserve(static_cast<size_t>(t.count()));
    const Tensor loaded = t.resident();
    for (T x : loaded.data<T>()) out.push_back(static_cast<To>(x));
    return out;
  });
}
}  // namespace

std::vector<int64_t> Tensor::to_ints() const {
  TREADLE_CHECK(is_integer(dtype_) || dtype_ == DType::kBool, kUnsupported,
                "expected integers, got ", dtype_name(dtype_));
  return convert<int64_t>(*this);
}
std::vector<double> Tensor::to_doubles() const { return convert<double>(*this); }

const Tensor& Value::tensor() const {
  const Tensor* t = std::get_if<Tensor>(this);
  TREADLE_CHECK(t != nullptr, kInvalidData, "expected a tensor, got ",
                empty() ? "nothing" : "a sequence, map or optional");
  return *t;
}

}  // namespace treadle
