#include "tools/treadle/inputs.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <numbers>

#include "files/picture.h"
#include "importer/importer.h"
#include "tools/treadle/files.h"
#include "tools/treadle/json.h"
#include "tools/treadle/shapes.h"
#include "training/data/preprocess.h"

namespace treadle::tool {
namespace fs = std::filesystem;

namespace {

std::string list_inputs(const Model& model) {
  std::string out;
  for (size_t i = 0; i < model.input_count(); ++i) {
    out += cat("\n  ", model.input(i).name, "  ", model.input(i).type.text());
  }
  return out;
}

// Where a picture's channels, height and width lie in an input: behind the batch if there is one.
struct PictureAxes {
  size_t channels, height, width;
};

PictureAxes picture_axes(const Shape& shape, const Args& args) {
  const size_t first = shape.size() - 3, last = shape.size() - 1;
  const auto counts = [&](size_t d) { return shape[d].is(3) || shape[d].is(1); };
  const std::string layout = args.choice("layout", {"", "nchw", "nhwc"});
  const bool channels_last = layout.empty() ? counts(last) && !counts(first) : layout == "nhwc";
  if (channels_last) return {last, first, first + 1};
  return {first, first + 1, last};
}

// What the flags do not say, a model that was trained here says itself.
PictureOptions picture_options(const Args& args, const Model& model, DType dtype, size_t channels) {
  const Preprocess trained = read_metadata(model.graph().metadata);
  const bool fits = trained.mean.size() == 1 || trained.mean.size() == channels;
  TREADLE_CHECK(fits || trained.empty() || (args.has("mean") && args.has("std")), kInvalidModel,
                "metadata 'treadle.preprocess' has ", trained.mean.size(), " means for ", channels,
                " channels; --mean and --std say others");
  PictureOptions o;
  o.mean = args.numbers("mean", fits ? trained.mean : std::vector<double>{0});
  o.std = args.numbers("std", fits ? trained.deviation : std::vector<double>{1});
  o.scale = args.number("scale", is_integer(dtype) ? 1 : fits ? trained.scale : 1.0 / 255);
  o.bgr = args.choice("color", {"rgb", "bgr"}) == "bgr";
  o.stretch = args.choice("resize", {"crop", "stretch"}) == "stretch";
  for (const auto& [flag, list] : {std::pair{"mean", &o.mean}, {"std", &o.std}}) {
    if (list->size() != 1 && list->size() != channels) {
      throw UsageError(cat("--", flag, ": ", list->size(), " numbers for ", channels, " channels"));
    }
    list->resize(channels, list->front());
  }
  for (double s : o.std) {
    if (s == 0) throw UsageError("--std: 0 would divide by zero");
  }
  return o;
}

// To the nearest T there is.
template <class T>
T saturated(double x) {
  if constexpr (std::is_integral_v<T>) {
    constexpr T low = std::numeric_limits<T>::lowest(), high = std::numeric_limits<T>::max();
    if (x <= static_cast<double>(low)) return low;
    if (x >= static_cast<double>(high)) return high;
    return static_cast<T>(std::nearbyint(x));
  } else {
    return static_cast<T>(static_cast<float>(x));
  }
}

// In the input's dtype; a batch repeats the picture.
Tensor as_input(const Tensor& picture, DType dtype, const Dims& dims) {
  Tensor out(dtype, dims);
  const auto from = picture.data<float>();
  dispatch(dtype, NumberTypes{}, [&]<class T>() {
    auto to = out.data<T>();
    for (size_t i = 0; i < to.size(); ++i) to[i] = saturated<T>(from[i % from.size()]);
  });
  return out;
}

Tensor picture_input(const fs::path& path, const Model& model, const Type& type, const Args& args) {
  const size_t rank = type.is_tensor() && type.shape ? type.shape->size() : 0;
  TREADLE_CHECK(rank == 3 || rank == 4, kInvalidArgument,
                "a picture needs an input of rank 4, or 3 without a batch; this one is ",
                type.text());
  const Shape& shape = *type.shape;
  const PictureAxes axes = picture_axes(shape, args);
  const Image picture = read_image(path);
  PictureSize size{shape[axes.channels].maybe().value_or(3),
                   shape[axes.height].maybe().value_or(picture.height),
                   shape[axes.width].maybe().value_or(picture.width), axes.channels > axes.height};
  TREADLE_CHECK(size.channels == 1 || size.channels == 3, kInvalidArgument,
                "a picture cannot fill ", size.channels, " channels of ", type.text(),
                " (see --layout)");
  const Tensor t = picture_tensor(
      picture, size, picture_options(args, model, type.dtype, static_cast<size_t>(size.channels)));
  Dims dims = t.dims();
  if (rank == 4) dims.insert(dims.begin(), with_batch(type).shape->front().value());
  return as_input(t, type.dtype, dims);
}

Tensor raw_input(const fs::path& path, const Type& type) {
  const std::string bytes = read_file(path);
  const auto dims = type.shape ? concrete(*type.shape) : std::nullopt;
  TREADLE_CHECK(dims, kInvalidArgument, "a .bin file needs --shape: the input is ", type.text());
  Tensor t(type.dtype, *dims);
  TREADLE_CHECK(bytes.size() == t.bytes(), kInvalidArgument, "'", path.string(), "' holds ",
                bytes.size(), " bytes, expected ", t.bytes(), " for ", type.text());
  std::copy(bytes.begin(), bytes.end(), reinterpret_cast<char*>(t.raw()));
  return t;
}

std::string extension_of(const fs::path& path) {
  std::string extension = path.extension().string();
  std::transform(extension.begin(), extension.end(), extension.begin(),
                 [](unsigned char c) { return std::tolower(c); });
  return extension;
}

// The array of an .npz for one input: the one of its name, else the only one.
Tensor only_array(const fs::path& path, const std::string& name) {
  NamedTensors arrays = read_npz(path);
  for (auto& [key, tensor] : arrays) {
    if (key == name) return tensor;
  }
  TREADLE_CHECK(arrays.size() == 1, kInvalidArgument, "'", path.string(), "' holds ", arrays.size(),
                " arrays, none of them '", name, "'");
  return arrays.front().second;
}

// An object's element of the name, or the whole.
Tensor json_input(const Json& json, const fs::path& path, const std::string& name,
                  const Type& type) {
  try {
    TREADLE_CHECK(type.is_tensor(), kInvalidArgument, "JSON cannot fill ", type.text());
    return json_tensor(json.is_object() && json.contains(name) ? json[name] : json, type.dtype);
  } catch (Error& e) {
    e.add_context(cat("'", path.string(), "', input '", name, "'"));
    throw;
  }
}

struct Place {
  const Model& model;
  size_t index;
  const Type& type;
};

Value read_input(const fs::path& path, const Place& input, const Args& args) {
  const std::string extension = extension_of(path);
  if (extension == ".npy") return read_npy(path);
  if (extension == ".npz") return only_array(path, input.model.input(input.index).name);
  if (extension == ".pb") return load_value(path, input.type);
  if (extension == ".bin") return raw_input(path, input.type);
  if (extension == ".jpg" || extension == ".jpeg" || extension == ".png")
    return picture_input(path, input.model, input.type, args);
  if (extension == ".json")
    return json_input(read_json(path.string()), path, input.model.input(input.index).name,
                      input.type);
  throw UsageError(cat("--input: '", path.string(), "' is no .npy .npz .json .pb .bin .jpg .png"));
}

void put(const Model& model, size_t index, Value value, std::vector<Value>& values) {
  if (!values[index].empty())
    throw UsageError(cat("--input: '", model.input(index).name, "' is given twice"));
  values[index] = std::move(value);
}

// What a file of several inputs holds by their names; nothing: it holds one.
NamedTensors named_inputs(const fs::path& path, const Model& model,
                          const std::vector<Type>& types) {
  if (extension_of(path) == ".npz") return read_npz(path);
  NamedTensors tensors;
  if (extension_of(path) != ".json") return tensors;
  const Json json = read_json(path.string());
  if (!json.is_object()) return tensors;
  for (const auto& [name, value] : json.items())
    tensors.emplace_back(name, json_input(json, path, name, types[model.find_input(name)]));
  return tensors;
}

bool is_there(const std::string& path) {
  std::error_code unknown;  // no name of a file can be so long
  return fs::exists(path, unknown);
}

// Whether what stands behind NAME= is the value itself: a number, or lists of numbers.
bool is_literal(const std::string& text) {
  const bool begins =
      !text.empty() && std::string_view("[-0123456789").find(text[0]) != std::string_view::npos;
  return begins && !is_there(text) && Json::accept(text);
}

// Puts one --input into the slots.
void take_input(const Model& model, const Args& args, const std::vector<Type>& types,
                const std::string& given, std::vector<Value>& values) {
  size_t index = 0;
  std::string file = given;
  const size_t equals = given.find('=');
  if (equals != std::string::npos && !is_there(given)) {
    index = model.find_input(given.substr(0, equals));
    file = given.substr(equals + 1);
  } else if (NamedTensors several = named_inputs(given, model, types); !several.empty()) {
    for (auto& [name, tensor] : several)
      put(model, model.find_input(name), std::move(tensor), values);
    return;
  } else {
    const auto has_value = [&](size_t i) {
      return !values[i].empty() || model.input(i).default_value.defined();
    };
    while (index < values.size() && has_value(index)) ++index;
    if (index == values.size())
      throw UsageError(cat("--input: more files than inputs (", values.size(), ")"));
  }
  try {
    Value value = is_literal(file) ? json_input(parse_json(file, "--input"), "--input",
                                                model.input(index).name, types[index])
                                   : read_input(file, {model, index, types[index]}, args);
    put(model, index, std::move(value), values);
  } catch (Error& e) {
    e.add_context(cat("input '", model.input(index).name, "'"));
    throw;
  }
}

class Random {  // splitmix64 (Steele et al. 2014): the same numbers on every machine
 public:
  explicit Random(uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15u + 0x2545f4914f6cdd1du) {}
  uint64_t next() {
    uint64_t z = state_ += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  double uniform() { return (static_cast<double>(next() >> 11) + 0.5) * 0x1p-53; }
  double normal() {  // Box–Muller
    return std::sqrt(-2 * std::log(uniform())) * std::cos(2 * std::numbers::pi * uniform());
  }

 private:
  uint64_t state_;
};

}  // namespace

Tensor random_tensor(DType dtype, const Dims& dims, uint64_t seed, const Args& args) {
  const std::vector<double> range = args.numbers("val-range", {0, 1});
  if (range.size() != 2 || range[0] > range[1])
    throw UsageError("--val-range: expected LOW,HIGH, as in 0,255");
  const bool uniform = args.has("val-range");
  Tensor t(dtype, dims);
  Random random(seed);
  dispatch(dtype, NumberOrBoolTypes{}, [&]<class T>() {
    for (T& x : t.data<T>()) {
      if constexpr (std::is_same_v<T, bool>) {
        x = true;
      } else if constexpr (std::is_integral_v<T>) {
        x = saturated<T>(range[0] + std::floor(random.uniform() * (range[1] - range[0] + 1)));
      } else {
        x = static_cast<T>(static_cast<float>(
            uniform ? range[0] + random.uniform() * (range[1] - range[0]) : random.normal()));
      }
    }
  });
  return t;
}

namespace {

Tensor filled(const std::string& how, const Type& type, uint64_t seed, const Args& args) {
  const auto dims = concrete(*type.shape);
  if (how == "random") return random_tensor(type.dtype, *dims, seed, args);
  Tensor t = Tensor::zeros(type.dtype, *dims);
  if (how == "ones") {
    dispatch(type.dtype, NumberOrBoolTypes{}, [&]<class T>() {
      for (T& x : t.data<T>()) x = static_cast<T>(1);
    });
  }
  return t;
}

Value fill_input(const Model& model, size_t i, Type type, Missing missing, const Args& args) {
  const ValueDef& input = model.input(i);
  TREADLE_CHECK(type.is_tensor() && type.dtype != DType::kString, kInvalidArgument, "input '",
                input.name, "' (", type.text(), ") cannot be filled: give it with --input");
  type = with_batch(type);
  if (missing == Missing::kGuess && type.shape) {
    for (Dim& d : *type.shape) d = d.known() ? d : Dim(1);
  }
  if (!is_sized(type)) {
    throw UsageError(cat("input '", input.name, "' is ", type.text(), ": give its size, as in ",
                         shape_hint(input.name, type)));
  }
  const auto seed = static_cast<uint64_t>(args.integer("seed", 0)) + i;
  return filled(args.choice("fill", {"random", "zeros", "ones"}), type, seed, args);
}

}  // namespace

std::vector<Value> gather_inputs(const Model& model, const Args& args, Missing missing) {
  std::vector<Value> values(model.input_count());
  const std::vector<Type> types = input_types(model, args);
  for (const std::string& given : args.all("input")) {
    const bool piped = given == "-" || given.ends_with("=-");
    const auto pipe = piped ? standard_input() : nullptr;
    const std::string file =
        piped ? given.substr(0, given.size() - 1) + pipe->path().string() : given;
    take_input(model, args, types, file, values);
  }
  for (size_t i = 0; i < values.size(); ++i) {
    const Tensor& fallback = model.input(i).default_value;
    if (values[i].empty() && fallback.defined()) values[i] = fallback;
  }
  const std::vector<Type> sized = input_types(model, args, values);
  for (size_t i = 0; i < values.size(); ++i) {
    if (!values[i].empty()) continue;
    if (missing == Missing::kRefuse && !args.has("fill")) {
      throw UsageError(cat("input '", model.input(i).name,
                           "' is not given: use --input [NAME=]FILE, or --fill. The model takes:",
                           list_inputs(model)));
    }
    values[i] = fill_input(model, i, sized[i], missing, args);
  }
  return values;
}

std::string shapes_text(const Model& model, std::span<const Value> inputs) {
  std::vector<Type> types;
  for (size_t i = 0; i < inputs.size(); ++i) {
    const Tensor* t = std::get_if<Tensor>(&inputs[i]);
    types.push_back(t == nullptr ? model.input(i).type
                                 : Type::tensor(t->dtype(), symbolic(t->dims())));
  }
  return shapes_text(model, types);
}

void blame_shapes(const Error& error, const Model& model, const std::string& shapes) {
  bool open = false;
  for (size_t i = 0; i < model.input_count(); ++i) open = open || !is_sized(model.input(i).type);
  if (error.code() != Code::kInvalidModel || !open) throw Error(error);
  fail(Code::kInvalidArgument, "the model does not run on ", shapes,
       " (see --shape): ", error.what());
}

void run_model(Session& session, const Args& args, std::span<const Value> inputs,
               std::span<Value> outputs, const RunOptions& options) {
  try {
    session.run_into(inputs, outputs, options);
  } catch (const Error& e) {
    const bool random = args.text("fill", "random") == "random" && args.all("input").empty() &&
                        !args.has("test-data");
    if (e.code() == Code::kInvalidData && random) {
      fail(e.code(), e.what(), " (the input is random: see --fill zeros, --val-range LOW,HIGH)");
    }
    blame_shapes(e, session.model(), shapes_text(session.model(), inputs));
  }
}

}  // namespace treadle::tool
