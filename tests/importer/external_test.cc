// Tensors whose bytes lie in files beside the model, mapped and read.
#include <gtest/gtest.h>

#include <span>

#include "graph/builder.h"
#include "importer/importer.h"
#include "tests/importer/models.h"

namespace treadle {
namespace {

using namespace test;
namespace fs = std::filesystem;

// The first output for x = 0 1 2 / 3 4 5.
std::vector<double> run(const Graph& graph) {
  return evaluate(graph, {Tensor::of<float>({2, 3}, {0, 1, 2, 3, 4, 5})})[0].tensor().to_doubles();
}

pb::ModelProto external_model(const Folder& folder, const std::string& location) {
  pb::ModelProto m = add_model();
  auto& w = add_initializer(m, "w", pb::TensorProto::FLOAT, {2, 3});
  add_external(w, "location", location);
  add_external(w, "offset", "4");
  const std::vector<float> data = {9, 1, 2, 3, 4, 5, 6};
  write_file(folder / "w.data", std::string(reinterpret_cast<const char*>(data.data()), 28));
  return m;
}

TEST(External, Data) {
  for (bool mmap : {false, true}) {
    const Folder folder;
    const pb::ModelProto m = external_model(folder, "w.data");
    write_file(folder / "m.onnx", m.SerializeAsString());
    LoadOptions options;
    options.mmap = mmap;
    EXPECT_EQ(run(load(folder / "m.onnx", options)), (std::vector<double>{1, 3, 5, 7, 9, 11}));
    const std::string bytes = m.SerializeAsString();
    EXPECT_NO_THROW(load_bytes(std::as_bytes(std::span(bytes)), folder.path(), {}));
    EXPECT_THROW(load_bytes(std::as_bytes(std::span(bytes)), {}, {}), Error);
  }
}

// Hugging Face's cache: links into a folder of blobs, for the model and for its data.
TEST(External, LinkedCache) {
  const Folder folder;
  fs::create_directories(folder / "blobs");
  fs::create_directories(folder / "snapshots/1");
  const pb::ModelProto m = external_model(folder, "w.data");
  write_file(folder / "blobs/aaaa", m.SerializeAsString());
  fs::rename(folder / "w.data", folder / "blobs/bbbb");
  fs::create_symlink("../../blobs/aaaa", folder / "snapshots/1/m.onnx");
  fs::create_symlink("../../blobs/bbbb", folder / "snapshots/1/w.data");
  EXPECT_EQ(run(load(folder / "snapshots/1/m.onnx"))[0], 1);

  fs::remove(folder / "snapshots/1/w.data");
  fs::rename(folder / "blobs/bbbb", folder / "elsewhere");
  fs::create_symlink("../../elsewhere", folder / "snapshots/1/w.data");
  EXPECT_THROW(load(folder / "snapshots/1/m.onnx"), Error);
}

}  // namespace
}  // namespace treadle
