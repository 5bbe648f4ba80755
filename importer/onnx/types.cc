#include "importer/onnx/types.h"

#include <algorithm>

#include "importer/onnx/tensors.h"

namespace treadle::onnx {
namespace {

Dim dim_of(const pb::TensorShapeProto::Dimension& d, std::string_view owner, size_t axis) {
  if (d.has_dim_value() && d.dim_value() != -1) {  // -1: how some exporters spell "any"
    TREADLE_CHECK(d.dim_value() >= 0, kInvalidModel, "dimension ", axis, " is ", d.dim_value());
    return Dim(d.dim_value());
  }
  if (!d.dim_param().empty() && d.dim_param() != "?") return Dim::symbol(d.dim_param());
  return owner.empty() ? Dim::unknown() : Dim::symbol(cat(owner, "_dim", axis));
}

Type tensor_type(const pb::TypeProto::Tensor& t, std::string_view owner) {
  Type type = Type::tensor(dtype_of_proto(t.elem_type()));
  if (!t.has_shape()) return type;
  TREADLE_CHECK(t.shape().dim_size() <= kMaxRank, kLimit, "rank ", t.shape().dim_size(),
                " is above the limit of ", kMaxRank);
  type.shape.emplace();
  for (const auto& d : t.shape().dim()) {
    type.shape->push_back(dim_of(d, owner, type.shape->size()));
  }
  return type;
}

}  // namespace

// Recursion ends at protobuf's depth limit, which the parser has enforced.
Type type_of(const pb::TypeProto& proto, std::string_view owner) {
  switch (proto.value_case()) {
    case pb::TypeProto::kTensorType: return tensor_type(proto.tensor_type(), owner);
    case pb::TypeProto::kSequenceType:
      return Type::of(Type::Kind::kSequence, type_of(proto.sequence_type().elem_type(), ""));
    case pb::TypeProto::kOptionalType:
      return Type::of(Type::Kind::kOptional, type_of(proto.optional_type().elem_type(), ""));
    case pb::TypeProto::kMapType: {
      Type type;
      type.kind = Type::Kind::kMap;
      type.key = dtype_of_proto(proto.map_type().key_type());
      type.dtype = type_of(proto.map_type().value_type(), "").dtype;
      return type;
    }
    case pb::TypeProto::kSparseTensorType: fail(Code::kUnsupported, "a sparse tensor as a value");
    case pb::TypeProto::kOpaqueType: fail(Code::kUnsupported, "a value of opaque type");
    case pb::TypeProto::VALUE_NOT_SET: return {};
  }
  return {};
}

bool accepts(const Type& declared, const Type& given) {
  if (!declared.is_tensor() || declared.dtype != given.dtype) return false;
  if (!declared.shape) return true;
  return std::ranges::equal(*declared.shape, *given.shape, [](const Dim& want, const Dim& got) {
    return !want.known() || want == got;
  });
}

void write_type(const Type& type, pb::TypeProto& proto) {
  switch (type.kind) {
    case Type::Kind::kTensor: {
      if (type.dtype == DType::kUndefined) return;
      auto& t = *proto.mutable_tensor_type();
      t.set_elem_type(static_cast<int32_t>(type.dtype));
      if (!type.shape) return;
      auto& shape = *t.mutable_shape();
      for (const Dim& d : *type.shape) {
        auto& out = *shape.add_dim();
        if (d.known()) {
          out.set_dim_value(d.value());
        } else if (!d.is_unknown()) {
          out.set_dim_param(d.text());
        }
      }
      return;
    }
    case Type::Kind::kSequence:
      return write_type(*type.element, *proto.mutable_sequence_type()->mutable_elem_type());
    case Type::Kind::kOptional:
      return write_type(*type.element, *proto.mutable_optional_type()->mutable_elem_type());
    case Type::Kind::kMap:
      proto.mutable_map_type()->set_key_type(static_cast<int32_t>(type.key));
      return write_type(Type::tensor(type.dtype, Shape{}),
                        *proto.mutable_map_type()->mutable_value_type());
  }
}

}  // namespace treadle::onnx
