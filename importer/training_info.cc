#include "importer/training_info.h"

#include <algorithm>
#include <set>
#include <span>

#include "importer/file_writer.h"
#include "importer/onnx/bytes.h"
#include "importer/onnx/metadata.h"
#include "importer/onnx/proto.h"

namespace treadle {
namespace {

namespace pb = treadle_onnx;
namespace fs = std::filesystem;
using Bindings = std::map<std::string, std::string>;

pb::ModelProto read_proto(const fs::path& path) {
  const auto bytes = onnx::Bytes::open(path, onnx::Access::kRead);
  TREADLE_CHECK(bytes->size() <= INT32_MAX, kLimit, "the file has ", bytes->size(),
                " bytes, at most ", INT32_MAX, " are read where it trains itself");
  std::string text(static_cast<size_t>(bytes->size()), '\0');
  bytes->read(0, std::as_writable_bytes(std::span(text)));
  pb::ModelProto model;
  TREADLE_CHECK(model.ParseFromString(text) && model.has_graph(), kInvalidModel,
                "it is no ONNX model");
  return model;
}

template <class Entries>
Bindings bindings_of(const Entries& entries) {
  Bindings all;
  for (const auto& entry : entries) {
    TREADLE_CHECK(all.emplace(entry.key(), entry.value()).second, kInvalidModel, "'", entry.key(),
                  "' is bound twice in its training");
  }
  return all;
}

template <class List>
auto* named(List& list, const std::string& name) {
  const auto found =
      std::find_if(list.begin(), list.end(), [&](const auto& item) { return item.name() == name; });
  return found == list.end() ? nullptr : &*found;
}

void append(const pb::GraphProto& from, pb::GraphProto& to) {
  to.mutable_node()->MergeFrom(from.node());
  to.mutable_initializer()->MergeFrom(from.initializer());
  to.mutable_sparse_initializer()->MergeFrom(from.sparse_initializer());
  to.mutable_input()->MergeFrom(from.input());
  to.mutable_output()->MergeFrom(from.output());
  to.mutable_value_info()->MergeFrom(from.value_info());
  to.mutable_quantization_annotation()->MergeFrom(from.quantization_annotation());
}

pb::TensorProto& initializer_of(pb::GraphProto& graph, const std::string& name) {
  auto* found = named(*graph.mutable_initializer(), name);
  TREADLE_CHECK(found != nullptr, kInvalidModel, "its training binds '", name,
                "', which is no initializer");
  return *found;
}

// An input of the initializer's type, for which it is the default.
void make_input(pb::GraphProto& graph, const std::string& name) {
  const pb::TensorProto& tensor = initializer_of(graph, name);
  if (named(*graph.mutable_input(), name) != nullptr) return;
  auto& input = *graph.add_input();
  input.set_name(name);
  auto& type = *input.mutable_type()->mutable_tensor_type();
  type.set_elem_type(tensor.data_type());
  type.mutable_shape();
  for (const int64_t d : tensor.dims()) type.mutable_shape()->add_dim()->set_dim_value(d);
}

std::set<std::string> made_by(const pb::GraphProto& graph) {
  std::set<std::string> names;
  for (const auto& input : graph.input()) names.insert(input.name());
  for (const auto& tensor : graph.initializer()) names.insert(tensor.name());
  for (const auto& tensor : graph.sparse_initializer()) names.insert(tensor.values().name());
  for (const auto& node : graph.node()) names.insert(node.output().begin(), node.output().end());
  return names;
}

// The model must run without its algorithm, and bodies see what is around them.
void check_apart(const pb::GraphProto& model, const std::set<std::string>& made) {
  const auto refuse = [&](const std::string& who, const std::string& name) {
    TREADLE_CHECK(name.empty() || !made.contains(name), kInvalidModel, who, " reads '", name,
                  "' of the training's algorithm, without which it must run");
  };
  for (const auto& node : model.node()) {
    const std::string who = cat("the model's node '", node.name(), "' (", node.op_type(), ")");
    for (const std::string& name : node.input()) refuse(who, name);
    for (const auto& attribute : node.attribute()) {
      if (attribute.has_g()) check_apart(attribute.g(), made);
      for (const auto& body : attribute.graphs()) check_apart(body, made);
    }
  }
  for (const auto& output : model.output()) refuse("the model's output", output.name());
}

void check_complete(const pb::TrainingInfoProto& info) {
  TREADLE_CHECK(info.algorithm().node_size() > 0, kUnsupported,
                "its training has no algorithm: there is nothing to run");
  TREADLE_CHECK(info.update_binding_size() > 0, kUnsupported,
                "its training updates no initializer: there is nothing to train");
  for (const auto& input : info.initialization().input()) {
    const auto& own = info.initialization().initializer();
    TREADLE_CHECK(named(own, input.name()) != nullptr, kInvalidModel,
                  "its training's initialization takes '", input.name(),
                  "', expected one that takes nothing");
  }
}

// Where the types are known before a run.
void check_types(const Graph& graph, const Bindings& bindings, const Graph& makes) {
  for (const auto& [name, output] : bindings) {
    const Tensor& was = graph.value(graph.find_value(name)).default_value;
    const auto made = std::ranges::find(makes.outputs(), output, &GraphOutput::name);
    const Type& becomes = makes.value(made->value).type;
    const Type is = Type::tensor(was.dtype(), symbolic(was.dims()));
    TREADLE_CHECK(is.dtype != DType::kString, kUnsupported, "its training binds '", name, "', ",
                  is.text(), ": strings are not trained");
    bool fits = becomes.is_tensor() && becomes.dtype == is.dtype;
    if (fits && becomes.shape) {
      fits = std::ranges::equal(*becomes.shape, *is.shape, [](const Dim& a, const Dim& b) {
        return !a.known() || a.value() == b.value();
      });
    }
    TREADLE_CHECK(fits, kInvalidModel, "its training binds '", name, "', ", is.text(), ", to '",
                  output, "', ", becomes.text());
  }
}

void check_outputs(const Bindings& bindings, pb::GraphProto& graph) {
  for (const auto& [name, output] : bindings) {
    TREADLE_CHECK(named(*graph.mutable_output(), output) != nullptr, kInvalidModel,
                  "its training binds '", name, "' to '", output, "', which is no output");
  }
}

Graph load_proto(const pb::ModelProto& model, const fs::path& path, const LoadOptions& options) {
  const std::string bytes = model.SerializeAsString();
  const fs::path folder = path.has_parent_path() ? path.parent_path() : fs::path(".");
  return load_bytes(std::as_bytes(std::span(bytes)), folder, options);
}

template <class F>
auto of_file(const fs::path& path, F&& f) {
  try {
    return f();
  } catch (Error& e) {
    e.add_context(cat("file '", path.string(), "'"));
    throw;
  }
}

TrainingStep step_of(pb::ModelProto model, const fs::path& path, LoadOptions options) {
  TREADLE_CHECK(model.training_info_size() > 0, kInvalidModel,
                "the model holds no training (TrainingInfoProto)");
  TREADLE_CHECK(model.training_info_size() == 1, kUnsupported, "the model holds ",
                model.training_info_size(), " TrainingInfoProto, one is read");
  const pb::TrainingInfoProto info = model.training_info(0);
  model.clear_training_info();
  check_complete(info);
  std::set<std::string> made = made_by(info.algorithm());
  for (const std::string& own : made_by(model.graph())) made.erase(own);  // clashes are told below
  check_apart(model.graph(), made);
  TrainingStep step;
  step.updates = bindings_of(info.update_binding());
  step.initial = bindings_of(info.initialization_binding());
  pb::ModelProto start = model;
  *start.mutable_graph() = info.initialization();
  if (start.graph().name().empty()) start.mutable_graph()->set_name("initialization");
  check_outputs(step.initial, *start.mutable_graph());
  step.start = load_proto(start, path, options);
  pb::GraphProto& graph = *model.mutable_graph();
  append(info.algorithm(), graph);
  check_outputs(step.updates, graph);
  for (const Bindings* bindings : {&step.initial, &step.updates}) {
    for (const auto& [name, output] : *bindings) {
      make_input(graph, name);
      options.overridable.insert(name);
    }
  }
  constexpr int64_t kInitializersAlone = 4;  // since which they need not be inputs
  model.set_ir_version(std::max<int64_t>(model.ir_version(), kInitializersAlone));
  step.graph = load_proto(model, path, options);
  check_types(step.graph, step.initial, step.start);
  check_types(step.graph, step.updates, step.graph);
  return step;
}

void put(const Tensor& value, const std::string& name, pb::TensorProto& tensor) {
  TREADLE_CHECK(tensor.data_type() == static_cast<int32_t>(value.dtype()) &&
                    std::ranges::equal(tensor.dims(), value.dims()),
                kInvalidModel, "the initializer '", name, "' became ",
                Type::tensor(value.dtype(), symbolic(value.dims())).text());
  pb::TensorProto replaced;
  replaced.set_name(name);
  replaced.set_data_type(tensor.data_type());
  *replaced.mutable_dims() = tensor.dims();
  replaced.set_raw_data(value.raw(), value.bytes());
  tensor = std::move(replaced);
}

bool is_external(const pb::GraphProto& graph) {
  return std::ranges::any_of(graph.initializer(), [](const pb::TensorProto& t) {
    return t.data_location() == pb::TensorProto::EXTERNAL;
  });
}

}  // namespace

TrainingStep load_training_step(const fs::path& path, const LoadOptions& options) {
  pb::ModelProto model = of_file(path, [&] { return read_proto(path); });
  return of_file(path, [&] { return step_of(std::move(model), path, options); });
}

void save_trained(const fs::path& from, const fs::path& to,
                  const std::map<std::string, Tensor>& values,
                  const std::map<std::string, std::string>* metadata) {
  pb::ModelProto model = of_file(from, [&] { return read_proto(from); });
  pb::GraphProto& graph = *model.mutable_graph();
  pb::GraphProto* algorithm =
      model.training_info_size() > 0 ? model.mutable_training_info(0)->mutable_algorithm() : &graph;
  for (const auto& [name, value] : values) {
    auto* own = named(*graph.mutable_initializer(), name);
    put(value, name, own != nullptr ? *own : initializer_of(*algorithm, name));
  }
  TREADLE_CHECK((!is_external(graph) && !is_external(*algorithm)) ||
                    fs::absolute(from).parent_path() == fs::absolute(to).parent_path(),
                kUnsupported, "the model has external data: '", to.string(),
                "' must lie in the folder of '", from.string(), "'");
  if (metadata != nullptr) {
    Graph told;
    told.metadata = *metadata;
    model.clear_metadata_props();
    onnx::write_metadata(told, model);
  }
  const std::string bytes = model.SerializeAsString();
  FileWriter file(to);
  file.write(std::as_bytes(std::span(bytes)));
  file.commit();
}

}  // namespace treadle
