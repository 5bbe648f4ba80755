// Values and cancel tokens.
#include "runtime/c_api/handles.h"

using treadle::DType;
using treadle::Tensor;
using treadle::Value;
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

// The tensor, null when the value is none.
const Tensor* tensor_of(const treadle_value* value) {
  return value == nullptr ? nullptr : std::get_if<Tensor>(&value->value);
}

const treadle::Sequence& sequence_of(const treadle_value* value) {
  return *std::get<std::shared_ptr<const treadle::Sequence>>(value->value);
}

const Value* optional_of(const treadle_value* value) {
  return std::get<treadle::Optional>(value->value).value.get();
}

}  // namespace

extern "C" {

treadle_status treadle_tensor_create(treadle_dtype dtype, const int64_t* dims, size_t rank,
                                     treadle_value** tensor) {
  return guarded([&] {
    require(tensor, "tensor");
    *tensor = new treadle_value{Tensor(checked_dtype(dtype), checked_dims(dims, rank))};
  });
}

treadle_status treadle_tensor_wrap(treadle_dtype dtype, const int64_t* dims, size_t rank,
                                   void* data, size_t size, treadle_value** tensor) {
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
        new treadle_value{Tensor(type, std::move(shape), treadle::Buffer::borrow(data, size))};
  });
}

treadle_status treadle_tensor_create_strings(const int64_t* dims, size_t rank,
                                             const char* const* strings, const size_t* lengths,
                                             treadle_value** tensor) {
  return guarded([&] {
    require(tensor, "tensor");
    Tensor made(DType::kString, checked_dims(dims, rank));
    const auto out = made.data<std::string>();
    if (!out.empty()) require(strings, "strings");
    for (size_t i = 0; i < out.size(); ++i) {
      require(strings[i], "strings[i]");
      out[i] = lengths != nullptr ? std::string(strings[i], lengths[i]) : strings[i];
    }
    *tensor = new treadle_value{std::move(made)};
  });
}

void treadle_value_release(treadle_value* value) { delete value; }

treadle_kind treadle_value_kind(const treadle_value* value) {
  static_assert(std::is_same_v<std::variant_alternative_t<TREADLE_SEQUENCE, Value::variant>,
                               std::shared_ptr<const treadle::Sequence>>);
  static_assert(std::is_same_v<std::variant_alternative_t<TREADLE_OPTIONAL, Value::variant>,
                               treadle::Optional>);
  return value == nullptr ? TREADLE_NONE : static_cast<treadle_kind>(value->value.index());
}

treadle_dtype treadle_tensor_dtype(const treadle_value* tensor) {
  const Tensor* t = tensor_of(tensor);
  return t == nullptr ? TREADLE_UNDEFINED : static_cast<treadle_dtype>(t->dtype());
}
size_t treadle_tensor_rank(const treadle_value* tensor) {
  const Tensor* t = tensor_of(tensor);
  return t == nullptr ? 0 : t->dims().size();
}
const int64_t* treadle_tensor_dims(const treadle_value* tensor) {
  const Tensor* t = tensor_of(tensor);
  return t == nullptr ? nullptr : t->dims().data();
}
size_t treadle_tensor_count(const treadle_value* tensor) {
  const Tensor* t = tensor_of(tensor);
  return t == nullptr ? 0 : static_cast<size_t>(t->count());
}
size_t treadle_tensor_size(const treadle_value* tensor) {
  const Tensor* t = tensor_of(tensor);
  return t == nullptr ? 0 : t->bytes();
}
void* treadle_tensor_data(treadle_value* tensor) {
  auto* t = tensor == nullptr ? nullptr : std::get_if<Tensor>(&tensor->value);
  return t == nullptr ? nullptr : t->raw();
}

const void* treadle_tensor_const_data(const treadle_value* tensor) {
  const Tensor* t = tensor_of(tensor);
  return t == nullptr ? nullptr : t->raw();
}

const char* treadle_tensor_string(const treadle_value* tensor, size_t index, size_t* length) {
  const Tensor* t = tensor_of(tensor);
  if (t == nullptr || t->dtype() != DType::kString || index >= treadle_tensor_count(tensor)) {
    return nullptr;
  }
  const std::string& text = t->data<std::string>()[index];
  if (length != nullptr) *length = text.size();
  return text.c_str();
}

treadle_status treadle_sequence_create(const treadle_value* const* elements, size_t count,
                                       treadle_value** sequence) {
  return guarded([&] {
    require(sequence, "sequence");
    if (count > 0) require(elements, "elements");
    auto made = std::make_shared<treadle::Sequence>();
    for (size_t i = 0; i < count; ++i) {
      require(elements[i], "elements[i]");
      made->push_back(elements[i]->value);
    }
    *sequence = new treadle_value{std::shared_ptr<const treadle::Sequence>(std::move(made))};
  });
}

treadle_status treadle_optional_create(const treadle_value* element, treadle_value** optional) {
  return guarded([&] {
    require(optional, "optional");
    treadle::Optional made;
    if (element != nullptr) made.value = std::make_shared<const Value>(element->value);
    *optional = new treadle_value{std::move(made)};
  });
}

treadle_status treadle_map_create(const treadle_value* keys, const treadle_value* values,
                                  treadle_value** map) {
  return guarded([&] {
    require(keys, "keys");
    require(values, "values");
    require(map, "map");
    auto made = std::make_shared<treadle::Map>();
    made->keys = keys->value.tensor();
    made->values = values->value.tensor();
    const DType key = made->keys.dtype();
    TREADLE_CHECK(key == DType::kInt64 || key == DType::kString, kInvalidArgument,
                  "a map's keys are int64 or strings, not ", treadle::dtype_name(key));
    TREADLE_CHECK(made->keys.dims().size() == 1 && made->keys.dims() == made->values.dims(),
                  kInvalidArgument, "a map's keys and values are [N] and [N], not ",
                  treadle::shape_text(made->keys.dims()), " and ",
                  treadle::shape_text(made->values.dims()));
    *map = new treadle_value{std::shared_ptr<const treadle::Map>(std::move(made))};
  });
}

size_t treadle_value_count(const treadle_value* value) {
  switch (treadle_value_kind(value)) {
    case TREADLE_SEQUENCE: return sequence_of(value).size();
    case TREADLE_MAP: return 2;
    case TREADLE_OPTIONAL: return optional_of(value) != nullptr ? 1 : 0;
    default: return 0;
  }
}

treadle_status treadle_value_element(const treadle_value* value, size_t index,
                                     treadle_value** element) {
  return guarded([&] {
    require(value, "value");
    require(element, "element");
    const size_t count = treadle_value_count(value);
    TREADLE_CHECK(index < count, kInvalidArgument, "element ", index, " of ", count);
    switch (treadle_value_kind(value)) {
      case TREADLE_SEQUENCE: *element = new treadle_value{sequence_of(value)[index]}; break;
      case TREADLE_OPTIONAL: *element = new treadle_value{*optional_of(value)}; break;
      default: {
        const auto& map = *std::get<std::shared_ptr<const treadle::Map>>(value->value);
        *element = new treadle_value{index == 0 ? map.keys : map.values};
      }
    }
  });
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
