#include "importer/onnx/tensors.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <complex>
#include <cstring>

namespace treadle::onnx {
namespace {

static_assert(std::endian::native == std::endian::little, "ONNX data is little-endian");

// Of a sparse tensor: its dense form is not backed by bytes of the file.
constexpr int64_t kMaxDense = int64_t{1} << 30;

template <class List>
Dims dims_of(const List& list) {
  TREADLE_CHECK(list.size() <= kMaxRank, kLimit, "rank ", list.size(), " is above the limit of ",
                kMaxRank);
  Dims dims(list.begin(), list.end());
  for (int64_t d : dims) {
    TREADLE_CHECK(d >= 0, kInvalidModel, "negative dimension in ", shape_text(dims));
  }
  return dims;
}

void check_count(int64_t found, int64_t expected, std::string_view field, const Tensor& t) {
  TREADLE_CHECK(found == expected, kInvalidModel, field, " has ", found, " entries, expected ",
                expected, " for ", dtype_name(t.dtype()), shape_text(t.dims()));
}

// Each entry of a typed list becomes a T; for the packed types each entry is one byte of them.
template <class T, class List>
void fill(Tensor& t, const List& list, std::string_view field) {
  const auto entries = static_cast<int64_t>(t.bytes() / sizeof(T));
  check_count(list.size(), entries, field, t);
  auto* out = reinterpret_cast<T*>(t.raw());
  std::transform(list.begin(), list.end(), out, [](auto x) { return static_cast<T>(x); });
}

// Each entry is one element.
template <class List>
void fill_six_bits(Tensor& t, const List& list) {
  check_count(list.size(), t.count(), "int32_data", t);
  std::fill_n(t.raw(), t.bytes(), std::byte{0});
  for (int i = 0; i < list.size(); ++i) {
    TREADLE_CHECK(list[i] >= 0 && list[i] < 64, kInvalidModel, "int32_data has the entry ", list[i],
                  ", expected 6 bits of a ", dtype_name(t.dtype()));
    put_packed_element(t.raw(), 6, i, static_cast<uint8_t>(list[i]));
  }
}

void fill_from_int32(Tensor& t, const pb::TensorProto& proto) {
  const auto& list = proto.int32_data();
  if (t.dtype() == DType::kBool) {
    check_count(list.size(), t.count(), "int32_data", t);
    std::transform(list.begin(), list.end(), t.data<bool>().begin(),
                   [](int32_t x) { return x != 0; });
    return;
  }
  switch (dtype_bits(t.dtype())) {
    case 32: return fill<uint32_t>(t, list, "int32_data");
    case 16: return fill<uint16_t>(t, list, "int32_data");
    case 6: return fill_six_bits(t, list);
    default: return fill<uint8_t>(t, list, "int32_data");
  }
}

void fill_strings(Tensor& t, const pb::TensorProto& proto) {
  check_count(proto.string_data_size(), t.count(), "string_data", t);
  std::copy(proto.string_data().begin(), proto.string_data().end(), t.data<std::string>().begin());
}

Tensor from_typed_data(const pb::TensorProto& proto, DType dtype, Dims dims) {
  Tensor t(dtype, std::move(dims));
  switch (dtype) {
    case DType::kFloat:
    case DType::kComplex64: fill<float>(t, proto.float_data(), "float_data"); break;
    case DType::kDouble:
    case DType::kComplex128: fill<double>(t, proto.double_data(), "double_data"); break;
    case DType::kInt64: fill<int64_t>(t, proto.int64_data(), "int64_data"); break;
    case DType::kUint64: fill<uint64_t>(t, proto.uint64_data(), "uint64_data"); break;
    case DType::kUint32: fill<uint32_t>(t, proto.uint64_data(), "uint64_data"); break;
    case DType::kString: fill_strings(t, proto); break;
    default: fill_from_int32(t, proto);
  }
  return t;
}

// Elements to allocate for: what the data in the file can fill, checked before allocating.
void check_typed_size(const pb::TensorProto& proto, DType dtype, const Dims& dims) {
  const int64_t entries =
      std::max({proto.float_data_size(), proto.int32_data_size(), proto.int64_data_size(),
                proto.double_data_size(), proto.uint64_data_size(), proto.string_data_size()});
  const int per_entry = std::max(1, 8 / std::max(1, dtype_bits(dtype)));  // packed types: 2 or 4
  TREADLE_CHECK(element_count(dims) <= entries * per_entry, kInvalidModel, "has data for ", entries,
                " elements, expected ", dtype_name(dtype), shape_text(dims));
}

bool has_typed_data(const pb::TensorProto& p) {
  return p.float_data_size() + p.int32_data_size() + p.int64_data_size() + p.double_data_size() +
             p.uint64_data_size() + p.string_data_size() !=
         0;
}

// A bool that is neither 0 nor 1 would be undefined behaviour to read.
Tensor normalized(Tensor t) {
  if (t.dtype() != DType::kBool) return t;
  Tensor copy(DType::kBool, t.dims());
  const auto* from = reinterpret_cast<const uint8_t*>(t.raw());
  auto to = copy.data<bool>();
  for (size_t i = 0; i < to.size(); ++i) to[i] = from[i] != 0;
  return copy;
}

int64_t parse_number(const std::string& key, const std::string& text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  TREADLE_CHECK(error == std::errc() && end == text.data() + text.size() && value >= 0,
                kInvalidModel, "external data has ", key, " '", text, "', expected a number >= 0");
  return value;
}

struct Location {
  std::string file;
  int64_t offset = 0;
  int64_t length = -1;  // -1: not given
};

Location location_of(const pb::TensorProto& proto) {
  Location at;
  for (const auto& entry : proto.external_data()) {
    if (entry.key() == "location") {
      at.file = entry.value();
    } else if (entry.key() == "offset") {
      at.offset = parse_number("offset", entry.value());
    } else if (entry.key() == "length") {
      at.length = parse_number("length", entry.value());
    } else {
      TREADLE_CHECK(entry.key() == "checksum", kInvalidModel, "external data has the unknown key '",
                    entry.key(), "', expected location, offset, length or checksum");
    }
  }
  return at;
}

}  // namespace

DType dtype_of_proto(int32_t data_type) {
  TREADLE_CHECK(data_type > 0 && pb::TensorProto_DataType_IsValid(data_type), kInvalidModel,
                "element type ", data_type, " is not one of ONNX's");
  TREADLE_CHECK(data_type < kDTypeCount, kUnsupported, "element type ",
                pb::TensorProto_DataType_Name(static_cast<pb::TensorProto_DataType>(data_type)),
                " is not supported");
  return static_cast<DType>(data_type);
}

void TensorReader::charge(DType dtype, const Dims& dims) {
  const int64_t bytes = byte_size(dtype, element_count(dims));
  TREADLE_CHECK(bytes <= left_, kLimit, "the model's tensors exceed max_bytes = ", max_);
  left_ -= bytes;
}

Tensor TensorReader::read(const pb::TensorProto& proto) {
  try {
    return read_any(proto);
  } catch (Error& e) {
    e.add_context(cat("tensor '", proto.name(), "'"));
    throw;
  }
}

Tensor TensorReader::read_any(const pb::TensorProto& proto) {
  const DType dtype = dtype_of_proto(proto.data_type());
  const Dims dims = dims_of(proto.dims());
  TREADLE_CHECK(!proto.has_segment(), kUnsupported, "is stored in segments");
  charge(dtype, dims);
  if (proto.data_location() == pb::TensorProto::EXTERNAL) return read_external(proto, dtype, dims);
  if (proto.has_raw_data() && !(proto.raw_data().empty() && has_typed_data(proto))) {
    TREADLE_CHECK(!has_typed_data(proto), kInvalidModel, "has both raw_data and typed data");
    return read_raw(proto, dtype, dims);
  }
  check_typed_size(proto, dtype, dims);
  return from_typed_data(proto, dtype, dims);
}

Tensor TensorReader::read_raw(const pb::TensorProto& proto, DType dtype, Dims dims) {
  TREADLE_CHECK(dtype != DType::kString, kInvalidModel, "strings cannot be raw_data");
  const int64_t expected = byte_size(dtype, element_count(dims));
  const auto span = spans_.find(proto.raw_data());
  const int64_t found = span ? span->length : static_cast<int64_t>(proto.raw_data().size());
  TREADLE_CHECK(found == expected, kInvalidModel, "raw_data has ", found, " bytes, expected ",
                expected, " for ", dtype_name(dtype), shape_text(dims));
  if (span) return normalized(bytes_.tensor(dtype, std::move(dims), span->offset, proto.name()));
  Tensor t(dtype, std::move(dims));
  if (expected != 0) std::memcpy(t.raw(), proto.raw_data().data(), proto.raw_data().size());
  return normalized(std::move(t));
}

Tensor TensorReader::read_external(const pb::TensorProto& proto, DType dtype, Dims dims) {
  TREADLE_CHECK(dtype != DType::kString, kInvalidModel, "strings cannot be external data");
  TREADLE_CHECK(!proto.has_raw_data() && !has_typed_data(proto), kInvalidModel,
                "has external data and data of its own");
  const Location at = location_of(proto);
  const Bytes& file = external_.open(at.file);
  const int64_t expected = byte_size(dtype, element_count(dims));
  TREADLE_CHECK(at.length < 0 || at.length == expected, kInvalidModel, "external data has length ",
                at.length, ", expected ", expected, " for ", dtype_name(dtype), shape_text(dims));
  TREADLE_CHECK(at.offset <= file.size() && expected <= file.size() - at.offset, kInvalidModel,
                "external data '", at.file, "' is too short: ", expected, " bytes at offset ",
                at.offset, " expected, the file has ", file.size());
  return normalized(file.tensor(dtype, std::move(dims), at.offset, proto.name()));
}

Tensor TensorReader::read(const pb::SparseTensorProto& proto) {
  const Tensor values = read(proto.values());
  const Tensor indices = read(proto.indices());
  try {
    const Dims dims = dims_of(proto.dims());
    const int bits = dtype_bits(values.dtype());
    TREADLE_CHECK(bits >= 8, kUnsupported, "a sparse tensor of ", dtype_name(values.dtype()));
    TREADLE_CHECK(values.rank() == 1 && indices.dtype() == DType::kInt64, kInvalidModel,
                  "sparse values must have rank 1 and int64 indices");
    const bool linear = indices.rank() == 1;
    const auto rank = static_cast<int64_t>(dims.size());
    TREADLE_CHECK(
        linear ? indices.count() == values.count() : indices.dims() == Dims({values.count(), rank}),
        kInvalidModel, "sparse indices have shape ", shape_text(indices.dims()), ", expected [",
        values.count(), "] or [", values.count(), ", ", rank, "]");
    TREADLE_CHECK(byte_size(values.dtype(), element_count(dims)) <= kMaxDense, kLimit,
                  "a dense form of more than ", kMaxDense, " bytes");
    charge(values.dtype(), dims);
    Tensor dense = Tensor::zeros(values.dtype(), dims);
    const auto size = static_cast<size_t>(bits / 8);
    const Dims strides = strides_of(dims);
    const auto index = indices.data<int64_t>();
    for (int64_t i = 0; i < values.count(); ++i) {
      int64_t at = linear ? index[static_cast<size_t>(i)] : 0;
      TREADLE_CHECK(at >= 0 && at < std::max<int64_t>(dense.count(), 1), kInvalidModel,
                    "sparse index ", at, " is out of range for ", shape_text(dims));
      for (size_t d = 0; !linear && d < dims.size(); ++d) {
        const int64_t x = index[static_cast<size_t>(i) * dims.size() + d];
        TREADLE_CHECK(x >= 0 && x < dims[d], kInvalidModel, "sparse index ", x,
                      " is out of range for ", shape_text(dims));
        at += x * strides[d];
      }
      TREADLE_CHECK(at < dense.count(), kInvalidModel, "sparse index ", at, " is out of range");
      std::memcpy(dense.raw() + static_cast<size_t>(at) * size,
                  values.raw() + static_cast<size_t>(i) * size, size);
    }
    return dense;
  } catch (Error& e) {
    e.add_context(cat("sparse tensor '", proto.values().name(), "'"));
    throw;
  }
}

}  // namespace treadle::onnx
