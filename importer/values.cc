// load_value: a run-time value in a file of its own, as ONNX's test data has them.
#include "importer/importer.h"
#include "importer/onnx/tensors.h"
#include "importer/onnx/wire.h"
#include "treadle_onnx_data.pb.h"

namespace treadle {
namespace {

using onnx::Bytes;
namespace pb = treadle_onnx;

// Recursion below ends at protobuf's depth limit, which the parser has enforced.
class ValueReader {
 public:
  explicit ValueReader(onnx::TensorReader& tensors) : tensors_(tensors) {}

  Value read(const pb::SequenceProto& p) {
    auto list = std::make_shared<Sequence>();
    for (const auto& x : p.tensor_values()) list->emplace_back(tensors_.read(x));
    for (const auto& x : p.sparse_tensor_values()) list->emplace_back(tensors_.read(x));
    for (const auto& x : p.sequence_values()) list->push_back(read(x));
    for (const auto& x : p.map_values()) list->push_back(read(x));
    for (const auto& x : p.optional_values()) list->push_back(read(x));
    return Value(std::shared_ptr<const Sequence>(std::move(list)));
  }

  Value read(const pb::OptionalProto& p) {
    Value value;
    if (p.has_tensor_value()) value = tensors_.read(p.tensor_value());
    if (p.has_sparse_tensor_value()) value = tensors_.read(p.sparse_tensor_value());
    if (p.has_sequence_value()) value = read(p.sequence_value());
    if (p.has_map_value()) value = read(p.map_value());
    if (p.has_optional_value()) value = read(p.optional_value());
    if (value.empty()) return Value(Optional{});
    return Value(Optional{std::make_shared<const Value>(std::move(value))});
  }

  Value read(const pb::MapProto& p) {
    Map map;
    if (p.string_keys_size() != 0) {
      const std::vector<std::string> keys(p.string_keys().begin(), p.string_keys().end());
      map.keys = Tensor::of<std::string>({p.string_keys_size()}, keys);
    } else {
      map.keys = Tensor::of<int64_t>({p.keys_size()}, {p.keys().begin(), p.keys().end()});
    }
    map.values = joined(p.values());
    TREADLE_CHECK(map.values.count() == map.keys.count(), kInvalidModel, "a map of ",
                  map.keys.count(), " keys has ", map.values.count(), " values");
    return Value(std::make_shared<const Map>(std::move(map)));
  }

 private:
  // A map's values are a list of scalars.
  Tensor joined(const pb::SequenceProto& p) {
    std::vector<Tensor> parts;
    int64_t count = 0;
    for (const auto& x : p.tensor_values()) {
      parts.push_back(tensors_.read(x));
      count = checked_add(count, parts.back().count());
      TREADLE_CHECK(parts.back().dtype() == parts.front().dtype(), kInvalidModel,
                    "a map's values differ in type");
    }
    Tensor all(parts.empty() ? DType::kFloat : parts.front().dtype(), {count});
    size_t at = 0;
    for (const Tensor& part : parts) append(part, all, at);
    return all;
  }

  static void append(const Tensor& part, Tensor& all, size_t& at) {
    const auto n = static_cast<size_t>(part.count());
    if (all.dtype() == DType::kString) {
      std::ranges::copy(part.data<std::string>(), all.data<std::string>().subspan(at).begin());
    } else {
      const auto size = static_cast<size_t>(dtype_bits(all.dtype()) / 8);
      TREADLE_CHECK(size != 0, kUnsupported, "a map of ", dtype_name(all.dtype()));
      std::copy_n(part.raw(), n * size, all.raw() + at * size);
    }
    at += n;
  }
  onnx::TensorReader& tensors_;
};

template <class Proto>
Value read_whole(const Bytes& bytes, ValueReader& reader, std::string* name) {
  Proto proto;
  onnx::parse_whole(bytes, proto);
  if (name != nullptr) *name = proto.name();
  return reader.read(proto);
}

}  // namespace

Value load_value(const std::filesystem::path& path, const Type& type, std::string* name) {
  try {
    const auto bytes = Bytes::open(path, onnx::Access::kRead);
    onnx::ExternalFiles external(path.parent_path(), path, onnx::Access::kRead);
    onnx::Spans spans;
    onnx::TensorReader tensors(*bytes, spans, external, LoadLimits{}.max_bytes);
    ValueReader reader(tensors);
    switch (type.kind) {
      case Type::Kind::kSequence: return read_whole<pb::SequenceProto>(*bytes, reader, name);
      case Type::Kind::kOptional: return read_whole<pb::OptionalProto>(*bytes, reader, name);
      case Type::Kind::kMap: return read_whole<pb::MapProto>(*bytes, reader, name);
      case Type::Kind::kTensor: break;
    }
    pb::TensorProto proto;
    onnx::parse(*bytes, proto, spans);
    if (name != nullptr) *name = proto.name();
    return tensors.read(proto);
  } catch (Error& e) {
    e.add_context(cat("file '", path.string(), "'"));
    const bool of_file = e.code() == Code::kInvalidModel || e.code() == Code::kUnsupported;
    if (of_file) throw e.as(Code::kInvalidData);
    throw;
  }
}

}  // namespace treadle
