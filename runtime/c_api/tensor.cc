// Tensors and cancel tokens.
#include "runtime/c_api/handles.h"

using treadle::DType;
using treadle::Tensor;
using treadle::c_api::guarded;
using treadle::c_api::require;

namespace {

treadle::Dims checked_dims(const int64_t* dims, size_t rank) {
  TREADLE_CHECK(rank <= TREADLE_MAX_RANK, kInvalidArgument, "rank ", rank, " is above ",
                TREADLE_MAX_RANK);
  if (rank > 0) require(dims, "dims");
  treadle::Dims out(dims, dims + rank);
  for (int64_t d : out) {
    TREADLE_CHECK(d >= 0, kInvalidArgument, "a dimension is ", d, " in ", treadle::shape_text(out));
  }
  return out;
}

DType checked_dtype(treadle_dtype dtype) {
  TREADLE_CHECK(treadle_dtype_bits(dtype) > 0, kInvalidArgument, "dtype ", dtype,
                " is no fixed-size element type");
  return static_cast<DType>(dtype);
}

}  // namespace

extern "C" {

treadle_status treadle_tensor_create(treadle_dtype dtype, const int64_t* dims, size_t rank,
                                     treadle_tensor** tensor) {
  return guarded([&] {
    require(tensor, "tensor");
    *tensor = new treadle_tensor{Tensor(checked_dtype(dtype), checked_dims(dims, rank))};
  });
}

treadle_status treadle_tensor_wrap(treadle_dtype dtype, const int64_t* dims, size_t rank,
                                   void* data, size_t size, treadle_tensor** tensor) {
  return guarded([&] {
    require(tensor, "tensor");
    const DType type = checked_dtype(dtype);
    treadle::Dims shape = checked_dims(dims, rank);
    const int64_t want = treadle::byte_size(type, treadle::element_count(shape));
    TREADLE_CHECK(static_cast<size_t>(want) == size, kInvalidArgument, "the buffer has ", size,
                  " bytes, ", treadle::dtype_name(type), treadle::shape_text(shape), " has ", want);
    if (want > 0) require(data, "data");
    const auto align =
        static_cast<size_t>(std::max(8, std::min(64, treadle::dtype_bits(type))) / 8);
    TREADLE_CHECK(reinterpret_cast<uintptr_t>(data) % align == 0, kInvalidArgument,
                  "the buffer is not aligned to its elements (", align, " bytes)");
    *tensor =
        new treadle_tensor{Tensor(type, std::move(shape), treadle::Buffer::borrow(data, size))};
  });
}

treadle_status treadle_tensor_create_strings(const int64_t* dims, size_t rank,
                                             const char* const* strings, treadle_tensor** tensor) {
  return guarded([&] {
    require(tensor, "tensor");
    auto handle = std::make_unique<treadle_tensor>(
        treadle_tensor{Tensor(DType::kString, checked_dims(dims, rank))});
    const auto out = handle->tensor.data<std::string>();
    if (!out.empty()) require(strings, "strings");
    for (size_t i = 0; i < out.size(); ++i) {
      require(strings[i], "strings[i]");
      out[i] = strings[i];
    }
    *tensor = handle.release();
  });
}

void treadle_tensor_release(treadle_tensor* tensor) { delete tensor; }

treadle_dtype treadle_tensor_dtype(const treadle_tensor* tensor) {
  return tensor == nullptr ? TREADLE_UNDEFINED : static_cast<treadle_dtype>(tensor->tensor.dtype());
}
size_t treadle_tensor_rank(const treadle_tensor* tensor) {
  return tensor == nullptr ? 0 : tensor->tensor.dims().size();
}
const int64_t* treadle_tensor_dims(const treadle_tensor* tensor) {
  return tensor == nullptr ? nullptr : tensor->tensor.dims().data();
}
size_t treadle_tensor_count(const treadle_tensor* tensor) {
  return tensor == nullptr ? 0 : static_cast<size_t>(tensor->tensor.count());
}
size_t treadle_tensor_size(const treadle_tensor* tensor) {
  return tensor == nullptr ? 0 : tensor->tensor.bytes();
}
void* treadle_tensor_data(treadle_tensor* tensor) {
  return tensor == nullptr ? nullptr : tensor->tensor.raw();
}

const char* treadle_tensor_string(const treadle_tensor* tensor, size_t index) {
  if (tensor == nullptr || tensor->tensor.dtype() != DType::kString ||
      index >= treadle_tensor_count(tensor)) {
    return nullptr;
  }
  return tensor->tensor.data<std::string>()[index].c_str();
}

treadle_status treadle_cancel_create(treadle_cancel** cancel) {
  return guarded([&] {
    require(cancel, "cancel");
    *cancel = new treadle_cancel();
  });
}
void treadle_cancel_signal(treadle_cancel* cancel) {
  if (cancel != nullptr) cancel->token.cancel();
}
void treadle_cancel_release(treadle_cancel* cancel) { delete cancel; }

}  // extern "C"
