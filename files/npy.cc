#include "files/npy.h"

#include <cstring>
#include <fstream>
#include <memory>

#include "files/file.h"
#include "files/zip_api.h"

namespace treadle {
namespace fs = std::filesystem;

namespace {

struct NpyType {
  const char* code;
  DType dtype;
};
constexpr NpyType kNpyTypes[] = {
    {"f4", DType::kFloat},  {"f8", DType::kDouble}, {"f2", DType::kFloat16}, {"i1", DType::kInt8},
    {"i2", DType::kInt16},  {"i4", DType::kInt32},  {"i8", DType::kInt64},   {"u1", DType::kUint8},
    {"u2", DType::kUint16}, {"u4", DType::kUint32}, {"u8", DType::kUint64},  {"b1", DType::kBool},
};

// The text of a key's value in the header, a Python dict literal.
std::string_view header_value(std::string_view header, std::string_view key) {
  const size_t at = header.find(cat("'", key, "'"));
  TREADLE_CHECK(at != std::string_view::npos, kInvalidArgument, "the npy header lacks '", key, "'");
  size_t begin = header.find(':', at);
  TREADLE_CHECK(begin != std::string_view::npos, kInvalidArgument, "the npy header is broken at '",
                key, "'");
  begin = header.find_first_not_of(' ', begin + 1);
  return begin == std::string_view::npos ? std::string_view{} : header.substr(begin);
}

Dims parse_shape(std::string_view text) {
  const size_t close = text.find(')');
  TREADLE_CHECK(!text.empty() && text[0] == '(' && close != std::string_view::npos,
                kInvalidArgument, "the npy header has a broken shape");
  Dims dims;
  int64_t value = -1;
  for (char c : text.substr(1, close)) {
    if (c >= '0' && c <= '9') {
      value = checked_add(checked_mul(std::max<int64_t>(value, 0), 10), c - '0');
    } else if (value >= 0) {
      dims.push_back(value);
      value = -1;
    }
  }
  return dims;
}

// Elements in column-major order to row-major.
Tensor from_fortran(const Tensor& t) {
  Tensor out(t.dtype(), t.dims());
  const size_t size = t.count() == 0 ? 0 : t.bytes() / static_cast<size_t>(t.count());
  const Dims strides = strides_of(t.dims());
  std::vector<int64_t> index(t.dims().size(), 0);
  for (int64_t i = 0; i < t.count(); ++i) {
    int64_t to = 0;
    for (size_t d = 0; d < index.size(); ++d) to += index[d] * strides[d];
    std::memcpy(out.raw() + static_cast<size_t>(to) * size, t.raw() + static_cast<size_t>(i) * size,
                size);
    for (size_t d = 0; d < index.size() && ++index[d] == t.dims()[d]; ++d) index[d] = 0;
  }
  return out;
}

}  // namespace

Tensor parse_npy(std::string_view bytes) {
  TREADLE_CHECK(bytes.size() >= 10 && bytes.substr(0, 6) == "\x93NUMPY", kInvalidArgument,
                "not an npy file");
  const auto byte = [&](size_t i) {
    return static_cast<size_t>(static_cast<unsigned char>(bytes[i]));
  };
  const bool wide = byte(6) >= 2;
  TREADLE_CHECK(!wide || bytes.size() >= 12, kInvalidArgument, "the npy header is cut off");
  const size_t length =
      wide ? byte(8) | byte(9) << 8 | byte(10) << 16 | byte(11) << 24 : byte(8) | byte(9) << 8;
  const size_t start = wide ? 12 : 10;
  TREADLE_CHECK(length <= bytes.size() - start, kInvalidArgument, "the npy header is cut off");
  const std::string_view header = bytes.substr(start, length);
  const std::string_view descr = header_value(header, "descr");
  const std::string code(descr.substr(descr.size() > 1 ? 1 : 0, 3));
  for (const NpyType& type : kNpyTypes) {
    if (code.size() != 3 || code.substr(1) != type.code) continue;
    TREADLE_CHECK(code[0] != '>', kInvalidArgument, "big-endian npy files are not read");
    const Dims dims = parse_shape(header_value(header, "shape"));
    const auto want = static_cast<size_t>(byte_size(type.dtype, element_count(dims)));
    const std::string_view data = bytes.substr(start + length);
    TREADLE_CHECK(data.size() >= want, kInvalidArgument, "the npy file holds ", data.size(),
                  " bytes of data, ", want, " expected for ", dtype_name(type.dtype),
                  shape_text(dims));
    Tensor t(type.dtype, dims);
    if (want != 0) std::memcpy(t.raw(), data.data(), want);
    return header_value(header, "fortran_order").starts_with("True") ? from_fortran(t) : t;
  }
  const size_t end = descr.find_first_of(descr.starts_with('[') ? "]" : "'", 1);
  fail(Code::kInvalidArgument, "npy files of type ",
       descr.substr(0, end == descr.npos ? 0 : end + 1), " are not read");
}

Tensor read_npy(const fs::path& path) {
  const std::string bytes = read_file(path);
  try {
    return parse_npy(bytes);
  } catch (Error& e) {
    e.add_context(cat("file '", path.string(), "'"));
    throw;
  }
}

std::string format_npy(const Tensor& given) {
  Tensor tensor = given;
  if (given.dtype() == DType::kBfloat16) {
    tensor = Tensor(DType::kFloat, given.dims());
    for (size_t i = 0; i < static_cast<size_t>(given.count()); ++i) {
      tensor.data<float>()[i] = given.data<Bfloat16>()[i];
    }
  }
  for (const NpyType& type : kNpyTypes) {
    if (type.dtype != tensor.dtype()) continue;
    std::string shape;
    for (int64_t d : tensor.dims()) shape += cat(d, ",");
    const bool single = dtype_bits(type.dtype) == 8;
    std::string header = cat("{'descr': '", single ? "|" : "<", type.code,
                             "', 'fortran_order': False, 'shape': (", shape, "), }");
    header.append(63 - (header.size() + 10) % 64, ' ');
    header += '\n';
    std::string out("\x93NUMPY\x01\x00", 8);
    out += static_cast<char>(header.size() & 0xff);
    out += static_cast<char>(header.size() >> 8);
    out += header;
    out.append(reinterpret_cast<const char*>(tensor.raw()), tensor.bytes());
    return out;
  }
  fail(Code::kInvalidArgument, "NumPy has no type for ", dtype_name(tensor.dtype()));
}

namespace {

using Zip = std::unique_ptr<zip_t, decltype(ZipApi::discard)>;

std::string zip_message(int code) {
  zip_error_t error;
  zip_api().error_init_with_code(&error, code);
  std::string text = zip_api().error_strerror(&error);
  zip_api().error_fini(&error);
  return text;
}

// `left`: the packed bytes that the archive may still hold; entries that overlap would share them.
std::string read_member(zip_t* zip, zip_uint64_t index, const fs::path& path, zip_uint64_t& left) {
  zip_stat_t stat;
  TREADLE_CHECK(zip_api().stat_index(zip, index, 0, &stat) == 0, kIo, "'", path.string(),
                "': broken entry");
  TREADLE_CHECK(stat.comp_size <= left, kInvalidArgument, "'", path.string(), "': entry '",
                stat.name, "' of ", stat.comp_size, " packed bytes overlaps another one");
  left -= stat.comp_size;
  // A member may be larger than the archive, but not by more than deflate can do.
  TREADLE_CHECK(stat.size / 1100 <= stat.comp_size, kInvalidArgument, "'", path.string(),
                "': entry '", stat.name, "' claims ", stat.size, " bytes from ", stat.comp_size);
  const std::unique_ptr<zip_file_t, decltype(ZipApi::fclose)> file(
      zip_api().fopen_index(zip, index, 0), zip_api().fclose);
  TREADLE_CHECK(file != nullptr, kIo, "'", path.string(), "': cannot read '", stat.name, "'");
  std::string bytes(static_cast<size_t>(stat.size), '\0');
  const zip_int64_t got = zip_api().fread(file.get(), bytes.data(), bytes.size());
  TREADLE_CHECK(got == static_cast<zip_int64_t>(bytes.size()), kIo, "'", path.string(), "': '",
                stat.name, "' is cut off");
  return bytes;
}

}  // namespace

NamedTensors read_npz(const fs::path& path) {
  int code = 0;
  const Zip zip(zip_api().open(path.c_str(), ZIP_RDONLY, &code), zip_api().discard);
  TREADLE_CHECK(zip != nullptr, kIo, "cannot read '", path.string(), "': ", zip_message(code));
  NamedTensors tensors;
  zip_uint64_t left = fs::file_size(path);
  const auto count = static_cast<zip_uint64_t>(zip_api().get_num_entries(zip.get(), 0));
  for (zip_uint64_t i = 0; i < count; ++i) {
    const char* given = zip_api().get_name(zip.get(), i, 0);
    TREADLE_CHECK(given != nullptr, kInvalidArgument, "'", path.string(), "': entry ", i,
                  " has no name");
    std::string name = given;
    if (name.ends_with(".npy")) name.resize(name.size() - 4);
    try {
      tensors.emplace_back(name, parse_npy(read_member(zip.get(), i, path, left)));
    } catch (Error& e) {
      e.add_context(cat("'", path.string(), "', array '", name, "'"));
      throw;
    }
  }
  return tensors;
}

// libzip writes to a temporary file beside it, and renames that when it closes.
void write_npz(const fs::path& path, const NamedTensors& tensors) {
  TREADLE_CHECK(!fs::exists(path) || fs::is_regular_file(path), kIo, "cannot replace '",
                path.string(), "': it is not a regular file");
  int code = 0;
  Zip zip(zip_api().open(path.c_str(), ZIP_CREATE | ZIP_TRUNCATE, &code), zip_api().discard);
  TREADLE_CHECK(zip != nullptr, kIo, "cannot write '", path.string(), "': ", zip_message(code));
  std::vector<std::string> files;
  files.reserve(tensors.size());
  for (const auto& [name, tensor] : tensors) {
    files.push_back(format_npy(tensor));
    zip_source_t* source =
        zip_api().source_buffer(zip.get(), files.back().data(), files.back().size(), 0);
    const zip_int64_t index =
        zip_api().file_add(zip.get(), (name + ".npy").c_str(), source, ZIP_FL_ENC_UTF_8);
    TREADLE_CHECK(index >= 0, kIo, "cannot write '", path.string(),
                  "': ", zip_api().strerror(zip.get()));
    zip_api().set_file_compression(zip.get(), static_cast<zip_uint64_t>(index), ZIP_CM_STORE, 0);
  }
  TREADLE_CHECK(zip_api().close(zip.get()) == 0, kIo, "cannot write '", path.string(),
                "': ", zip_api().strerror(zip.get()));
  zip.release();
}

}  // namespace treadle
