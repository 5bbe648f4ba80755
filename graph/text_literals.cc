// Types and tensors of the text form.
#include <algorithm>

#include "graph/text_scan.h"

namespace treadle {
namespace {

constexpr int kMaxDepth = 32;  // of nested types

Type type_at(TextScanner& in, int depth) {
  if (depth >= kMaxDepth) in.error(Code::kLimit, "types are nested deeper than ", kMaxDepth);
  const std::string word = in.identifier();
  const DType dtype = dtype_from_name(word);
  if (dtype != DType::kUndefined) {
    if (!in.matches('[')) return Type::tensor(dtype, Shape{});
    if (in.matches(']')) return Type::tensor(dtype);
    Shape shape;
    do {
      if (in.matches('?')) {
        shape.push_back(Dim::unknown());
      } else if (in.next() == '"' || !in.peek_identifier().empty()) {
        shape.push_back(Dim::symbol(in.name()));
      } else {
        const int64_t dim = in.integer();
        if (dim < 0) in.error(Code::kInvalidModel, "the dimension ", dim, " is negative");
        shape.push_back(dim);
      }
      if (static_cast<int64_t>(shape.size()) > kMaxRank) {
        in.error(Code::kLimit, "the rank is above the limit of ", kMaxRank);
      }
    } while (in.matches(','));
    in.expect(']');
    return Type::tensor(dtype, std::move(shape));
  }
  if (word != "seq" && word != "optional" && word != "map") in.wrong("a type");
  in.expect('(');
  Type result;
  if (word == "map") {
    result.kind = Type::Kind::kMap;
    result.key = dtype_from_name(in.identifier());
    in.expect(',');
    result.dtype = type_at(in, depth + 1).dtype;
    if (result.key == DType::kUndefined) in.wrong("a map's key type");
  } else {
    const auto kind = word == "seq" ? Type::Kind::kSequence : Type::Kind::kOptional;
    result = Type::of(kind, type_at(in, depth + 1));
  }
  in.expect(')');
  return result;
}

// Appends one element as it lies in memory; of packed types a byte each.
void element(TextScanner& in, DType dtype, std::vector<std::byte>& bytes) {
  const auto put = [&](const auto& value, size_t size) {
    const auto* from = reinterpret_cast<const std::byte*>(&value);
    bytes.insert(bytes.end(), from, from + size);
  };
  if (dtype == DType::kFloat || dtype == DType::kComplex64) return put(in.real_float(), 4);
  if (dtype == DType::kDouble || dtype == DType::kComplex128) return put(in.real(), 8);
  if (dtype == DType::kUint64) return put(in.natural(), 8);
  const int64_t value = in.integer();
  const int bits = dtype_bits(dtype);
  const bool fits =
      bits == 64 || (value >= -(int64_t{1} << (bits - 1)) && value < (int64_t{1} << bits));
  if (!fits) in.error(Code::kInvalidModel, value, " does not fit ", dtype_name(dtype));
  put(value, static_cast<size_t>(std::max(bits / 8, 1)));
}

}  // namespace

bool is_type_word(std::string_view word) {
  return dtype_from_name(word) != DType::kUndefined || word == "seq" || word == "map" ||
         word == "optional";
}

Type read_type(TextScanner& in) { return type_at(in, 0); }

Tensor read_tensor(TextScanner& in, const Type& type) {
  const auto dims = type.is_tensor() && type.shape ? concrete(*type.shape) : std::nullopt;
  if (!dims) {
    in.error(Code::kInvalidModel, "a constant needs a tensor type with integer dimensions");
  }
  in.next();
  const size_t start = in.position();
  in.expect('{');
  std::vector<std::byte> bytes;
  std::vector<std::string> strings;
  int64_t count = 0;
  const bool empty = in.matches('}');
  if (!empty) {
    do {
      ++count;
      if (type.dtype == DType::kString) {
        strings.push_back(in.string());
      } else {
        element(in, type.dtype, bytes);
      }
    } while (in.matches(','));
    in.expect('}');
  }
  const bool complex = type.dtype == DType::kComplex64 || type.dtype == DType::kComplex128;
  if (count != checked_mul(element_count(*dims), complex ? 2 : 1)) {
    fail(Code::kInvalidModel, in.place(start), ": ", count, " elements for ", type.text());
  }
  Tensor t = Tensor::zeros(type.dtype, *dims);
  const int bits = dtype_bits(type.dtype);
  if (type.dtype == DType::kString) {
    std::move(strings.begin(), strings.end(), t.data<std::string>().begin());
  } else if (bits >= 8) {
    std::copy(bytes.begin(), bytes.end(), t.raw());
  } else {
    for (size_t i = 0; i < bytes.size(); ++i)
      put_packed_element(t.raw(), bits, static_cast<int64_t>(i), static_cast<uint8_t>(bytes[i]));
  }
  return t;
}

}  // namespace treadle
