// treadle._native: models, sessions and values of the C API as Python objects. What users see is
// built from these in treadle/*.py.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include "native.h"

namespace nb = nanobind;
using treadle::Cancel;
using treadle::Exception;
using treadle::detail::check;
using namespace treadle::python;

namespace {

treadle::Options options_of(const nb::dict& settings) {
  treadle::Options options;
  for (const auto& [key, value] : settings)
    options.set(c_text(nb::cast<std::string>(key)), c_text(nb::cast<std::string>(value)));
  return options;
}

// ---- Values

using Array = nb::ndarray<nb::ro, nb::c_contig, nb::device::cpu>;

// `dtype` tells what the array's bytes are, `dims` how many elements there are: numpy does not know
// all of them.
Held* make_tensor(const Array& array, treadle_dtype dtype, const std::vector<int64_t>& dims) {
  treadle_value* made = nullptr;
  check(treadle_tensor_wrap(dtype, dims.data(), dims.size(), const_cast<void*>(array.data()),
                            array.nbytes(), &made));
  return new Held{treadle::Value(made), nb::cast(array)};
}

Held* make_strings(const std::vector<nb::bytes>& elements, const std::vector<int64_t>& dims) {
  std::vector<std::string> texts;
  for (const nb::bytes& e : elements) texts.emplace_back(e.c_str(), e.size());
  return new Held{treadle::Value::strings(texts, dims), nb::none()};
}

Held* make_sequence(const std::vector<const Held*>& elements) {
  treadle_value* made = nullptr;
  const auto given = handles(elements);
  check(treadle_sequence_create(given.data(), given.size(), &made));
  return new Held{treadle::Value(made), nb::cast(elements)};
}

Held* make_optional(const Held* element) {
  treadle_value* made = nullptr;
  check(treadle_optional_create(element != nullptr ? element->value.handle() : nullptr, &made));
  return new Held{treadle::Value(made), element != nullptr ? nb::cast(element) : nb::none()};
}

Held* make_map(const Held* keys, const Held* values) {
  treadle_value* made = nullptr;
  check(treadle_map_create(keys->value.handle(), values->value.handle(), &made));
  return new Held{treadle::Value(made), nb::make_tuple(keys, values)};
}

// The tensor's bytes, as numpy's uint8 [size], which keep the tensor alive.
nb::ndarray<nb::numpy, uint8_t> bytes_of(nb::handle self) {
  const Held& held = nb::cast<const Held&>(self);
  treadle_value* handle = held.value.handle();
  const size_t size = treadle_tensor_size(handle);
  return nb::ndarray<nb::numpy, uint8_t>(treadle_tensor_data(handle), {size}, self);
}

// ---- DLPack, for what numpy does not know as well: bfloat16 and the floats of 8 bits

using Kind = nb::dlpack::dtype_code;
struct DlType {
  treadle_dtype dtype;
  Kind kind;  // DLPack's; the bits are the same
};
constexpr DlType kDlTypes[] = {
    {TREADLE_FLOAT, Kind::Float},
    {TREADLE_FLOAT16, Kind::Float},
    {TREADLE_DOUBLE, Kind::Float},
    {TREADLE_BFLOAT16, Kind::Bfloat},
    {TREADLE_INT8, Kind::Int},
    {TREADLE_INT16, Kind::Int},
    {TREADLE_INT32, Kind::Int},
    {TREADLE_INT64, Kind::Int},
    {TREADLE_UINT8, Kind::UInt},
    {TREADLE_UINT16, Kind::UInt},
    {TREADLE_UINT32, Kind::UInt},
    {TREADLE_UINT64, Kind::UInt},
    {TREADLE_BOOL, Kind::Bool},
    {TREADLE_COMPLEX64, Kind::Complex},
    {TREADLE_COMPLEX128, Kind::Complex},
    {TREADLE_FLOAT8E4M3FN, Kind::Float8_E4M3FN},
    {TREADLE_FLOAT8E4M3FNUZ, Kind::Float8_E4M3FNUZ},
    {TREADLE_FLOAT8E5M2, Kind::Float8_E5M2},
    {TREADLE_FLOAT8E5M2FNUZ, Kind::Float8_E5M2FNUZ},
    {TREADLE_FLOAT8E8M0, Kind::Float8_E8M0FNU},
};

nb::dlpack::dtype dl_dtype(const DlType& type) {
  return {static_cast<uint8_t>(type.kind), static_cast<uint8_t>(treadle_dtype_bits(type.dtype)), 1};
}

Held* make_from_dlpack(const Array& array) {
  for (const DlType& type : kDlTypes) {
    if (dl_dtype(type) != array.dtype()) continue;
    std::vector<int64_t> dims;
    for (size_t i = 0; i < array.ndim(); ++i) dims.push_back(static_cast<int64_t>(array.shape(i)));
    return make_tensor(array, type.dtype, dims);
  }
  throw nb::type_error("no element type of the library is that of the DLPack tensor");
}

nb::ndarray<nb::array_api, nb::device::cpu> dlpack_of(nb::handle self) {
  const Held& held = nb::cast<const Held&>(self);
  for (const DlType& type : kDlTypes) {
    if (type.dtype != held.value.dtype()) continue;
    const std::vector<int64_t> dims = held.value.dims();
    const std::vector<size_t> shape(dims.begin(), dims.end());
    return {treadle_tensor_data(held.value.handle()),
            shape.size(),
            shape.data(),
            self,
            nullptr,
            dl_dtype(type)};
  }
  throw nb::buffer_error("DLPack has no such element type");
}

std::vector<nb::bytes> strings_of(const Held& held) {
  std::vector<nb::bytes> out;
  for (size_t i = 0; i < held.value.count(); ++i) {
    size_t length = 0;
    const char* text = treadle_tensor_string(held.value.handle(), i, &length);
    if (text == nullptr) break;
    out.emplace_back(text, length);
  }
  return out;
}

std::vector<Held> elements_of(nb::handle self) {
  std::vector<Held> out;
  for (treadle::Value& v : nb::cast<const Held&>(self).value.elements())
    out.push_back(Held{std::move(v), nb::borrow(self)});
  return out;
}

// ---- Models and sessions

// The C functions that tell of a model's inputs, or of its outputs.
struct Side {
  size_t (*count)(const treadle_model*);
  const char* (*name)(const treadle_model*, size_t);
  treadle_status (*type)(const treadle_model*, size_t, treadle_type*);
  const char* (*dim)(const treadle_model*, size_t, size_t);
};
constexpr Side kInputs = {treadle_model_input_count, treadle_model_input_name,
                          treadle_model_input_type, treadle_model_input_dim};
constexpr Side kOutputs = {treadle_model_output_count, treadle_model_output_name,
                           treadle_model_output_type, treadle_model_output_dim};

// [(name, "tensor(float)", dtype, dims: numbers, or texts where symbolic; None when unknown)]
nb::typed<nb::list, nb::tuple> ports(const Side& side, const treadle_model* model) {
  nb::list out;
  for (size_t i = 0; i < side.count(model); ++i) {
    treadle_type type = {};
    type.struct_size = sizeof type;
    check(side.type(model, i, &type));
    nb::list dims;
    for (int32_t d = 0; d < type.rank; ++d) {
      if (type.dims[d] >= 0) {
        dims.append(type.dims[d]);
      } else {
        dims.append(side.dim(model, i, static_cast<size_t>(d)));
      }
    }
    out.append(nb::make_tuple(side.name(model, i), type.text, type.dtype,
                              type.rank < 0 ? nb::none() : nb::object(dims)));
  }
  return out;
}

nb::typed<nb::dict, nb::str, nb::str> metadata_of(const treadle::Model& model) {
  nb::dict out;
  for (size_t i = 0; i < treadle_model_metadata_count(model.handle()); ++i) {
    const char* key = treadle_model_metadata_key(model.handle(), i);
    out[key] = treadle_model_metadata(model.handle(), key);
  }
  return out;
}

// [(name, tensor, whether the model must have it)]
using Given = std::vector<std::tuple<std::string, const Held*, bool>>;
// [(location, contents)]
using Files = std::vector<std::pair<std::string, nb::bytes>>;

// What is given for the model's initializers and its files of external data, added to the settings.
treadle::Options load_options(const nb::dict& settings, const Given& given, const Files& files) {
  treadle::Options options = options_of(settings);
  for (const auto& [name, held, required] : given)
    options.set_initializer(name.c_str(), held->value, required);
  for (const auto& [location, bytes] : files)
    options.set_file(location.c_str(), bytes.data(), bytes.size());
  return options;
}

void construct_from_bytes(treadle::Model* self, const nb::bytes& data, const nb::dict& settings,
                          const Given& given, const Files& files) {
  const treadle::Options options = load_options(settings, given, files);
  const nb::gil_scoped_release released;
  new (self) treadle::Model(data.data(), data.size(), options);
}

void construct_from_path(treadle::Model* self, const std::string& path, const nb::dict& settings,
                         const Given& given, const Files& files) {
  const treadle::Options options = load_options(settings, given, files);
  const char* const text = c_text(path);
  const nb::gil_scoped_release released;
  new (self) treadle::Model(text, options);
}

// `places[i]`, where it is not None, is filled in place; the results follow output_names.
std::vector<Held> run(treadle::Session& session, const std::vector<std::string>& input_names,
                      const std::vector<const Held*>& inputs,
                      const std::vector<std::string>& output_names, const nb::list& places,
                      double timeout, const Cancel* cancel) {
  std::vector<const char*> in, out;
  for (const std::string& n : input_names) in.push_back(c_text(n));
  for (const std::string& n : output_names) out.push_back(c_text(n));
  const auto given = handles(inputs);
  std::vector<treadle_value*> made;
  for (nb::handle p : places)
    made.push_back(p.is_none() ? nullptr : nb::cast<const Held&>(p).value.handle());
  made.resize(out.size(), nullptr);
  std::vector<bool> placed;
  for (const treadle_value* p : made) placed.push_back(p != nullptr);
  {
    const InterruptScope interrupts(cancel != nullptr ? cancel->handle() : nullptr);
    const treadle_run_options options = {sizeof options, timeout, interrupts.cancel()};
    const nb::gil_scoped_release released;
    const treadle_status status =
        treadle_session_run(session.handle(), in.data(), given.data(), given.size(), out.data(),
                            made.data(), made.size(), &options);
    if (status != TREADLE_OK) throw Exception(status);
  }
  std::vector<Held> results;
  for (size_t i = 0; i < made.size(); ++i)
    results.push_back(Held{treadle::Value(placed[i] ? nullptr : made[i]), nb::none()});
  return results;
}

// ---- Errors: treadle._errors.raise_status makes the Python exception of a status.

void translate(const std::exception_ptr& p, void*) {
  try {
    std::rethrow_exception(p);
  } catch (const Exception& e) {
    if (PyErr_CheckSignals() != 0) return;  // KeyboardInterrupt
    const nb::object errors = nb::module_::import_("treadle._errors");
    const nb::object type = errors.attr("of_status")(e.status());
    PyErr_SetString(type.ptr(), e.what());
  }
}

}  // namespace

NB_MODULE(_native, m) {
  this_is_the_main_thread();
  // Sessions that outlive the interpreter, as daemon threads have them, are no bug.
  nb::set_leak_warnings(false);
  nb::register_exception_translator(translate);
  m.def("version", &treadle_version);
  m.def("set_seed", &treadle_set_seed, nb::arg("seed"));

  nb::class_<Cancel>(m, "Cancel").def(nb::init<>()).def("signal", &Cancel::signal);

  nb::class_<Held>(m, "Value")
      .def_static("tensor", &make_tensor, nb::arg("array"), nb::arg("dtype"), nb::arg("dims"))
      .def_static("strings", &make_strings, nb::arg("elements"), nb::arg("dims"))
      .def_static("sequence", &make_sequence, nb::arg("elements"))
      .def_static("optional", &make_optional, nb::arg("element").none())
      .def_static("map", &make_map, nb::arg("keys"), nb::arg("values"))
      .def_prop_ro("kind", [](const Held& h) { return h.value.kind(); })
      .def_prop_ro("dtype", [](const Held& h) { return h.value.dtype(); })
      .def_prop_ro("dims", [](const Held& h) { return h.value.dims(); })
      .def_static("from_dlpack", &make_from_dlpack, nb::arg("tensor"),
                  nb::sig("def from_dlpack(tensor: typing.Any) -> Value"))
      .def(
          "dlpack", [](nb::handle self) { return dlpack_of(self); },
          nb::sig("def dlpack(self) -> typing.Any"))
      .def("data", [](nb::handle self) { return bytes_of(self); })
      .def("texts", &strings_of)
      .def("elements", [](nb::handle self) { return elements_of(self); });

  nb::class_<treadle::Model>(m, "Model")
      // The given tensors' bytes must live as long as the model.
      .def("__init__", &construct_from_bytes, nb::arg("data"), nb::arg("settings"),
           nb::arg("given") = Given(), nb::arg("files") = Files())
      .def("__init__", &construct_from_path, nb::arg("path"), nb::arg("settings"),
           nb::arg("given") = Given(), nb::arg("files") = Files())
      .def_prop_ro("inputs", [](const treadle::Model& m) { return ports(kInputs, m.handle()); })
      .def_prop_ro("outputs", [](const treadle::Model& m) { return ports(kOutputs, m.handle()); })
      .def_prop_ro("metadata", &metadata_of)
      .def(
          "save",
          [](const treadle::Model& m, const std::string& path, int32_t opset) {
            m.save(c_text(path), opset);
          },
          nb::arg("path"), nb::arg("opset") = 0, nb::call_guard<nb::gil_scoped_release>());

  nb::class_<treadle::Session>(m, "Session")
      .def(
          "__init__",
          [](treadle::Session* self, const treadle::Model& model, const nb::dict& settings) {
            const treadle::Options options = options_of(settings);
            const nb::gil_scoped_release released;
            new (self) treadle::Session(model, options);
          },
          nb::arg("model"), nb::arg("settings"))
      .def("run", &run, nb::arg("input_names"), nb::arg("inputs"), nb::arg("output_names"),
           nb::arg("places"), nb::arg("timeout") = 0.0, nb::arg("cancel") = nb::none())
      .def(
          "report",
          [](treadle::Session& s, const std::string& what) { return s.report(c_text(what)); },
          nb::arg("what"))
      .def("profile", &treadle::Session::profile, nb::arg("on"))
      .def("trim", &treadle::Session::trim);
  bind_training(m);
  bind_networks(m);
}
