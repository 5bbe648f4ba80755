// Sequences and optionals.
#include <algorithm>

#include "graph/ops/families.h"
#include "graph/ops/move.h"
#include "graph/ops/op.h"
#include "graph/ops/scalar.h"
#include "graph/ops/stack.h"

namespace treadle {
namespace {

const Sequence& sequence_of(const EvalContext& c, size_t i) {
  const auto* s = std::get_if<std::shared_ptr<const Sequence>>(&c.value(i));
  TREADLE_CHECK(s != nullptr, kInvalidData, "input '", c.node().op->input(i).name,
                "' is no sequence");
  return **s;
}

Value make_sequence(Sequence elements) {
  return std::make_shared<const Sequence>(std::move(elements));
}

Type sequence_type(Type element) { return Type::of(Type::Kind::kSequence, std::move(element)); }

Type element_type(const Type& type) { return type.element ? *type.element : Type{}; }

// A position, negative ones counting from the end; `bound` elements may be named.
size_t position(const EvalContext& c, size_t input, int64_t bound, int64_t fallback) {
  if (!c.has(input)) return static_cast<size_t>(fallback);
  return static_cast<size_t>(checked_index(scalar_int(c, input), bound));
}

// ---- Construct, Empty, At, Insert, Erase, Length

void infer_construct(InferContext& c) {
  Type element = c.type(0);
  for (size_t i = 1; i < c.input_count(); ++i) element = merge_types(element, c.type(i));
  c.set_type(0, sequence_type(element));
}

void eval_construct(EvalContext& c) {
  Sequence s;
  for (size_t i = 0; i < c.input_count(); ++i) s.push_back(c.value(i));
  c.set_output(0, make_sequence(std::move(s)));
}

void infer_empty(InferContext& c) {
  const int64_t dtype = c.attributes().i("dtype", static_cast<int64_t>(DType::kFloat));
  TREADLE_CHECK(dtype > 0 && dtype < kDTypeCount, kInvalidModel, "dtype is ", dtype);
  c.set_type(0, sequence_type(Type::tensor(static_cast<DType>(dtype))));
}

void eval_empty(EvalContext& c) { c.set_output(0, make_sequence({})); }

void infer_at(InferContext& c) { c.set_type(0, element_type(c.type(0))); }

void eval_at(EvalContext& c) {
  const Sequence& s = sequence_of(c, 0);
  c.set_output(0, s[position(c, 1, static_cast<int64_t>(s.size()), 0)]);
}

void infer_insert(InferContext& c) {
  const Type& before = c.type(0);
  c.set_type(0,
             sequence_type(before.element ? merge_types(*before.element, c.type(1)) : c.type(1)));
}

void eval_insert(EvalContext& c) {
  Sequence s = sequence_of(c, 0);
  const auto size = static_cast<int64_t>(s.size());
  int64_t at = size;
  if (c.has(2)) {
    at = scalar_int(c, 2);
    TREADLE_CHECK(at >= -size && at <= size, kInvalidData, "index ", at,
                  " is out of range: expected ", -size, " to ", size);
    if (at < 0) at += size;
  }
  s.insert(s.begin() + static_cast<ptrdiff_t>(at), c.value(1));
  c.set_output(0, make_sequence(std::move(s)));
}

void infer_erase(InferContext& c) { c.set_type(0, c.type(0)); }

void eval_erase(EvalContext& c) {
  Sequence s = sequence_of(c, 0);
  const auto size = static_cast<int64_t>(s.size());
  TREADLE_CHECK(size > 0, kInvalidData, "cannot erase from an empty sequence");
  s.erase(s.begin() + static_cast<ptrdiff_t>(position(c, 1, size, size - 1)));
  c.set_output(0, make_sequence(std::move(s)));
}

void infer_length(InferContext& c) { c.set_shape(0, {}); }

void eval_length(EvalContext& c) {
  const auto size = static_cast<int64_t>(sequence_of(c, 0).size());
  c.output(0, DType::kInt64, {}).data<int64_t>()[0] = size;
}

// ---- ConcatFromSequence, SplitToSequence

void infer_concat_from(InferContext& c) {
  const Type element = element_type(c.type(0));
  Type out = Type::tensor(element.dtype);
  if (element.shape) {
    const bool stacked = c.attributes().i("new_axis", 0) != 0;
    const auto rank = static_cast<int64_t>(element.shape->size()) + (stacked ? 1 : 0);
    const ptrdiff_t axis = resolve_axis(c.attributes().i("axis", 0), rank);
    out.shape = element.shape;
    if (stacked) out.shape->insert(out.shape->begin() + axis, Dim::unknown());
    (*out.shape)[static_cast<size_t>(axis)] = Dim::unknown();
  }
  c.set_type(0, out);
}

void eval_concat_from(EvalContext& c) {
  std::vector<Tensor> parts;
  for (const Value& v : sequence_of(c, 0)) parts.push_back(v.tensor());
  TREADLE_CHECK(!parts.empty(), kInvalidData, "cannot concatenate an empty sequence");
  const int64_t axis = c.attributes().i("axis", 0);
  if (c.attributes().i("new_axis", 0) != 0)
    return c.set_output(0, stack_tensors(parts, axis, false));
  std::vector<const Tensor*> pointers;
  for (const Tensor& t : parts) pointers.push_back(&t);
  concat_tensors(pointers, axis, c.output(0, parts.front().dtype(), concat_dims(pointers, axis)));
}

void infer_split_to(InferContext& c) {
  Type element = Type::tensor(c.dtype(0));
  if (c.rank_known(0)) {
    element.shape = c.shape(0);
    const auto axis = static_cast<size_t>(resolve_axis(c.attributes().i("axis", 0), c.rank(0)));
    (*element.shape)[axis] = c.has(1) ? Dim::unknown() : Dim(1);
    if (!c.has(1) && c.attributes().i("keepdims", 1) == 0) {
      element.shape->erase(element.shape->begin() + static_cast<ptrdiff_t>(axis));
    }
  }
  c.set_type(0, sequence_type(element));
}

// The sizes of the parts of a dimension: each `split`, the last the rest; or as listed.
constexpr int64_t kMaxParts = 1 << 20;
std::vector<int64_t> part_sizes(int64_t dim, const Tensor* split) {
  std::vector<int64_t> sizes;
  if (split != nullptr && split->rank() > 0) {
    sizes = split->to_ints();
    int64_t sum = 0;
    for (int64_t s : sizes) {
      TREADLE_CHECK(s >= 0, kInvalidData, "a part of size ", s);
      sum = checked_add(sum, s);
    }
    TREADLE_CHECK(sum == dim, kInvalidData, "the parts add up to ", sum, ", expected ", dim);
    return sizes;
  }
  const int64_t each = split != nullptr ? split->to_ints()[0] : 1;
  TREADLE_CHECK(each > 0, kInvalidData, "'split' is ", each, ", expected at least 1");
  const int64_t count = ceil_div(dim, each);
  TREADLE_CHECK(count <= kMaxParts, kLimit, "a sequence of ", count, " parts, at most ", kMaxParts);
  for (int64_t left = dim; left > 0; left -= sizes.back()) sizes.push_back(std::min(each, left));
  return sizes;
}

void eval_split_to(EvalContext& c) {
  const Tensor& x = c.input(0);
  const auto axis = static_cast<size_t>(resolve_axis(c.attributes().i("axis", 0), x.rank()));
  const bool drop_axis = !c.has(1) && c.attributes().i("keepdims", 1) == 0;
  const Dims strides = strides_of(x.dims());
  Sequence parts;
  int64_t at = 0;
  for (int64_t size : part_sizes(x.dim(axis), c.has(1) ? &c.input(1) : nullptr)) {
    c.poll();
    Dims dims = x.dims();
    dims[axis] = size;
    Tensor part(x.dtype(), dims);
    copy_strided(x, strides, at * strides[axis], part);
    if (drop_axis) {
      dims.erase(dims.begin() + static_cast<ptrdiff_t>(axis));
      part = part.reshaped(dims);
    }
    parts.emplace_back(std::move(part));
    at += size;
  }
  c.set_output(0, make_sequence(std::move(parts)));
}

// ---- SequenceMap: body(element, additional…) -> one element of each output

void infer_map(InferContext& c) {
  std::vector<Known> formals(c.input_count());
  for (size_t i = 0; i < formals.size(); ++i) {
    const Type& type = c.type(i);
    formals[i].type = type.kind == Type::Kind::kSequence ? element_type(type) : type;
  }
  const std::vector<Known> results = c.infer_body(0, formals);
  for (size_t i = 0; i < c.output_count() && i < results.size(); ++i)
    c.set_type(i, sequence_type(results[i].type));
}

void eval_map(EvalContext& c) {
  const size_t count = sequence_of(c, 0).size();
  std::vector<Sequence> outputs(c.output_count());
  for (size_t k = 0; k < count; ++k) {
    c.poll();
    std::vector<Value> formals;
    for (size_t i = 0; i < c.input_count(); ++i) {
      if (!std::holds_alternative<std::shared_ptr<const Sequence>>(c.value(i))) {
        formals.push_back(c.value(i));
        continue;
      }
      const Sequence& s = sequence_of(c, i);
      TREADLE_CHECK(s.size() == count, kInvalidData, "sequences of ", count, " and ", s.size(),
                    " elements");
      formals.push_back(s[k]);
    }
    std::vector<Value> results = c.run_body(0, std::move(formals));
    TREADLE_CHECK(results.size() >= outputs.size(), kInvalidModel, "the body has ", results.size(),
                  " outputs, expected ", outputs.size());
    for (size_t i = 0; i < outputs.size(); ++i) outputs[i].push_back(std::move(results[i]));
  }
  for (size_t i = 0; i < outputs.size(); ++i) c.set_output(i, make_sequence(std::move(outputs[i])));
}

// ---- Optional

void infer_optional(InferContext& c) {
  if (c.has(0)) return c.set_type(0, Type::of(Type::Kind::kOptional, c.type(0)));
  const Attribute* given = c.attributes().find("type");
  const Type* type = given != nullptr ? std::get_if<Type>(given) : nullptr;
  TREADLE_CHECK(type != nullptr, kInvalidModel, "neither an input nor the attribute 'type'");
  c.set_type(0, Type::of(Type::Kind::kOptional, *type));
}

void eval_optional(EvalContext& c) {
  c.set_output(0, c.has(0) ? Optional{std::make_shared<const Value>(c.value(0))} : Optional{});
}

void infer_has_element(InferContext& c) { c.set_shape(0, {}); }

void eval_has_element(EvalContext& c) {
  const auto* optional = c.has(0) ? std::get_if<Optional>(&c.value(0)) : nullptr;
  const bool has = optional != nullptr ? optional->value != nullptr : c.has(0);
  c.output(0, DType::kBool, {}).data<bool>()[0] = has;
}

void infer_get_element(InferContext& c) {
  const Type& type = c.type(0);
  c.set_type(0, type.kind == Type::Kind::kOptional ? element_type(type) : type);
}

void eval_get_element(EvalContext& c) {
  const auto* optional = std::get_if<Optional>(&c.value(0));
  if (optional == nullptr) return c.set_output(0, c.value(0));
  TREADLE_CHECK(optional->value != nullptr, kInvalidData, "the optional is empty");
  c.set_output(0, *optional->value);
}

constexpr OpDef kRows[] = {
    {.kind = "SequenceConstruct",
     .inputs = "inputs*:any",
     .outputs = "output_sequence:any",
     .infer = infer_construct,
     .eval = eval_construct,
     .traits = kDataDependent},
    {.kind = "SequenceEmpty",
     .inputs = "",
     .outputs = "output:any",
     .attributes = "dtype:i",
     .infer = infer_empty,
     .eval = eval_empty,
     .traits = kDataDependent},
    {.kind = "SequenceAt",
     .inputs = "input_sequence:any position:I",
     .outputs = "tensor:any",
     .types = "I=int32,int64",
     .infer = infer_at,
     .eval = eval_at,
     .traits = kDataDependent},
    {.kind = "SequenceInsert",
     .inputs = "input_sequence:any tensor:any position?:I",
     .outputs = "output_sequence:any",
     .types = "I=int32,int64",
     .infer = infer_insert,
     .eval = eval_insert,
     .traits = kDataDependent},
    {.kind = "SequenceErase",
     .inputs = "input_sequence:any position?:I",
     .outputs = "output_sequence:any",
     .types = "I=int32,int64",
     .infer = infer_erase,
     .eval = eval_erase,
     .traits = kDataDependent},
    {.kind = "SequenceLength",
     .inputs = "input_sequence:any",
     .outputs = "length:int64",
     .infer = infer_length,
     .eval = eval_length,
     .traits = kDataDependent},
    {.kind = "ConcatFromSequence",
     .inputs = "input_sequence:any",
     .outputs = "concat_result:any",
     .attributes = "axis:i! new_axis:i=0",
     .infer = infer_concat_from,
     .eval = eval_concat_from,
     .traits = kDataDependent},
    {.kind = "SplitToSequence",
     .inputs = "input:T split?:I",
     .outputs = "output_sequence:any",
     .types = "T=all I=int32,int64",
     .attributes = "axis:i=0 keepdims:i=1",
     .infer = infer_split_to,
     .eval = eval_split_to,
     .traits = kDataDependent},
    {.kind = "SequenceMap",
     .inputs = "input_sequence:any additional_inputs*:any",
     .outputs = "out_sequence*:any",
     .attributes = "body:g!",
     .infer = infer_map,
     .eval = eval_map,
     .traits = kDataDependent},
    {.kind = "Optional",
     .inputs = "input?:any",
     .outputs = "output:any",
     .attributes = "type:tp",
     .infer = infer_optional,
     .eval = eval_optional,
     .traits = kDataDependent},
    {.kind = "OptionalHasElement",
     .inputs = "input?:any",
     .outputs = "output:bool",
     .infer = infer_has_element,
     .eval = eval_has_element,
     .traits = kDataDependent},
    {.kind = "OptionalGetElement",
     .inputs = "input:any",
     .outputs = "output:any",
     .infer = infer_get_element,
     .eval = eval_get_element,
     .traits = kDataDependent},
};

}  // namespace

std::span<const OpDef> sequence_ops() { return kRows; }

}  // namespace treadle
