#include "tools/treadle/inputs.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <numbers>

#include "importer/importer.h"
#include "tools/treadle/files.h"
#include "tools/treadle/picture.h"

namespace treadle::tool {
namespace fs = std::filesystem;

ModelOptions model_options(const Args& args) {
  ModelOptions options;
  options.device = args.text("device", "cpu");
  options.fallback = !args.has("no-fallback");
  options.optimize = !args.has("no-optimize");
  const std::vector<std::string> passes = pass_names();
  for (const std::string& pass : args.list("skip-pass")) {
    if (std::find(passes.begin(), passes.end(), pass) == passes.end()) {
      const std::string near = close_match(pass, passes);
      throw UsageError(cat("--skip-pass: '", pass, "' is no pass",
                           near.empty() ? "" : "; did you mean '" + near + "'?"));
    }
    options.passes.skip.insert(pass);
  }
  options.passes.stop_after = args.integer("stop-after", -1);
  return options;
}

namespace {

// A limit that is reached while a model is loaded is the model's fault, not the input data's.
template <class F>
auto of_model(F&& f) {
  try {
    return f();
  } catch (const Error& e) {
    if (e.code() == Code::kLimit) throw ModelError(e);
    throw;
  }
}

}  // namespace

Graph load_graph(const std::string& path, const Args& args) {
  LoadOptions options;
  for (const std::string& name : args.list("overridable")) options.overridable.insert(name);
  return of_model([&] { return load(path, options); });
}

std::shared_ptr<const Model> load_model(const std::string& path, const Args& args) {
  const ModelOptions options = model_options(args);
  Graph graph = load_graph(path, args);
  return of_model([&] { return Model::create(std::move(graph), options); });
}

SessionOptions session_options(const Args& args) {
  const int64_t threads = args.integer("threads", 0);
  if (threads < 0 || threads > 1024)
    throw UsageError(cat("--threads: ", threads, " is out of range"));
  return {static_cast<int>(threads)};
}

namespace {

[[noreturn]] void fail_shape(const std::string& text) {
  throw UsageError(cat("--shape: '", text, "' is not NAME:1x3x224x224"));
}

// "name:1x3x224x224" or "name:1,3,224,224"; the name may hold colons.
std::pair<std::string, Dims> parse_shape(const std::string& text) {
  const size_t colon = text.rfind(':');
  if (colon == std::string::npos) fail_shape(text);
  Dims dims;
  const char* at = text.data() + colon + 1;
  const char* const last = text.data() + text.size();
  while (at != last) {
    int64_t value = 0;
    const auto [end, error] = std::from_chars(at, last, value);
    const bool more = end != last;
    if (error != std::errc() || value < 0 || (more && *end != 'x' && *end != ',')) fail_shape(text);
    dims.push_back(value);
    at = end + (more ? 1 : 0);
    if (more && at == last) fail_shape(text);
  }
  try {
    element_count(dims);
  } catch (const Error& e) {
    throw UsageError(cat("--shape: '", text, "': ", e.what()));
  }
  return {text.substr(0, colon), dims};
}

std::string list_inputs(const Model& model) {
  std::string out;
  for (size_t i = 0; i < model.input_count(); ++i) {
    out += cat("\n  ", model.input(i).name, "  ", model.input(i).type.text());
  }
  return out;
}

PictureOptions picture_options(const Args& args, const Shape& shape) {
  PictureOptions o;
  o.mean = args.numbers("mean", o.mean);
  o.std = args.numbers("std", o.std);
  o.scale = args.number("scale", o.scale);
  o.bgr = args.text("color", "rgb") == "bgr";
  o.stretch = args.text("resize", "crop") == "stretch";
  const bool last =
      shape.size() == 4 && (shape[3].is(3) || shape[3].is(1)) && !shape[1].is(3) && !shape[1].is(1);
  o.channels_last = args.has("layout") ? args.text("layout") == "nhwc" : last;
  for (const auto& [flag, allowed] :
       {std::pair{"color", "rgb bgr"}, {"resize", "crop stretch"}, {"layout", "nchw nhwc"}}) {
    const std::string value = args.text(flag);
    if (!value.empty() && cat(" ", allowed, " ").find(cat(" ", value, " ")) == std::string::npos) {
      throw UsageError(cat("--", flag, ": '", value, "' is none of: ", allowed));
    }
  }
  return o;
}

// Converts a picture's floats to the input's dtype (uint8 inputs take --scale 1).
Tensor picture_input(const fs::path& path, const Type& type, const Args& args) {
  TREADLE_CHECK(type.is_tensor() && type.shape && type.shape->size() == 4, kInvalidArgument,
                "a picture needs an input of rank 4, this one is ", type.text());
  const PictureOptions o = picture_options(args, *type.shape);
  const Picture picture = read_picture(path);
  auto size = [&](size_t d, int64_t fallback) {
    return (*type.shape)[d].maybe().value_or(fallback);
  };
  const size_t c = o.channels_last ? 3 : 1, h = o.channels_last ? 1 : 2, w = h + 1;
  const Tensor t =
      picture_tensor(picture, size(c, 3), size(h, picture.height), size(w, picture.width), o);
  if (type.dtype == DType::kFloat) return t;
  Tensor out(type.dtype, t.dims());
  dispatch(type.dtype, NumberTypes{}, [&]<class T>() {
    for (size_t i = 0; i < static_cast<size_t>(t.count()); ++i) {
      const float x = t.data<float>()[i];
      if constexpr (std::is_integral_v<T>) {
        const auto low = static_cast<double>(std::numeric_limits<T>::lowest());
        const auto high = static_cast<double>(std::numeric_limits<T>::max());
        out.data<T>()[i] = static_cast<T>(std::clamp<double>(std::nearbyint(x), low, high));
      } else {
        out.data<T>()[i] = T(x);
      }
    }
  });
  return out;
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

Value read_input(const fs::path& path, const Type& type, const Args& args) {
  std::string extension = path.extension().string();
  std::transform(extension.begin(), extension.end(), extension.begin(),
                 [](unsigned char c) { return std::tolower(c); });
  if (extension == ".npy") return parse_npy(read_file(path));
  if (extension == ".pb") return load_value(path, type);
  if (extension == ".bin") return raw_input(path, type);
  if (extension == ".jpg" || extension == ".jpeg" || extension == ".png")
    return picture_input(path, type, args);
  throw UsageError(cat("--input: '", path.string(), "' is no .npy .npz .pb .bin .jpg .png"));
}

// Puts one --input into the slots.
void take_input(const Model& model, const Args& args, const std::vector<Type>& types,
                const std::string& given, std::vector<Value>& values) {
  size_t index = 0;
  std::string file = given;
  const size_t equals = given.find('=');
  if (equals != std::string::npos && !fs::exists(given)) {
    index = model.find_input(given.substr(0, equals));
    file = given.substr(equals + 1);
  } else if (fs::path(given).extension() == ".npz") {
    for (auto& [name, tensor] : read_npz(given)) values[model.find_input(name)] = std::move(tensor);
    return;
  } else {
    const auto has_value = [&](size_t i) {
      return !values[i].empty() || model.input(i).default_value.defined();
    };
    while (index < values.size() && has_value(index)) ++index;
    if (index == values.size())
      throw UsageError(cat("--input: more files than inputs (", values.size(), ")"));
  }
  if (!values[index].empty())
    throw UsageError(cat("--input: '", model.input(index).name, "' is given twice"));
  try {
    values[index] = read_input(file, types[index], args);
  } catch (Error& e) {
    e.add_context(cat("input '", model.input(index).name, "'"));
    throw;
  }
}

Tensor filled(const std::string& how, const Type& type, uint64_t seed) {
  const auto dims = concrete(*type.shape);
  if (how == "random") return random_tensor(type.dtype, *dims, seed);
  Tensor t = Tensor::zeros(type.dtype, *dims);
  if (how == "ones") {
    dispatch(type.dtype, NumberOrBoolTypes{}, [&]<class T>() {
      for (T& x : t.data<T>()) x = static_cast<T>(1);
    });
  }
  return t;
}

// Symbolic dimensions take the values that the given inputs have for them.
void bind_symbols(const Model& model, const std::vector<Value>& given, std::vector<Type>& types) {
  std::map<std::string, int64_t> symbols;
  for (size_t i = 0; i < given.size(); ++i) {
    const Tensor* t = std::get_if<Tensor>(&given[i]);
    const auto& shape = model.input(i).type.shape;
    if (t == nullptr || !shape || shape->size() != t->dims().size()) continue;
    for (size_t d = 0; d < shape->size(); ++d) symbols.emplace((*shape)[d].text(), t->dims()[d]);
  }
  for (Type& type : types) {
    if (!type.is_tensor() || !type.shape) continue;
    for (Dim& d : *type.shape) {
      const auto known = symbols.find(d.text());
      d = d.known() ? d : Dim(known != symbols.end() ? known->second : 1);
    }
  }
}

}  // namespace

std::vector<Type> input_types(const Model& model, const Args& args, bool default_one) {
  std::vector<Type> types;
  for (size_t i = 0; i < model.input_count(); ++i) {
    types.push_back(model.input(i).type);
    const Tensor& fallback = model.input(i).default_value;
    if (default_one && fallback.defined()) types.back().shape = symbolic(fallback.dims());
  }
  for (const std::string& text : args.all("shape")) {
    const auto [name, dims] = parse_shape(text);
    types[model.find_input(name)].shape = symbolic(dims);
  }
  if (!default_one) return types;
  for (Type& type : types) {
    if (!type.is_tensor() || !type.shape) continue;
    for (Dim& d : *type.shape) d = d.known() ? d : Dim(1);
  }
  return types;
}

std::vector<Value> gather_inputs(const Model& model, const Args& args, bool fill_all) {
  const std::string fill = args.text("fill", fill_all ? "random" : "");
  if (!fill.empty() && fill != "random" && fill != "zeros" && fill != "ones") {
    throw UsageError(cat("--fill: '", fill, "' is none of: random zeros ones"));
  }
  const std::vector<Type> types = input_types(model, args, false);
  std::vector<Type> filled_types = types;
  std::vector<Value> values(model.input_count());
  for (const std::string& given : args.all("input")) take_input(model, args, types, given, values);
  for (size_t i = 0; i < values.size(); ++i) {
    const Tensor& fallback = model.input(i).default_value;
    if (values[i].empty() && fallback.defined()) values[i] = fallback;
  }
  bind_symbols(model, values, filled_types);
  for (size_t i = 0; i < values.size(); ++i) {
    if (!values[i].empty()) continue;
    const Type& type = filled_types[i];
    if (fill.empty()) {
      throw UsageError(cat("input '", model.input(i).name,
                           "' is not given: use --input [NAME=]FILE, or --fill. The "
                           "model takes:",
                           list_inputs(model)));
    }
    TREADLE_CHECK(type.is_tensor() && type.shape && type.dtype != DType::kString, kInvalidArgument,
                  "input '", model.input(i).name, "' (", type.text(),
                  ") cannot be filled: give it with --input");
    values[i] = filled(fill, type, static_cast<uint64_t>(args.integer("seed", 0)) + i);
  }
  return values;
}

Tensor random_tensor(DType dtype, const Dims& dims, uint64_t seed) {
  Tensor t(dtype, dims);
  uint64_t state = seed * 0x9e3779b97f4a7c15u + 0x2545f4914f6cdd1du;
  auto next = [&state] {  // splitmix64 (Steele et al. 2014)
    uint64_t z = state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  };
  auto uniform = [&] { return (static_cast<double>(next() >> 11) + 0.5) * 0x1p-53; };
  dispatch(dtype, NumberOrBoolTypes{}, [&]<class T>() {
    for (T& x : t.data<T>()) {
      if constexpr (std::is_same_v<T, bool>) {
        x = true;
      } else if constexpr (std::is_integral_v<T>) {
        x = static_cast<T>(next() % 100);
      } else {  // Box–Muller
        const double normal =
            std::sqrt(-2 * std::log(uniform())) * std::cos(2 * std::numbers::pi * uniform());
        x = static_cast<T>(static_cast<float>(normal));
      }
    }
  });
  return t;
}

namespace {

Difference compare_numbers(const Tensor& got, const Tensor& want, double rtol, double atol) {
  const bool exact = !is_float(want.dtype());
  const std::vector<double> a = got.to_doubles(), b = want.to_doubles();
  Difference d;
  double worst_excess = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    if (a[i] == b[i] || (std::isnan(a[i]) && std::isnan(b[i]))) continue;
    const double error = std::abs(a[i] - b[i]);
    const double allowed = exact ? 0 : atol + rtol * std::abs(b[i]);
    if (!std::isnan(error)) d.worst_absolute = std::max(d.worst_absolute, error);
    if (b[i] != 0 && !std::isnan(error))
      d.worst_relative = std::max(d.worst_relative, error / std::abs(b[i]));
    if (error <= allowed) continue;
    d.equal = false;
    const double excess = std::isnan(error) ? INFINITY : error - allowed;
    if (excess < worst_excess) continue;
    worst_excess = excess;
    d.text = cat("element ", i, " of ", shape_text(want.dims()), " is ", a[i], ", expected ", b[i],
                 " (error ", error, ", allowed ", allowed, ")");
  }
  return d;
}

}  // namespace

Difference compare_values(const Value& got, const Value& want, double rtol, double atol) {
  if (!got.is_tensor() || !want.is_tensor()) {
    const bool same_kind = got.index() == want.index();
    const auto* a = std::get_if<std::shared_ptr<const Sequence>>(&got);
    const auto* b = std::get_if<std::shared_ptr<const Sequence>>(&want);
    if (a == nullptr || b == nullptr)
      return {same_kind, same_kind ? "" : "another kind of value", 0, 0};
    if ((*a)->size() != (*b)->size())
      return {false, cat((*a)->size(), " elements, expected ", (*b)->size()), 0, 0};
    for (size_t i = 0; i < (*a)->size(); ++i) {
      const Difference d = compare_values((**a)[i], (**b)[i], rtol, atol);
      if (!d.equal) return {false, cat("element ", i, " of the sequence: ", d.text), 0, 0};
    }
    return {};
  }
  const Tensor &a = got.tensor(), &b = want.tensor();
  if (a.dtype() != b.dtype() || a.dims() != b.dims()) {
    return {false,
            cat("is ", dtype_name(a.dtype()), shape_text(a.dims()), ", expected ",
                dtype_name(b.dtype()), shape_text(b.dims())),
            0, 0};
  }
  if (!is_float(b.dtype()) && b.dtype() == DType::kString) {
    return a == b ? Difference{} : Difference{false, "the strings differ", 0, 0};
  }
  return compare_numbers(a, b, rtol, atol);
}

std::string summary(const Value& value) {
  if (!value.is_tensor()) return value.empty() ? "nothing" : "a sequence, map or optional";
  const Tensor& t = value.tensor();
  std::string text = cat(dtype_name(t.dtype()), shape_text(t.dims()));
  if (t.dtype() == DType::kString || t.count() == 0 || dtype_bits(t.dtype()) < 8) return text;
  const std::vector<double> x = t.to_doubles();
  const auto [low, high] = std::minmax_element(x.begin(), x.end());
  double sum = 0;
  for (double v : x) sum += v;
  return text +
         cat("  min ", *low, "  max ", *high, "  mean ", sum / static_cast<double>(x.size()));
}

}  // namespace treadle::tool
