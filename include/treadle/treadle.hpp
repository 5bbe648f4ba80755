// Treadle for C++: RAII and exceptions over treadle.h. Header only; C++17.
//
//   treadle::Model model("model.onnx");
//   treadle::Session session(model);
//   std::vector<float> pixels(1 * 3 * 224 * 224);
//   auto outputs = session.run({{"x", treadle::Tensor::wrap(pixels.data(), {1, 3, 224, 224})}});
//   const float* logits = outputs[0].data<float>();
#ifndef TREADLE_TREADLE_HPP
#define TREADLE_TREADLE_HPP

#include <treadle/treadle.h>

#include <initializer_list>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace treadle {

// A failed call: its status, and the message of treadle_last_error().
class Exception : public std::runtime_error {
 public:
  explicit Exception(treadle_status status)
      : std::runtime_error(treadle_last_error()), status_(status) {}
  treadle_status status() const { return status_; }

 private:
  treadle_status status_;
};

inline void check(treadle_status status) {
  if (status != TREADLE_OK) throw Exception(status);
}

template <class T>
struct dtype_of;
template <>
struct dtype_of<float> {
  static constexpr treadle_dtype value = TREADLE_FLOAT;
};
template <>
struct dtype_of<double> {
  static constexpr treadle_dtype value = TREADLE_DOUBLE;
};
template <>
struct dtype_of<int8_t> {
  static constexpr treadle_dtype value = TREADLE_INT8;
};
template <>
struct dtype_of<int16_t> {
  static constexpr treadle_dtype value = TREADLE_INT16;
};
template <>
struct dtype_of<int32_t> {
  static constexpr treadle_dtype value = TREADLE_INT32;
};
template <>
struct dtype_of<int64_t> {
  static constexpr treadle_dtype value = TREADLE_INT64;
};
template <>
struct dtype_of<uint8_t> {
  static constexpr treadle_dtype value = TREADLE_UINT8;
};
template <>
struct dtype_of<uint16_t> {
  static constexpr treadle_dtype value = TREADLE_UINT16;
};
template <>
struct dtype_of<uint32_t> {
  static constexpr treadle_dtype value = TREADLE_UINT32;
};
template <>
struct dtype_of<uint64_t> {
  static constexpr treadle_dtype value = TREADLE_UINT64;
};
template <>
struct dtype_of<bool> {
  static constexpr treadle_dtype value = TREADLE_BOOL;
};

namespace detail {
template <class T, void (*Release)(T*)>
struct Releaser {
  void operator()(T* handle) const { Release(handle); }
};
template <class T, void (*Release)(T*)>
using Handle = std::unique_ptr<T, Releaser<T, Release>>;
}  // namespace detail

// Movable; see treadle_tensor_create and treadle_tensor_wrap for who owns the bytes.
class Tensor {
 public:
  explicit Tensor(treadle_tensor* handle = nullptr) : handle_(handle) {}
  Tensor(treadle_dtype dtype, const std::vector<int64_t>& dims) {
    treadle_tensor* made = nullptr;
    check(treadle_tensor_create(dtype, dims.data(), dims.size(), &made));
    handle_.reset(made);
  }
  // Elements of the caller, without a copy.
  template <class T>
  static Tensor wrap(T* data, const std::vector<int64_t>& dims) {
    size_t size = sizeof(T);
    for (int64_t d : dims) size *= static_cast<size_t>(d);
    treadle_tensor* made = nullptr;
    check(treadle_tensor_wrap(dtype_of<T>::value, dims.data(), dims.size(), data, size, &made));
    return Tensor(made);
  }
  treadle_dtype dtype() const { return treadle_tensor_dtype(handle_.get()); }
  std::vector<int64_t> dims() const {
    const int64_t* first = treadle_tensor_dims(handle_.get());
    return {first, first + treadle_tensor_rank(handle_.get())};
  }
  size_t count() const { return treadle_tensor_count(handle_.get()); }
  // Throws std::invalid_argument when T is not the dtype.
  template <class T>
  T* data() const {
    if (dtype() != dtype_of<T>::value) {
      throw std::invalid_argument(std::string("the tensor is ") + treadle_dtype_name(dtype()));
    }
    return static_cast<T*>(treadle_tensor_data(handle_.get()));
  }
  treadle_tensor* handle() const { return handle_.get(); }

 private:
  detail::Handle<treadle_tensor, treadle_tensor_release> handle_;
};

// Key and value pairs, as treadle_options_set lists them.
class Options {
 public:
  Options(std::initializer_list<std::pair<const char*, const char*>> list = {}) {
    treadle_options* made = nullptr;
    check(treadle_options_create(&made));
    handle_.reset(made);
    for (const auto& [key, value] : list) check(treadle_options_set(made, key, value));
  }
  const treadle_options* handle() const { return handle_.get(); }

 private:
  detail::Handle<treadle_options, treadle_options_release> handle_;
};

class Model {
 public:
  explicit Model(const std::string& path, const Options& options = {}) {
    treadle_model* made = nullptr;
    check(treadle_model_load(path.c_str(), options.handle(), &made));
    handle_.reset(made);
  }
  Model(const void* data, size_t size, const Options& options = {}) {
    treadle_model* made = nullptr;
    check(treadle_model_load_memory(data, size, nullptr, options.handle(), &made));
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
  // Dimensions of an input, -1 where symbolic.
  std::vector<int64_t> input_dims(size_t index) const {
    treadle_type type;
    type.struct_size = sizeof type;
    check(treadle_model_input_type(handle_.get(), index, &type));
    return {type.dims, type.dims + (type.rank < 0 ? 0 : type.rank)};
  }
  void save(const std::string& path, int32_t opset = 0) const {
    check(treadle_model_save(handle_.get(), path.c_str(), opset));
  }
  const treadle_model* handle() const { return handle_.get(); }

 private:
  detail::Handle<treadle_model, treadle_model_release> handle_;
};

// One run at a time; make one a thread.
class Session {
 public:
  explicit Session(const Model& model, const Options& options = {})
      : outputs_(model.output_names()) {
    treadle_session* made = nullptr;
    check(treadle_session_create(model.handle(), options.handle(), &made));
    handle_.reset(made);
  }
  // All outputs of the model, in its order; or those named.
  std::vector<Tensor> run(const std::vector<std::pair<std::string, const Tensor&>>& inputs,
                          std::vector<std::string> wanted = {}) {
    if (wanted.empty()) wanted = outputs_;
    std::vector<const char*> input_names, output_names;
    std::vector<const treadle_tensor*> given;
    for (const auto& [name, tensor] : inputs) {
      input_names.push_back(name.c_str());
      given.push_back(tensor.handle());
    }
    for (const std::string& name : wanted) output_names.push_back(name.c_str());
    std::vector<treadle_tensor*> made(wanted.size(), nullptr);
    check(treadle_session_run(handle_.get(), input_names.data(), given.data(), given.size(),
                              output_names.data(), made.data(), made.size(), nullptr));
    std::vector<Tensor> outputs;
    for (treadle_tensor* t : made) outputs.emplace_back(t);
    return outputs;
  }
  treadle_session* handle() const { return handle_.get(); }

 private:
  std::vector<std::string> outputs_;
  detail::Handle<treadle_session, treadle_session_release> handle_;
};

}  // namespace treadle

#endif  // TREADLE_TREADLE_HPP
