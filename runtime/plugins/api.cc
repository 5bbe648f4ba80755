// The table of functions that callbacks use.
#include <algorithm>
#include <new>

#include "runtime/plugins/call.h"

using treadle::Code;
using treadle::Dim;
using treadle::Dims;
using treadle::DType;
using treadle::Node;
using treadle::Param;
using treadle::Tensor;
using treadle::Type;

namespace treadle::plugins {

Code code_of(treadle_status status) {
  const bool known = status > TREADLE_OK && status <= TREADLE_INTERNAL;
  return known ? static_cast<Code>(status) : Code::kInternal;
}

namespace {

constexpr treadle_op_tensor kNothing = {TREADLE_UNDEFINED, -1, nullptr, 0, 0, nullptr};

treadle_status note(treadle_op_call* call, Error error) {
  const auto status = static_cast<treadle_status>(error.code());
  if (!call->failure) call->failure = std::move(error);
  return status;
}

// Runs `body`; what it throws becomes the call's failure.
template <class Body>
treadle_status attempt(treadle_op_call* call, Body&& body) noexcept {
  try {
    body();
    return TREADLE_OK;
  } catch (const Error& e) {
    return note(call, e);
  } catch (const std::bad_alloc&) {
    return note(call, Error(Code::kOutOfMemory, "out of memory"));
  } catch (const std::exception& e) {
    return note(call, Error(Code::kInternal, e.what()));
  }
}

void require(const void* pointer, const char* parameter) {
  TREADLE_CHECK(pointer != nullptr, kInvalidArgument, "'", parameter, "' is null");
}

treadle_op_tensor view_of(const Tensor& t) {
  return {static_cast<treadle_dtype>(t.dtype()),
          static_cast<int32_t>(t.rank()),
          t.dims().data(),
          static_cast<size_t>(t.count()),
          t.bytes(),
          const_cast<std::byte*>(t.raw())};
}

DType dtype_of_status(treadle_dtype dtype) {
  TREADLE_CHECK(dtype > TREADLE_UNDEFINED && dtype < kDTypeCount, kInvalidArgument, "dtype ", dtype,
                " is unknown");
  return static_cast<DType>(dtype);
}

// ---- In every callback

treadle_status fail_call(treadle_op_call* call, treadle_status status, const char* message) {
  return attempt(call, [&] { fail(code_of(status), message != nullptr ? message : ""); });
}

const char* node_name(treadle_op_call* call) { return call->node.name.c_str(); }

size_t input_count(treadle_op_call* call) {
  size_t count = call->node.inputs.size();
  while (count > 0 && !call->node.inputs[count - 1].valid()) --count;
  return count;
}

size_t output_count(treadle_op_call* call) { return call->node.outputs.size(); }

int32_t has_input(treadle_op_call* call, size_t i) { return call->node.input(i).valid() ? 1 : 0; }

int32_t has_output(treadle_op_call* call, size_t i) { return call->node.output(i).valid() ? 1 : 0; }

// Null where the node has no such attribute; a failure where it has another kind.
template <class T>
const T* attribute(treadle_op_call* call, const char* name) {
  const T* found = nullptr;
  attempt(call, [&] {
    require(name, "name");
    const Attribute* value = call->node.attributes.find(name);
    if (value == nullptr) return;
    found = std::get_if<T>(value);
    TREADLE_CHECK(found != nullptr, kInvalidArgument, "attribute '", name, "' has kind ",
                  attribute_kind(*value), ", which its reader does not expect");
  });
  return found;
}

int64_t attribute_int(treadle_op_call* call, const char* name, int64_t fallback) {
  const auto* value = attribute<int64_t>(call, name);
  return value != nullptr ? *value : fallback;
}

float attribute_float(treadle_op_call* call, const char* name, float fallback) {
  const auto* value = attribute<float>(call, name);
  return value != nullptr ? *value : fallback;
}

const char* attribute_string(treadle_op_call* call, const char* name, const char* fallback) {
  const auto* value = attribute<std::string>(call, name);
  return value != nullptr ? value->c_str() : fallback;
}

template <class T>
const T* attribute_list(treadle_op_call* call, const char* name, size_t* count) {
  const auto* value = attribute<std::vector<T>>(call, name);
  if (count != nullptr) *count = value != nullptr ? value->size() : 0;
  return value != nullptr ? value->data() : nullptr;
}

treadle_status attribute_tensor(treadle_op_call* call, const char* name, treadle_op_tensor* out) {
  return attempt(call, [&] {
    require(out, "tensor");
    const auto* value = attribute<Tensor>(call, name);
    *out = value != nullptr ? view_of(*value) : kNothing;
  });
}

// ---- In infer and compute

// Null where the input is absent, no tensor, or not known.
const Tensor* input_tensor(const treadle_op_call* call, size_t i) {
  if (call->infer != nullptr) return call->infer->constant(i);
  if (call->eval == nullptr || !call->eval->has(i)) return nullptr;
  return std::get_if<Tensor>(&call->eval->value(i));
}

bool infers_tensor(const treadle_op_call* call, size_t i) {
  return call->infer != nullptr && call->infer->has(i) && call->infer->type(i).is_tensor();
}

treadle_status input(treadle_op_call* call, size_t i, treadle_op_tensor* out) {
  return attempt(call, [&] {
    require(out, "tensor");
    const Tensor* t = input_tensor(call, i);
    *out = t != nullptr ? view_of(*t) : kNothing;
    if (t == nullptr && infers_tensor(call, i))
      out->dtype = static_cast<treadle_dtype>(call->infer->dtype(i));
  });
}

const char* input_string(treadle_op_call* call, size_t i, size_t index, size_t* length) {
  const Tensor* t = input_tensor(call, i);
  if (t == nullptr || t->dtype() != DType::kString || index >= static_cast<size_t>(t->count()))
    return nullptr;
  const std::string& text = t->data<std::string>()[index];
  if (length != nullptr) *length = text.size();
  return text.c_str();
}

// ---- In infer

int32_t input_rank(treadle_op_call* call, size_t i) {
  if (!infers_tensor(call, i) || !call->infer->rank_known(i)) return -1;
  return static_cast<int32_t>(call->infer->rank(i));
}

// The number that stands for a dimension in this call.
int64_t token_of(treadle_op_call* call, const Dim& dim) {
  if (dim.known()) return dim.value();
  if (dim.is_unknown()) return TREADLE_DIM_UNKNOWN;
  call->dims.push_back(dim);
  return -1 - static_cast<int64_t>(call->dims.size());
}

Dim dim_of(const treadle_op_call* call, int64_t token) {
  if (token >= 0) return Dim(token);
  if (token == TREADLE_DIM_UNKNOWN) return Dim::unknown();
  const auto index = static_cast<uint64_t>(-2 - token);
  TREADLE_CHECK(index < call->dims.size(), kInvalidArgument, token,
                " is no dimension of this call");
  return call->dims[index];
}

int64_t input_dim(treadle_op_call* call, size_t i, size_t axis) {
  int64_t token = TREADLE_DIM_UNKNOWN;
  attempt(call, [&] {
    const int32_t rank = input_rank(call, i);
    if (rank < 0) return;
    TREADLE_CHECK(axis < static_cast<size_t>(rank), kInvalidArgument, "input ", i, " has rank ",
                  rank, ", dimension ", axis, " was asked for");
    token = token_of(call, call->infer->shape(i)[axis]);
  });
  return token;
}

template <class F>
int64_t reckon(treadle_op_call* call, int64_t a, int64_t b, F&& f) {
  int64_t token = TREADLE_DIM_UNKNOWN;
  attempt(call, [&] {
    const Dim result = f(dim_of(call, a), dim_of(call, b));
    TREADLE_CHECK(!result.known() || result.value() >= 0, kInvalidModel, "a dimension would be ",
                  result.text());
    token = token_of(call, result);
  });
  return token;
}

int64_t dim_add(treadle_op_call* call, int64_t a, int64_t b) {
  return reckon(call, a, b, [](const Dim& x, const Dim& y) { return x + y; });
}
int64_t dim_subtract(treadle_op_call* call, int64_t a, int64_t b) {
  return reckon(call, a, b, [](const Dim& x, const Dim& y) { return x - y; });
}
int64_t dim_multiply(treadle_op_call* call, int64_t a, int64_t b) {
  return reckon(call, a, b, [](const Dim& x, const Dim& y) { return x * y; });
}
int64_t dim_divide(treadle_op_call* call, int64_t a, int64_t b) {
  return reckon(call, a, b, [](const Dim& x, const Dim& y) { return Dim::floor_div(x, y); });
}

const Param& output_param(const treadle_op_call* call, size_t i) {
  const std::vector<Param>& params = call->node.op->outputs;
  TREADLE_CHECK(i < params.size() || (params.back().variadic && i < call->node.outputs.size()),
                kInvalidArgument, "there is no output ", i);
  return call->node.op->output(i);
}

void check_dtype(const Param& p, DType dtype, DType bound) {
  TREADLE_CHECK(p.any || p.allowed.has(dtype), kInvalidArgument, "output '", p.name, "' cannot be ",
                dtype_name(dtype));
  TREADLE_CHECK(bound == DType::kUndefined || bound == dtype, kInvalidArgument, "output '", p.name,
                "' is ", dtype_name(dtype), ", its inputs make it ", dtype_name(bound));
}

void check_rank(const int64_t* dims, int32_t rank) {
  TREADLE_CHECK(rank >= 0 && rank <= kMaxRank, kInvalidArgument, "rank ", rank,
                " is outside of 0 to ", kMaxRank);
  if (rank > 0) require(dims, "dims");
}

treadle_status set_output_type(treadle_op_call* call, size_t i, treadle_dtype dtype,
                               const int64_t* dims, int32_t rank) {
  return attempt(call, [&] {
    TREADLE_CHECK(call->infer != nullptr, kInvalidArgument, "types are stated in infer only");
    const Param& p = output_param(call, i);
    if (i >= call->infer->output_count()) return;
    if (dtype != TREADLE_UNDEFINED) {
      check_dtype(p, dtype_of_status(dtype), call->infer->outputs()[i].type.dtype);
      call->infer->set_dtype(i, dtype_of_status(dtype));
    }
    if (rank == -1) return;
    check_rank(dims, rank);
    Shape shape;
    for (int32_t d = 0; d < rank; ++d) shape.push_back(dim_of(call, dims[d]));
    call->infer->set_shape(i, std::move(shape));
  });
}

// ---- In compute

DType bound_dtype(const treadle_op_call* call, const Param& p) {
  for (size_t i = 0; i < call->eval->input_count(); ++i) {
    const Tensor* t = input_tensor(call, i);
    if (t != nullptr && !p.any && call->node.op->input(i).type == p.type) return t->dtype();
  }
  return DType::kUndefined;
}

treadle_status output(treadle_op_call* call, size_t i, treadle_dtype dtype, const int64_t* dims,
                      int32_t rank, treadle_op_tensor* out) {
  return attempt(call, [&] {
    TREADLE_CHECK(call->eval != nullptr, kInvalidArgument, "outputs are made in compute only");
    require(out, "tensor");
    const Param& p = output_param(call, i);
    const DType type = dtype_of_status(dtype);
    check_dtype(p, type, bound_dtype(call, p));
    check_rank(dims, rank);
    const Dims shape(dims, dims + rank);
    for (int64_t d : shape) {
      TREADLE_CHECK(d >= 0, kInvalidArgument, "a dimension of output '", p.name, "' is ", d);
    }
    *out = view_of(call->eval->output(i, type, shape));
    call->made.resize(std::max(call->made.size(), i + 1));
    call->made[i] = true;
  });
}

treadle_status set_output_string(treadle_op_call* call, size_t i, size_t index, const char* text,
                                 size_t length) {
  return attempt(call, [&] {
    if (length > 0) require(text, "text");
    TREADLE_CHECK(length <= std::string().max_size(), kInvalidArgument, length,
                  " bytes for a string");
    TREADLE_CHECK(i < call->made.size() && call->made[i], kInvalidArgument, "output ", i,
                  " has not been made");
    auto& tensor = std::get<Tensor>(call->eval->outputs()[i]);
    TREADLE_CHECK(tensor.dtype() == DType::kString, kInvalidArgument, "output ", i, " is ",
                  dtype_name(tensor.dtype()), ", not string");
    TREADLE_CHECK(index < static_cast<size_t>(tensor.count()), kInvalidArgument, "element ", index,
                  " of ", tensor.count());
    tensor.data<std::string>()[index].assign(length > 0 ? text : "", length);
  });
}

treadle_status poll(treadle_op_call* call) {
  return attempt(call, [&] {
    if (call->eval != nullptr) call->eval->poll();
  });
}

}  // namespace

const treadle_op_api& op_api() {
  static constexpr treadle_op_api kApi = {
      .struct_size = sizeof(treadle_op_api),
      .fail = fail_call,
      .node_name = node_name,
      .input_count = input_count,
      .output_count = output_count,
      .has_input = has_input,
      .has_output = has_output,
      .attribute_int = attribute_int,
      .attribute_float = attribute_float,
      .attribute_string = attribute_string,
      .attribute_ints = attribute_list<int64_t>,
      .attribute_floats = attribute_list<float>,
      .attribute_tensor = attribute_tensor,
      .input = input,
      .input_string = input_string,
      .input_rank = input_rank,
      .input_dim = input_dim,
      .dim_add = dim_add,
      .dim_subtract = dim_subtract,
      .dim_multiply = dim_multiply,
      .dim_divide = dim_divide,
      .set_output_type = set_output_type,
      .output = output,
      .set_output_string = set_output_string,
      .poll = poll,
  };
  return kApi;
}

}  // namespace treadle::plugins
