#include "importer/onnx/attributes.h"

#include "importer/onnx/types.h"

namespace treadle::onnx {
namespace {

using Proto = pb::AttributeProto;

// Files of IR version 1 state no type.
Proto::AttributeType kind_of(const Proto& p) {
  if (p.type() != Proto::UNDEFINED) return p.type();
  if (p.has_f()) return Proto::FLOAT;
  if (p.has_i()) return Proto::INT;
  if (p.has_s()) return Proto::STRING;
  if (p.has_t()) return Proto::TENSOR;
  if (p.has_g()) return Proto::GRAPH;
  if (p.floats_size() != 0) return Proto::FLOATS;
  if (p.ints_size() != 0) return Proto::INTS;
  if (p.strings_size() != 0) return Proto::STRINGS;
  if (p.tensors_size() != 0) return Proto::TENSORS;
  if (p.graphs_size() != 0) return Proto::GRAPHS;
  fail(Code::kInvalidModel, "attribute '", p.name(), "' has neither type nor value");
}

void check_field(bool present, const Proto& p) {
  TREADLE_CHECK(present, kInvalidModel, "attribute '", p.name(), "' says it is ",
                Proto::AttributeType_Name(p.type()), " but holds no such value");
}

template <class T, class List>
std::vector<T> list_of(const List& list) {
  return {list.begin(), list.end()};
}

template <class T>
Tensor vector_tensor(const std::vector<T>& list) {
  return Tensor::of<T>({static_cast<int64_t>(list.size())}, list);
}

}  // namespace

bool holds_graph(const Proto& p) {
  const auto kind = kind_of(p);
  return kind == Proto::GRAPH || kind == Proto::GRAPHS;
}

Attribute attribute_of(const Proto& p, TensorReader& tensors) {
  switch (kind_of(p)) {
    case Proto::FLOAT: check_field(p.has_f(), p); return p.f();
    case Proto::INT: check_field(p.has_i(), p); return p.i();
    case Proto::STRING: check_field(p.has_s(), p); return p.s();
    case Proto::TENSOR: check_field(p.has_t(), p); return tensors.read(p.t());
    case Proto::SPARSE_TENSOR:
      check_field(p.has_sparse_tensor(), p);
      return tensors.read(p.sparse_tensor());
    case Proto::TYPE_PROTO: check_field(p.has_tp(), p); return type_of(p.tp(), "");
    case Proto::FLOATS: return list_of<float>(p.floats());
    case Proto::INTS: return list_of<int64_t>(p.ints());
    case Proto::STRINGS: return list_of<std::string>(p.strings());
    case Proto::TENSORS: {
      std::vector<Tensor> list;
      for (const auto& t : p.tensors()) list.push_back(tensors.read(t));
      return list;
    }
    default:
      fail(Code::kUnsupported, "attribute '", p.name(), "' is of type ",
           Proto::AttributeType_Name(p.type()), ", which is not supported");
  }
}

Tensor constant_of(const Proto& p, TensorReader& tensors) {
  struct Visitor {
    Tensor operator()(int64_t v) const { return Tensor::scalar(v); }
    Tensor operator()(float v) const { return Tensor::scalar(v); }
    Tensor operator()(const std::string& v) const { return Tensor::scalar(v); }
    Tensor operator()(const std::vector<int64_t>& v) const { return vector_tensor(v); }
    Tensor operator()(const std::vector<float>& v) const { return vector_tensor(v); }
    Tensor operator()(const std::vector<std::string>& v) const { return vector_tensor(v); }
    Tensor operator()(const Tensor& v) const { return v; }
    Tensor operator()(const std::vector<Tensor>&) const {
      fail(Code::kInvalidModel, "a list of tensors");
    }
    Tensor operator()(const Type&) const { fail(Code::kInvalidModel, "a type"); }
  };
  static constexpr std::string_view kForms[] = {"value",        "sparse_value", "value_int",
                                                "value_ints",   "value_float",  "value_floats",
                                                "value_string", "value_strings"};
  const bool known = std::ranges::find(kForms, p.name()) != std::end(kForms);
  TREADLE_CHECK(known, kInvalidModel, "a Constant has the unknown attribute '", p.name(), "'");
  return std::visit(Visitor{}, attribute_of(p, tensors));
}

}  // namespace treadle::onnx
