// Networks of the C API of training as Python objects; treadle/train/layers.py is what users see.
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>
#include <treadle/train.h>

#include <memory>

#include "native.h"

namespace nb = nanobind;
using treadle::detail::check;

namespace treadle::python {
namespace {

class Network {
 public:
  explicit Network(uint64_t seed) { check(treadle_network_create(seed, &handle_)); }
  ~Network() { treadle_network_release(handle_); }
  Network(const Network&) = delete;
  Network& operator=(const Network&) = delete;
  treadle_network* handle() const { return handle_; }

 private:
  treadle_network* handle_ = nullptr;
};

nb::bytes taken(char* model, size_t size) {
  const std::unique_ptr<char, void (*)(char*)> held(model, treadle_string_free);
  return nb::bytes(model, size);
}

}  // namespace

void bind_networks(nb::module_& m) {
  nb::class_<Network>(m, "Network")
      .def(nb::init<uint64_t>(), nb::arg("seed"))
      .def(
          "input",
          [](Network& n, const std::string& name, treadle_dtype dtype,
             const std::vector<int64_t>& dims) {
            size_t value = 0;
            check(treadle_network_input(n.handle(), c_text(name), dtype, dims.data(), dims.size(),
                                        &value));
            return value;
          },
          nb::arg("name"), nb::arg("dtype"), nb::arg("dims"))
      .def(
          "layer",
          [](Network& n, const std::string& kind, const std::string& name,
             const std::vector<size_t>& inputs, const std::string& settings) {
            size_t value = 0;
            check(treadle_network_layer(n.handle(), c_text(kind), c_text(name), inputs.data(),
                                        inputs.size(), c_text(settings), &value));
            return value;
          },
          nb::arg("kind"), nb::arg("name"), nb::arg("inputs"), nb::arg("settings"))
      .def(
          "output",
          [](Network& n, const std::string& name, size_t value) {
            check(treadle_network_output(n.handle(), c_text(name), value));
          },
          nb::arg("name"), nb::arg("value"))
      .def("model",
           [](const Network& n) {
             char* model = nullptr;
             size_t size = 0;
             check(treadle_network_model(n.handle(), &model, &size));
             return taken(model, size);
           })
      .def_static(
          "known",
          [](const std::string& kind, const std::string& settings, uint64_t seed) {
            char* model = nullptr;
            size_t size = 0;
            check(treadle_network_known(c_text(kind), c_text(settings), seed, &model, &size));
            return taken(model, size);
          },
          nb::arg("kind"), nb::arg("settings"), nb::arg("seed"));
}

}  // namespace treadle::python
