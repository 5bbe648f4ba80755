// save and save_bytes: a graph as an ONNX file, its weights inside or beside it.
#include "importer/file_writer.h"
#include "importer/importer.h"
#include "importer/onnx/writer.h"

namespace treadle {
namespace {

namespace pb = treadle_onnx;

constexpr int64_t kMaxMessage = INT32_MAX;  // protobuf's limit
constexpr int64_t kSmallTensor = 1024;      // stays in the model even when data is external
constexpr int64_t kDataAlignment = 64;

int64_t weight_bytes(const onnx::WrittenModel& written) {
  int64_t total = 0;
  for (const auto& w : written.weights)
    total = checked_add(total, static_cast<int64_t>(w.tensor.bytes()));
  return total;
}

void put_inside(onnx::PendingTensor& weight) {
  const Tensor loaded = weight.tensor.resident();
  weight.proto->set_raw_data(loaded.raw(), loaded.bytes());
}

void add_entry(pb::TensorProto& proto, const char* key, const std::string& value) {
  auto& entry = *proto.add_external_data();
  entry.set_key(key);
  entry.set_value(value);
}

// Writes the large tensors into the file of data, and where they are into the model.
void put_beside(onnx::WrittenModel& written, const std::string& location, FileWriter& file) {
  int64_t at = 0;
  static constexpr std::byte kPadding[kDataAlignment] = {};
  for (auto& weight : written.weights) {
    const auto size = static_cast<int64_t>(weight.tensor.bytes());
    if (size < kSmallTensor) {
      put_inside(weight);
      continue;
    }
    const int64_t start = ceil_div(at, kDataAlignment) * kDataAlignment;
    file.write(std::span(kPadding).first(static_cast<size_t>(start - at)));
    const Tensor loaded = weight.tensor.resident();
    file.write({loaded.raw(), loaded.bytes()});
    at = start + size;
    weight.proto->set_data_location(pb::TensorProto::EXTERNAL);
    add_entry(*weight.proto, "location", location);
    add_entry(*weight.proto, "offset", std::to_string(start));
    add_entry(*weight.proto, "length", std::to_string(size));
  }
}

void write_text(FileWriter& file, const std::string& text) {
  file.write(std::as_bytes(std::span(text)));
}

std::string serialized(const pb::ModelProto& model) {
  TREADLE_CHECK(model.ByteSizeLong() <= static_cast<size_t>(kMaxMessage), kLimit, "the model has ",
                model.ByteSizeLong(), " bytes without its large weights, at most ", kMaxMessage,
                " can be written");
  return model.SerializeAsString();
}

void save_file(const Graph& graph, const std::filesystem::path& path, const SaveOptions& options) {
  onnx::WrittenModel written = onnx::write_model(graph, options);
  const int64_t inside =
      checked_add(weight_bytes(written), static_cast<int64_t>(written.model.ByteSizeLong()));
  const bool beside = options.external_data || inside > kMaxMessage - (int64_t{1} << 20);
  FileWriter file(path);
  if (beside) {
    std::filesystem::path data_path = path;
    data_path += ".data";
    FileWriter data(data_path);
    put_beside(written, data_path.filename().string(), data);
    write_text(file, serialized(written.model));
    data.commit();
  } else {
    for (auto& weight : written.weights) put_inside(weight);
    write_text(file, serialized(written.model));
  }
  file.commit();
}

}  // namespace

void save(const Graph& graph, const std::filesystem::path& path, const SaveOptions& options) {
  try {
    save_file(graph, path, options);
  } catch (Error& e) {
    e.add_context(cat("writing '", path.string(), "'"));
    throw;
  }
}

std::string save_bytes(const Graph& graph, const SaveOptions& options) {
  TREADLE_CHECK(!options.external_data, kInvalidArgument,
                "external data needs a file to lie beside");
  onnx::WrittenModel written = onnx::write_model(graph, options);
  TREADLE_CHECK(weight_bytes(written) < kMaxMessage, kLimit, "the weights have ",
                weight_bytes(written), " bytes: above 2 GB, save to a file");
  for (auto& weight : written.weights) put_inside(weight);
  return serialized(written.model);
}

}  // namespace treadle
