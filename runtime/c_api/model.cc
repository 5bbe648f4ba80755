// Options and models.
#include <charconv>
#include <cstring>

#include "graph/base/suggestion.h"
#include "graph/ops/random.h"
#include "runtime/c_api/handles.h"
#include "training/gradient_nodes.h"

using treadle::Code;
using treadle::Type;
using treadle::c_api::guarded;
using treadle::c_api::require;
using treadle::c_api::type_text;

namespace {

std::vector<std::string> list_of(const std::string& text) {
  std::vector<std::string> items;
  for (size_t begin = 0; begin < text.size();) {
    const size_t comma = std::min(text.find(',', begin), text.size());
    if (comma > begin) items.push_back(text.substr(begin, comma - begin));
    begin = comma + 1;
  }
  return items;
}
std::set<std::string> names_of(const std::string& text) {
  const std::vector<std::string> items = list_of(text);
  return {items.begin(), items.end()};
}

int64_t integer(const std::string& key, const std::string& text, int64_t least) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  TREADLE_CHECK(error == std::errc() && end == text.data() + text.size() && value >= least,
                kInvalidArgument, "option '", key, "' is '", text,
                "', expected an integer of at least ", least);
  return value;
}

bool boolean(const std::string& key, const std::string& text) {
  TREADLE_CHECK(text == "0" || text == "1", kInvalidArgument, "option '", key, "' is '", text,
                "', expected 0 or 1");
  return text == "1";
}

// "batch=1,width=64"
std::map<std::string, int64_t> sizes_of(const std::string& key, const std::string& text) {
  std::map<std::string, int64_t> sizes;
  for (const std::string& item : list_of(text)) {
    const size_t equals = item.rfind('=');
    TREADLE_CHECK(equals != std::string::npos && equals > 0, kInvalidArgument, "option '", key,
                  "' has '", item, "', expected NAME=SIZE");
    sizes[item.substr(0, equals)] = integer(key, item.substr(equals + 1), 0);
  }
  return sizes;
}

using Setter = void (*)(treadle_options&, const std::string& key, const std::string& value);
struct OptionRow {
  const char* key;
  Setter set;
};
constexpr OptionRow kOptions[] = {
    {"device",
     [](treadle_options& o, const std::string&, const std::string& v) { o.model.device = v; }},
    {"fallback", [](treadle_options& o, const std::string& k,
                    const std::string& v) { o.model.fallback = boolean(k, v); }},
    {"optimize", [](treadle_options& o, const std::string& k,
                    const std::string& v) { o.model.optimize = boolean(k, v); }},
    {"winograd", [](treadle_options& o, const std::string& k,
                    const std::string& v) { o.model.winograd = boolean(k, v); }},
    {"skip_pass", [](treadle_options& o, const std::string&,
                     const std::string& v) { o.model.passes.skip = names_of(v); }},
    {"overridable", [](treadle_options& o, const std::string&,
                       const std::string& v) { o.load.overridable = names_of(v); }},
    {"dims", [](treadle_options& o, const std::string& k,
                const std::string& v) { o.load.dims = sizes_of(k, v); }},
    {"denoted_dims", [](treadle_options& o, const std::string& k,
                        const std::string& v) { o.load.denoted_dims = sizes_of(k, v); }},
    {"plugins",
     [](treadle_options& o, const std::string&, const std::string& v) {
       for (const std::string& path : list_of(v)) treadle::c_api::add_plugin(o, path);
     }},
    {"defer", [](treadle_options& o, const std::string& k,
                 const std::string& v) { o.load.defer = boolean(k, v); }},
    {"mmap", [](treadle_options& o, const std::string& k,
                const std::string& v) { o.load.mmap = boolean(k, v); }},
    {"max_bytes", [](treadle_options& o, const std::string& k,
                     const std::string& v) { o.model.max_bytes = integer(k, v, 1); }},
    {"max_nodes", [](treadle_options& o, const std::string& k,
                     const std::string& v) { o.load.limits.max_nodes = integer(k, v, 1); }},
    {"max_depth", [](treadle_options& o, const std::string& k,
                     const std::string& v) { o.load.limits.max_depth = integer(k, v, 1); }},
    {"max_weight_bytes", [](treadle_options& o, const std::string& k,
                            const std::string& v) { o.load.limits.max_bytes = integer(k, v, 1); }},
    {"threads",
     [](treadle_options& o, const std::string& k, const std::string& v) {
       const int64_t threads = integer(k, v, 0);
       TREADLE_CHECK(threads <= 1024, kInvalidArgument, "option 'threads' is ", threads,
                     ", at most 1024 expected");
       o.session.threads = static_cast<int>(threads);
     }},
};

std::vector<std::string> dim_texts(const Type& type) {
  std::vector<std::string> texts;
  if (!type.is_tensor() || !type.shape) return texts;
  for (const treadle::Dim& d : *type.shape) texts.push_back(d.text());
  return texts;
}

std::vector<std::pair<std::string, std::string>> metadata_of(const treadle::Graph& graph) {
  std::map<std::string, std::string> metadata = graph.metadata;
  if (!graph.name.empty()) metadata["graph_name"] = graph.name;
  if (!graph.doc.empty()) metadata["description"] = graph.doc;
  return {metadata.begin(), metadata.end()};
}

treadle_model* wrap(treadle::Graph graph, const treadle_options* options) {
  auto handle = std::make_unique<treadle_model>();
  treadle::expand_gradient_nodes(graph, options != nullptr ? options->load.operators : nullptr);
  handle->model = treadle::Model::create(
      std::move(graph), options != nullptr ? options->model : treadle::ModelOptions{});
  const treadle::Model& model = *handle->model;
  for (size_t i = 0; i < model.input_count(); ++i) {
    handle->input_dims.push_back(dim_texts(model.input(i).type));
    handle->input_types.push_back(type_text(model.input(i).type));
  }
  for (size_t i = 0; i < model.output_count(); ++i) {
    handle->output_dims.push_back(dim_texts(model.output_type(i)));
    handle->output_types.push_back(type_text(model.output_type(i)));
  }
  handle->metadata = metadata_of(model.graph());
  return handle.release();
}

const char* dim_text(const std::vector<std::vector<std::string>>& dims, size_t index, size_t axis) {
  return index < dims.size() && axis < dims[index].size() ? dims[index][axis].c_str() : nullptr;
}

}  // namespace

extern "C" {

treadle_status treadle_options_create(treadle_options** options) {
  return guarded([&] {
    require(options, "options");
    *options = new treadle_options();
  });
}
void treadle_options_release(treadle_options* options) { delete options; }

treadle_status treadle_options_set(treadle_options* options, const char* key, const char* value) {
  return guarded([&] {
    require(options, "options");
    require(key, "key");
    require(value, "value");
    std::vector<std::string> keys;
    for (const OptionRow& row : kOptions) {
      if (std::strcmp(row.key, key) == 0) return row.set(*options, key, value);
      keys.emplace_back(row.key);
    }
    treadle::fail(Code::kInvalidArgument, "no option '", key, "'", treadle::suggestion(key, keys));
  });
}

treadle_status treadle_options_set_initializer(treadle_options* options, const char* name,
                                               const treadle_value* tensor, int32_t required) {
  return guarded([&] {
    require(options, "options");
    require(name, "name");
    require(tensor, "tensor");
    const auto* given = std::get_if<treadle::Tensor>(&tensor->value);
    TREADLE_CHECK(given != nullptr, kInvalidArgument, "what is given for initializer '", name,
                  "' is no tensor");
    options->load.initializers[name] = {*given, required != 0};
  });
}

treadle_status treadle_options_set_file(treadle_options* options, const char* location,
                                        const void* data, size_t size) {
  return guarded([&] {
    require(options, "options");
    require(location, "location");
    require(data, "data");
    options->load.files[location] = {static_cast<const std::byte*>(data), size};
  });
}

void treadle_set_seed(uint64_t seed) { treadle::set_random_seed(seed); }

treadle_status treadle_model_load(const char* path, const treadle_options* options,
                                  treadle_model** model) {
  return guarded([&] {
    require(path, "path");
    require(model, "model");
    *model = wrap(treadle::load(path, options != nullptr ? options->load : treadle::LoadOptions{}),
                  options);
  });
}

treadle_status treadle_model_load_memory(const void* data, size_t size, const char* folder,
                                         const treadle_options* options, treadle_model** model) {
  return guarded([&] {
    require(data, "data");
    require(model, "model");
    *model = wrap(treadle::load_bytes({static_cast<const std::byte*>(data), size},
                                      folder != nullptr ? folder : "",
                                      options != nullptr ? options->load : treadle::LoadOptions{}),
                  options);
  });
}

void treadle_model_release(treadle_model* model) { delete model; }

treadle_status treadle_model_save(const treadle_model* model, const char* path, int32_t opset) {
  return guarded([&] {
    require(model, "model");
    require(path, "path");
    treadle::SaveOptions options;
    options.opset = opset;
    treadle::save(model->model->graph(), path, options);
  });
}

size_t treadle_model_input_count(const treadle_model* model) {
  return model == nullptr ? 0 : model->model->input_count();
}
size_t treadle_model_output_count(const treadle_model* model) {
  return model == nullptr ? 0 : model->model->output_count();
}
const char* treadle_model_input_name(const treadle_model* model, size_t index) {
  return index < treadle_model_input_count(model) ? model->model->input(index).name.c_str()
                                                  : nullptr;
}
const char* treadle_model_output_name(const treadle_model* model, size_t index) {
  return index < treadle_model_output_count(model) ? model->model->output_name(index).c_str()
                                                   : nullptr;
}

treadle_status treadle_model_find_input(const treadle_model* model, const char* name,
                                        size_t* index) {
  return guarded([&] {
    require(model, "model");
    require(name, "name");
    require(index, "index");
    *index = model->model->find_input(name);
  });
}
treadle_status treadle_model_find_output(const treadle_model* model, const char* name,
                                         size_t* index) {
  return guarded([&] {
    require(model, "model");
    require(name, "name");
    require(index, "index");
    *index = model->model->find_output(name);
  });
}

treadle_status treadle_model_input_type(const treadle_model* model, size_t index,
                                        treadle_type* type) {
  return guarded([&] {
    require(model, "model");
    TREADLE_CHECK(index < model->model->input_count(), kInvalidArgument, "input ", index, " of ",
                  model->model->input_count());
    treadle::c_api::fill_type(model->model->input(index).type, model->input_types[index], type);
  });
}
treadle_status treadle_model_output_type(const treadle_model* model, size_t index,
                                         treadle_type* type) {
  return guarded([&] {
    require(model, "model");
    TREADLE_CHECK(index < model->model->output_count(), kInvalidArgument, "output ", index, " of ",
                  model->model->output_count());
    treadle::c_api::fill_type(model->model->output_type(index), model->output_types[index], type);
  });
}

const char* treadle_model_input_dim(const treadle_model* model, size_t index, size_t axis) {
  return model == nullptr ? nullptr : dim_text(model->input_dims, index, axis);
}
const char* treadle_model_output_dim(const treadle_model* model, size_t index, size_t axis) {
  return model == nullptr ? nullptr : dim_text(model->output_dims, index, axis);
}

size_t treadle_model_metadata_count(const treadle_model* model) {
  return model == nullptr ? 0 : model->metadata.size();
}
const char* treadle_model_metadata_key(const treadle_model* model, size_t index) {
  return index < treadle_model_metadata_count(model) ? model->metadata[index].first.c_str()
                                                     : nullptr;
}
const char* treadle_model_metadata(const treadle_model* model, const char* key) {
  if (model == nullptr || key == nullptr) return nullptr;
  for (const auto& [name, value] : model->metadata) {
    if (name == key) return value.c_str();
  }
  return nullptr;
}

}  // extern "C"
