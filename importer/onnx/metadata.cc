#include "importer/onnx/metadata.h"

#include <cstdlib>

namespace treadle::onnx {

void read_metadata(const pb::ModelProto& model, Graph& graph) {
  for (const auto& entry : model.metadata_props()) graph.metadata[entry.key()] = entry.value();
  auto set = [&](const char* key, const std::string& value) {
    if (!value.empty()) graph.metadata[key] = value;
  };
  set("producer_name", model.producer_name());
  set("producer_version", model.producer_version());
  set("domain", model.domain());
  if (model.has_model_version()) set("model_version", std::to_string(model.model_version()));
  if (model.training_info_size() != 0) {
    graph.ignored.push_back(
        cat("training information (", model.training_info_size(), " TrainingInfoProto)"));
  }
  graph.name = model.graph().name();
  graph.doc = model.doc_string();
}

void write_metadata(const Graph& graph, pb::ModelProto& model) {
  model.set_producer_name("treadle");
  if (!graph.doc.empty()) model.set_doc_string(graph.doc);
  for (const auto& [key, value] : graph.metadata) {
    if (key == "producer_name") {
      model.set_producer_name(value);
    } else if (key == "producer_version") {
      model.set_producer_version(value);
    } else if (key == "domain") {
      model.set_domain(value);
    } else if (key == "model_version") {
      model.set_model_version(std::strtoll(value.c_str(), nullptr, 10));
    } else {
      auto& entry = *model.add_metadata_props();
      entry.set_key(key);
      entry.set_value(value);
    }
  }
}

}  // namespace treadle::onnx
