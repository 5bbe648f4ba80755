// Treadle for C++: RAII and exceptions over treadle.h. Header only; C++17.
//
//   treadle::Model model("model.onnx");
//   treadle::Session session(model);
//   std::vector<float> pixels(1 * 3 * 224 * 224);
//   auto outputs = session.run({{"x", treadle::Value::wrap(pixels.data(), {1, 3, 224, 224})}});
//   const float* logits = outputs[0].data<float>();
//
// Functions throw treadle::Exception where the C function fails, and std::invalid_argument or
// std::out_of_range where their own arguments are wrong. What treadle.h says of ownership and
// threads holds. treadle/train.hpp trains.
#ifndef TREADLE_TREADLE_HPP
#define TREADLE_TREADLE_HPP

#include <treadle/treadle.h>

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace treadle {
inline namespace api {  // the library's own classes have other names to the linker

// A failed call: its status, and the message of treadle_last_error().
class Exception : public std::runtime_error {
 public:
  explicit Exception(treadle_status status)
      : std::runtime_error(treadle_last_error()), status_(status) {}
  treadle_status status() const { return status_; }

 private:
  treadle_status status_;
};

namespace detail {
inline void check(treadle_status status) {
  if (status != TREADLE_OK) throw Exception(status);
}

// Elements of a tensor; throws where they cannot be counted.
inline size_t element_count(const std::vector<int64_t>& dims) {
  size_t count = 1;
  for (int64_t d : dims) {
    if (d < 0 || (d > 0 && count > SIZE_MAX / 16 / static_cast<size_t>(d)))
      throw std::invalid_argument("no tensor has such dims");
    count *= static_cast<size_t>(d);
  }
  return count;
}

template <class T>
constexpr treadle_dtype dtype_of() {
  if (std::is_same_v<T, float>) return TREADLE_FLOAT;
  if (std::is_same_v<T, double>) return TREADLE_DOUBLE;
  if (std::is_same_v<T, int8_t>) return TREADLE_INT8;
  if (std::is_same_v<T, int16_t>) return TREADLE_INT16;
  if (std::is_same_v<T, int32_t>) return TREADLE_INT32;
  if (std::is_same_v<T, int64_t>) return TREADLE_INT64;
  if (std::is_same_v<T, uint8_t>) return TREADLE_UINT8;
  if (std::is_same_v<T, uint16_t>) return TREADLE_UINT16;
  if (std::is_same_v<T, uint32_t>) return TREADLE_UINT32;
  if (std::is_same_v<T, uint64_t>) return TREADLE_UINT64;
  if (std::is_same_v<T, bool>) return TREADLE_BOOL;
  return TREADLE_UNDEFINED;
}

template <class T, void (*Release)(T*)>
struct Releaser {
  void operator()(T* handle) const { Release(handle); }
};
template <class T, void (*Release)(T*)>
using Handle = std::unique_ptr<T, Releaser<T, Release>>;
}  // namespace detail

// A tensor, or what holds tensors. Movable; see treadle_tensor_create and treadle_tensor_wrap for
// who owns the bytes.
class Value {
 public:
  explicit Value(treadle_value* handle = nullptr) : handle_(handle) {}
  // An uninitialised tensor.
  Value(treadle_dtype dtype, const std::vector<int64_t>& dims) {
    treadle_value* made = nullptr;
    detail::check(treadle_tensor_create(dtype, dims.data(), dims.size(), &made));
    handle_.reset(made);
  }
  // A tensor of the caller's elements, without a copy.
  template <class T>
  static Value wrap(T* data, const std::vector<int64_t>& dims) {
    static_assert(detail::dtype_of<T>() != TREADLE_UNDEFINED, "no dtype has such elements");
    const size_t size = detail::element_count(dims) * sizeof(T);
    treadle_value* made = nullptr;
    detail::check(
        treadle_tensor_wrap(detail::dtype_of<T>(), dims.data(), dims.size(), data, size, &made));
    return Value(made);
  }
  static Value strings(const std::vector<std::string>& elements, const std::vector<int64_t>& dims) {
    if (detail::element_count(dims) != elements.size()) {
      throw std::invalid_argument("as many strings as the dims say are needed");
    }
    std::vector<const char*> texts;
    std::vector<size_t> lengths;
    for (const std::string& e : elements) {
      texts.push_back(e.data());
      lengths.push_back(e.size());
    }
    treadle_value* made = nullptr;
    detail::check(treadle_tensor_create_strings(dims.data(), dims.size(), texts.data(),
                                                lengths.data(), &made));
    return Value(made);
  }

  // What holds tensors: shares the bytes of the elements.
  static Value sequence(const std::vector<const Value*>& elements) {
    std::vector<const treadle_value*> given;
    for (const Value* e : elements) given.push_back(e->handle());
    treadle_value* made = nullptr;
    detail::check(treadle_sequence_create(given.data(), given.size(), &made));
    return Value(made);
  }
  static Value optional(const Value* element = nullptr) {
    treadle_value* made = nullptr;
    detail::check(treadle_optional_create(element == nullptr ? nullptr : element->handle(), &made));
    return Value(made);
  }
  static Value map(const Value& keys, const Value& values) {
    treadle_value* made = nullptr;
    detail::check(treadle_map_create(keys.handle(), values.handle(), &made));
    return Value(made);
  }

  treadle_kind kind() const { return treadle_value_kind(handle_.get()); }
  treadle_dtype dtype() const { return treadle_tensor_dtype(handle_.get()); }
  std::vector<int64_t> dims() const {
    const int64_t* first = treadle_tensor_dims(handle_.get());
    return {first, first + treadle_tensor_rank(handle_.get())};
  }
  size_t count() const { return treadle_tensor_count(handle_.get()); }
  // Throws std::invalid_argument when T is not the dtype.
  template <class T>
  T* data() const {
    if (dtype() != detail::dtype_of<T>()) {
      throw std::invalid_argument(std::string("the tensor is ") + treadle_dtype_name(dtype()));
    }
    return static_cast<T*>(treadle_tensor_data(handle_.get()));
  }
  // Of whatever dtype; null for strings. size(): bytes.
  void* bytes() const { return treadle_tensor_data(handle_.get()); }
  size_t size() const { return treadle_tensor_size(handle_.get()); }
  std::string string(size_t index) const {
    size_t length = 0;
    const char* text = treadle_tensor_string(handle_.get(), index, &length);
    if (text == nullptr) throw std::out_of_range("no such string");
    return {text, length};
  }
  // What a sequence, map or optional holds: see treadle_value_element.
  std::vector<Value> elements() const {
    std::vector<Value> out;
    for (size_t i = 0; i < treadle_value_count(handle_.get()); ++i) {
      treadle_value* made = nullptr;
      detail::check(treadle_value_element(handle_.get(), i, &made));
      out.emplace_back(made);
    }
    return out;
  }
  treadle_value* handle() const { return handle_.get(); }

 private:
  detail::Handle<treadle_value, treadle_value_release> handle_;
};

// Key and value pairs, as treadle_options_set lists them.
class Options {
 public:
  Options(std::initializer_list<std::pair<const char*, const char*>> list = {}) {
    treadle_options* made = nullptr;
    detail::check(treadle_options_create(&made));
    handle_.reset(made);
    for (const auto& [key, value] : list) set(key, value);
  }
  void set(const char* key, const char* value) {
    detail::check(treadle_options_set(handle_.get(), key, value));
  }
  // See treadle_options_set_initializer and treadle_options_set_file for what must outlive what.
  void set_initializer(const char* name, const Value& tensor, bool required = false) {
    detail::check(
        treadle_options_set_initializer(handle_.get(), name, tensor.handle(), required ? 1 : 0));
  }
  void set_file(const char* location, const void* data, size_t size) {
    detail::check(treadle_options_set_file(handle_.get(), location, data, size));
  }
  // What op.user points to must outlive every model that is loaded with the operator.
  void add_op(const treadle_op& op) { detail::check(treadle_options_add_op(handle_.get(), &op)); }
  const treadle_options* handle() const { return handle_.get(); }

 private:
  detail::Handle<treadle_options, treadle_options_release> handle_;
};

// An input or output of a model.
struct Port {
  std::string name;
  std::string type;                    // "tensor(float)", "seq(tensor(int64))"
  treadle_kind kind;                   // TREADLE_TENSOR …
  treadle_dtype dtype;                 // TREADLE_UNDEFINED: no tensor, or not known
  bool ranked;                         // false: no tensor, or the rank is not known; then no dims
  std::vector<int64_t> dims;           // -1: symbolic
  std::vector<std::string> dim_names;  // "3", "batch", "2*N + 1", "?"
};

class Model {
 public:
  explicit Model(const std::string& path, const Options& options = {}) {
    treadle_model* made = nullptr;
    detail::check(treadle_model_load(path.c_str(), options.handle(), &made));
    handle_.reset(made);
  }
  Model(const void* data, size_t size, const Options& options = {}) {
    treadle_model* made = nullptr;
    detail::check(treadle_model_load_memory(data, size, nullptr, options.handle(), &made));
    handle_.reset(made);
  }
  std::vector<std::string> input_names() const {
    std::vector<std::string> names;
    const size_t count = treadle_model_input_count(handle_.get());
    for (size_t i = 0; i < count; ++i)
      names.emplace_back(treadle_model_input_name(handle_.get(), i));
    return names;
  }
  std::vector<std::string> output_names() const {
    std::vector<std::string> names;
    const size_t count = treadle_model_output_count(handle_.get());
    for (size_t i = 0; i < count; ++i)
      names.emplace_back(treadle_model_output_name(handle_.get(), i));
    return names;
  }
  std::vector<Port> inputs() const {
    return ports(treadle_model_input_count(handle_.get()), treadle_model_input_name,
                 treadle_model_input_type, treadle_model_input_dim);
  }
  std::vector<Port> outputs() const {
    return ports(treadle_model_output_count(handle_.get()), treadle_model_output_name,
                 treadle_model_output_type, treadle_model_output_dim);
  }
  std::vector<std::string> metadata_keys() const {
    std::vector<std::string> keys;
    const size_t count = treadle_model_metadata_count(handle_.get());
    for (size_t i = 0; i < count; ++i)
      keys.emplace_back(treadle_model_metadata_key(handle_.get(), i));
    return keys;
  }
  std::optional<std::string> metadata(const std::string& key) const {
    const char* text = treadle_model_metadata(handle_.get(), key.c_str());
    return text == nullptr ? std::nullopt : std::optional<std::string>(text);
  }
  void save(const std::string& path, int32_t opset = 0) const {
    detail::check(treadle_model_save(handle_.get(), path.c_str(), opset));
  }
  const treadle_model* handle() const { return handle_.get(); }

 private:
  template <class Name, class Type, class Dim>
  std::vector<Port> ports(size_t count, Name name, Type type, Dim dim) const {
    std::vector<Port> ports;
    for (size_t i = 0; i < count; ++i) {
      treadle_type t;
      t.struct_size = sizeof t;
      detail::check(type(handle_.get(), i, &t));
      Port port{name(handle_.get(), i), t.text, t.kind, t.dtype, t.rank >= 0, {}, {}};
      for (size_t axis = 0; port.ranked && axis < static_cast<size_t>(t.rank); ++axis) {
        port.dims.push_back(t.dims[axis]);
        port.dim_names.emplace_back(dim(handle_.get(), i, axis));
      }
      ports.push_back(std::move(port));
    }
    return ports;
  }

  detail::Handle<treadle_model, treadle_model_release> handle_;
};

// Ends runs from any thread; see treadle_cancel_signal.
class Cancel {
 public:
  Cancel() {
    treadle_cancel* made = nullptr;
    detail::check(treadle_cancel_create(&made));
    handle_.reset(made);
  }
  void signal() { treadle_cancel_signal(handle_.get()); }
  treadle_cancel* handle() const { return handle_.get(); }

 private:
  detail::Handle<treadle_cancel, treadle_cancel_release> handle_;
};

struct RunOptions {
  double timeout_seconds = 0;      // 0: none
  const Cancel* cancel = nullptr;  // must live until the call returns
};

// A value by name; it must live until the call returns.
struct Named {
  Named(std::string n, const Value& v) : name(std::move(n)), value(&v) {}
  std::string name;
  const Value* value;
};

namespace detail {
// Named values as the C functions take them.
struct Arguments {
  explicit Arguments(const std::vector<Named>& list) {
    for (const Named& n : list) {
      names.push_back(n.name.c_str());
      values.push_back(n.value->handle());
    }
  }
  std::vector<const char*> names;
  std::vector<treadle_value*> values;
};
}  // namespace detail

// One run at a time; make one a thread.
class Session {
 public:
  explicit Session(const Model& model, const Options& options = {})
      : outputs_(model.output_names()) {
    treadle_session* made = nullptr;
    detail::check(treadle_session_create(model.handle(), options.handle(), &made));
    handle_.reset(made);
  }
  // All outputs of the model, in its order; or those named.
  std::vector<Value> run(const std::vector<Named>& inputs, std::vector<std::string> wanted = {},
                         const RunOptions& options = {}) {
    if (wanted.empty()) wanted = outputs_;
    std::vector<const char*> names;
    for (const std::string& name : wanted) names.push_back(name.c_str());
    std::vector<treadle_value*> made(wanted.size(), nullptr);
    std::vector<Value> outputs(wanted.size());
    call(inputs, names, made, options);
    for (size_t i = 0; i < made.size(); ++i) outputs[i] = Value(made[i]);
    return outputs;
  }
  // Into tensors of the caller, which have the outputs' dtypes and dims.
  void run_into(const std::vector<Named>& inputs, const std::vector<Named>& outputs,
                const RunOptions& options = {}) {
    detail::Arguments places(outputs);
    call(inputs, places.names, places.values, options);
  }
  // JSON, as treadle_session_report lists.
  std::string report(const char* what) {
    char* json = nullptr;
    detail::check(treadle_session_report(handle_.get(), what, &json));
    const std::unique_ptr<char, void (*)(char*)> owned(json, treadle_string_free);
    return json;
  }
  void trim() { detail::check(treadle_session_trim(handle_.get())); }
  void profile(bool on) { detail::check(treadle_session_profile(handle_.get(), on ? 1 : 0)); }
  treadle_session* handle() const { return handle_.get(); }

 private:
  void call(const std::vector<Named>& inputs, const std::vector<const char*>& output_names,
            std::vector<treadle_value*>& outputs, const RunOptions& options) {
    const detail::Arguments given(inputs);
    treadle_run_options run;
    run.struct_size = sizeof run;
    run.timeout_seconds = options.timeout_seconds;
    run.cancel = options.cancel == nullptr ? nullptr : options.cancel->handle();
    detail::check(treadle_session_run(handle_.get(), given.names.data(), given.values.data(),
                                      given.values.size(), output_names.data(), outputs.data(),
                                      outputs.size(), &run));
  }

  std::vector<std::string> outputs_;
  detail::Handle<treadle_session, treadle_session_release> handle_;
};

}  // namespace api
}  // namespace treadle

#endif  // TREADLE_TREADLE_HPP
