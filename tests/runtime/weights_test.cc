// Weights in a file are read when kernels pack them: memory holds them once, and the results are
// those of weights that were read at once.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>

#include "importer/importer.h"
#include "tests/runtime/graphs.h"
#include "tests/support/folder.h"
#include "tests/support/tensors.h"
#include "training/trainer.h"

namespace treadle::test {
namespace {

namespace fs = std::filesystem;

Tensor weight(Dims dims, uint64_t seed) {
  return random_tensor(DType::kFloat, std::move(dims), seed, -0.1, 0.1);
}

// A convolution with a BatchNormalization to fold, a depthwise one, products by a transposed, a
// reshaped and a widened weight, and large constants that the run reads itself.
Graph network() {
  Graph g;
  Builder b(g);
  const Attributes same = {{"pads", std::vector<int64_t>{1, 1, 1, 1}}};
  const ValueId x = g.add_input("x", floats({Dim::symbol("N"), 32, 8, 8}));
  ValueId y = b.op("Conv", {x, b.constant(weight({64, 32, 3, 3}, 1))}, same);
  y = b.op("BatchNormalization", {y, b.constant(weight({64}, 2)), b.constant(weight({64}, 3)),
                                  b.constant(weight({64}, 4)),
                                  b.constant(random_tensor(DType::kFloat, {64}, 5, 0.5, 1.5))});
  Attributes depthwise = same;
  depthwise.set("group", int64_t{64});
  y = b.op("Relu", {b.op("Conv", {y, b.constant(weight({64, 1, 3, 3}, 6))}, depthwise)});
  y = b.op("Add", {y, b.constant(weight({1, 64, 8, 8}, 7))});
  y = b.op("Flatten", {y});
  const ValueId turned = b.op("Transpose", {b.constant(weight({96, 4096}, 8))},
                              {{"perm", std::vector<int64_t>{1, 0}}});
  y = b.op("Tanh", {b.op("MatMul", {y, turned})});
  const ValueId shaped = b.op("Reshape", {b.constant(weight({96 * 128}, 9)), b.ints({96, 128})});
  y = b.op("MatMul", {y, shaped});
  const ValueId wide =
      b.op("Cast", {b.constant(f16({128, 128}, std::vector<float>(128 * 128, 0.5f)))},
           {{"to", static_cast<int64_t>(DType::kFloat)}});
  g.add_output("y", b.op("MatMul", {y, wide}));
  g.add_output("table", b.op("Gather", {b.constant(weight({512, 16}, 10)),
                                        b.op("ArgMax", {y}, {{"axis", int64_t{1}}})}));
  return g;
}

// The network in a file.
struct Saved {
  Folder folder;
  fs::path path = folder / "m.onnx";
  explicit Saved(bool beside = false) {
    SaveOptions options;
    options.external_data = beside;
    save(network(), path, options);
  }
};

std::shared_ptr<const Model> model_of(const fs::path& path, bool defer = true,
                                      const ModelOptions& options = {}) {
  LoadOptions load_options;
  load_options.defer = defer;
  return Model::create(load(path, load_options), options);
}

std::vector<Value> run(Session& session, int64_t batch = 1) {
  return session.run(std::vector<NamedValue>{
      {"x", random_tensor(DType::kFloat, {batch, 32, 8, 8}, static_cast<uint64_t>(batch))}});
}

size_t deferred_in_memory(const Graph& graph) {
  size_t count = 0;
  for (uint32_t i = 0; i < graph.value_count(); ++i) {
    const auto& buffer = graph.value(ValueId{i}).constant.buffer();
    count += buffer != nullptr && buffer->deferred() && buffer->in_memory();
  }
  return count;
}

size_t deferred(const Graph& graph) {
  size_t count = 0;
  for (uint32_t i = 0; i < graph.value_count(); ++i) {
    const auto& buffer = graph.value(ValueId{i}).constant.buffer();
    count += buffer != nullptr && buffer->deferred();
  }
  return count;
}

TEST(Weights, AreReadWhenTheyArePacked) {
  for (const bool beside : {false, true}) {
    const Saved saved(beside);
    const auto model = model_of(saved.path);
    EXPECT_GE(deferred(model->graph()), 5u);
    EXPECT_EQ(deferred_in_memory(model->graph()), 0u);
    Session session(model, {1});
    Session eager(model_of(saved.path, false), {1});
    for (const int64_t batch : {1, 3}) {
      const std::vector<Value> got = run(session, batch), want = run(eager, batch);
      for (size_t i = 0; i < got.size(); ++i)
        EXPECT_TRUE(got[i].tensor() == want[i].tensor()) << batch << " " << i;
    }
    EXPECT_LT(session.memory().constant_bytes + (size_t{1} << 20), eager.memory().constant_bytes);
    EXPECT_EQ(session.memory().packed_bytes, eager.memory().packed_bytes);
  }
}

TEST(Weights, OfTheRunGoWithThePlans) {
  const Saved saved;
  Session session(model_of(saved.path), {1});
  const std::vector<Value> before = run(session);
  EXPECT_GT(session.memory().packed_bytes, 0u);
  session.trim();
  EXPECT_EQ(session.memory().packed_bytes, 0u);
  EXPECT_EQ(deferred_in_memory(session.model().graph()), 0u);
  EXPECT_TRUE(run(session)[0].tensor() == before[0].tensor());
}

TEST(Weights, AreSharedBySessions) {
  const Saved saved;
  const auto model = model_of(saved.path);
  Session one(model, {1}), other(model, {1});
  run(one);
  const MemoryInfo alone = one.memory();
  run(other);
  EXPECT_EQ(other.memory().packed_bytes, alone.packed_bytes);
  EXPECT_EQ(other.memory().constant_bytes, alone.constant_bytes);
}

std::string error_of_run(const std::shared_ptr<const Model>& model, Code code) {
  Session session(model, {1});
  try {
    run(session);
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), code);
    return e.what();
  }
  return "";
}

TEST(Weights, OfAFileThatWasCutOffAreAnError) {
  const Saved saved;
  const auto model = model_of(saved.path);
  fs::resize_file(saved.path, 20000);
  const std::string error = error_of_run(model, Code::kIo);
  EXPECT_THAT(error, testing::HasSubstr("became shorter"));
  EXPECT_THAT(error, testing::HasSubstr("tensor '"));
  EXPECT_THAT(error, testing::HasSubstr("m.onnx"));
}

TEST(Weights, OfAFileThatWasWrittenOverAreAnError) {
  const Saved saved;
  const auto model = model_of(saved.path);
  {
    std::fstream file(saved.path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(30000);
    file << "other bytes";
  }
  fs::last_write_time(saved.path, fs::last_write_time(saved.path) + std::chrono::hours(1));
  EXPECT_THAT(error_of_run(model, Code::kIo), testing::HasSubstr("has changed since"));
}

TEST(Weights, OfAFileThatWasReplacedOrRemovedAreTheOldOnes) {
  const Saved saved;
  Session eager(model_of(saved.path, false), {1});
  const std::vector<Value> want = run(eager);
  Session replaced(model_of(saved.path), {1});
  save(dense_chain(4), saved.path);
  EXPECT_TRUE(run(replaced)[0].tensor() == want[0].tensor());
  fs::remove(saved.path);
  replaced.trim();
  EXPECT_TRUE(run(replaced)[0].tensor() == want[0].tensor());
}

TEST(Weights, AreSavedAsTheFileHasThem) {
  const Saved saved;
  const Graph graph = load(saved.path);
  LoadOptions at_once;
  at_once.defer = false;
  EXPECT_EQ(save_bytes(graph), save_bytes(load(saved.path, at_once)));
  EXPECT_EQ(deferred_in_memory(graph), 0u);
  save(graph, saved.path);  // over the file that they come from
  EXPECT_EQ(save_bytes(load(saved.path)), save_bytes(graph));
}

TEST(Weights, OfATrainerAreItsOwn) {
  const Saved saved;
  const auto trained = [&](bool defer) {
    LoadOptions options;
    options.defer = defer;
    Graph graph = load(saved.path, options);
    graph.remove_output(1);
    TrainerOptions trainer_options;
    trainer_options.schedule.rate = 0.01;
    Trainer trainer(std::move(graph), trainer_options);
    const std::vector<NamedValue> batch = {{"x", random_tensor(DType::kFloat, {2, 32, 8, 8}, 1)},
                                           {"target", random_tensor(DType::kFloat, {2, 128}, 2)}};
    std::vector<double> losses;
    for (int i = 0; i < 3; ++i) losses.push_back(trainer.step(batch).loss);
    return losses;
  };
  EXPECT_EQ(trained(true), trained(false));
}

// ---- What the plans that are kept hold

// The layer's packed form depends on how many rows the input has.
TEST(PlanCache, IsBoundedInBytes) {
  const Saved saved;
  ModelOptions options;
  options.plan_cache_bytes = 0;
  Session least(model_of(saved.path, true, options), {1});
  Session most(model_of(saved.path), {1});
  std::vector<Value> want;
  size_t largest = 0;
  for (int64_t batch = 1; batch <= 24; ++batch) {
    Session fresh(model_of(saved.path), {1});
    want = run(fresh, batch);
    largest = std::max(largest, fresh.memory().packed_bytes);
    EXPECT_TRUE(run(least, batch)[0].tensor() == want[0].tensor()) << batch;
    EXPECT_TRUE(run(most, batch)[0].tensor() == want[0].tensor()) << batch;
    EXPECT_EQ(least.memory().packed_bytes, fresh.memory().packed_bytes) << batch;
  }
  EXPECT_GT(most.memory().packed_bytes, largest);
}

}  // namespace
}  // namespace treadle::test
