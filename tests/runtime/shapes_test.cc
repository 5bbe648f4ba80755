// Runs at random shapes: memory stays level, and a shape met again gives what it gave before.
// TREADLE_SHAPE_RUNS says how many runs (300).
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <random>

#include "importer/importer.h"
#include "tests/paths.h"
#include "tests/runtime/graphs.h"
#include "tests/support/tensors.h"

namespace treadle::test {
namespace {

namespace fs = std::filesystem;

size_t resident_bytes() {
  std::ifstream file("/proc/self/statm");
  size_t all = 0, resident = 0;
  file >> all >> resident;
  return resident * static_cast<size_t>(::sysconf(_SC_PAGESIZE));
}

size_t run_count() {
  const char* count = std::getenv("TREADLE_SHAPE_RUNS");
  return count != nullptr ? std::strtoull(count, nullptr, 10) : 300;
}

// A size that an input may have.
struct Range {
  int64_t least, most, step;
};
using Inputs = std::function<std::vector<Value>(const Dims& sizes)>;

// Draws shapes, every other time one of those it drew last.
class Shapes {
 public:
  explicit Shapes(std::vector<Range> ranges) : ranges_(std::move(ranges)) {}
  Dims largest() const {
    Dims sizes;
    for (const Range& r : ranges_) sizes.push_back(r.most);
    return sizes;
  }
  Dims next() {
    if (drawn_ >= last_.size() && below(2) == 0) return last_[below(last_.size())];
    Dims sizes;
    for (const Range& r : ranges_) {
      const auto count = static_cast<size_t>((r.most - r.least) / r.step) + 1;
      sizes.push_back(r.least + r.step * static_cast<int64_t>(below(count)));
    }
    return last_[drawn_++ % last_.size()] = sizes;
  }

 private:
  size_t below(size_t bound) { return static_cast<size_t>(random_() % bound); }
  std::vector<Range> ranges_;
  std::array<Dims, 4> last_;
  size_t drawn_ = 0;
  std::mt19937_64 random_{1};
};

std::vector<Value> run(Session& session, const std::vector<Value>& inputs) {
  std::vector<Value> outputs(session.model().output_count());
  session.run_into(inputs, outputs);
  return outputs;
}

// oneDNN 3.2 never frees some kernels of convolutions, and Treadle takes 1500 of those at most
// (backends/cpu/onednn/conv.cc): takes them all.
void take_lasting_convolutions() {
  Graph g;
  Builder b(g);
  const ValueId x = g.add_input("x", floats({1, 16, 16, Dim::symbol("W")}));
  const Attributes strides = {{"strides", std::vector<int64_t>{2, 2}}};
  for (int i = 0; i < 50; ++i) {
    const ValueId y = b.op("Conv", {x, b.constant(ramp({16, 16, 3, 3}))}, strides);
    g.add_output(cat("y", i), b.op("Relu", {y}));
  }
  Session session(Model::create(std::move(g)), {1});
  for (int64_t w = 16; w < 47; ++w)
    session.describe_plan(std::vector<Type>{floats(symbolic({1, 16, 16, w}))});
}

// Begins with the largest shape, so that the arena does not grow any more. What the cache may hold
// beside the plan that ran last is what memory may differ by once it has filled, and as much is left
// for the holes of the heap.
void expect_level_memory(Graph graph, Shapes shapes, const Inputs& inputs_of) {
  take_lasting_convolutions();
  ModelOptions options;
  options.plan_cache = 8;
  options.plan_cache_bytes = size_t{4} << 20;
  Session session(Model::create(std::move(graph), options), {1});
  const std::vector<Value> first = inputs_of(shapes.largest());
  const std::vector<Value> want = run(session, first);
  std::array<size_t, 3> most{};  // in each third of the runs
  const size_t runs = run_count();
  for (size_t i = 0; i < runs; ++i) {
    run(session, inputs_of(shapes.next()));
    size_t& third = most[i * 3 / runs];
    third = std::max(third, resident_bytes());
    if (i % 100 != 99) continue;
    const std::vector<Value> got = run(session, first);
    for (size_t k = 0; k < got.size(); ++k) ASSERT_EQ(difference(got[k], want[k]), "") << i;
  }
#if !defined(TREADLE_SANITIZED) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  EXPECT_LE(most[2], most[1] + 2 * options.plan_cache_bytes);
#endif
}

Value picture(int64_t channels, const Dims& sizes) {
  return random_tensor(DType::kFloat, {sizes[0], channels, sizes[1], sizes[2]},
                       static_cast<uint64_t>(sizes[1] * sizes[2]));
}

// Convolutions of every kind, and a product that follows a pool of the whole plane.
Graph convolutions() {
  Graph g;
  Builder b(g);
  const auto conv = [&](ValueId x, Dims window, int64_t stride, int64_t group) {
    const int64_t pad = window.back() / 2;
    const ValueId w = b.constant(random_tensor(DType::kFloat, window, 1, -0.1, 0.1));
    return b.op("Relu", {b.op("Conv", {x, w},
                              {{"pads", std::vector<int64_t>{pad, pad, pad, pad}},
                               {"strides", std::vector<int64_t>{stride, stride}},
                               {"group", group}})});
  };
  ValueId x = g.add_input("x", floats({Dim::symbol("N"), 3, Dim::symbol("H"), Dim::symbol("W")}));
  x = conv(x, {64, 3, 7, 7}, 2, 1);
  x = b.op("Add", {conv(x, {64, 64, 3, 3}, 1, 1), x});
  x = conv(conv(x, {64, 1, 3, 3}, 1, 64), {128, 64, 1, 1}, 1, 1);
  x = conv(x, {256, 128, 3, 3}, 2, 1);
  x = b.op("Flatten", {b.op("GlobalAveragePool", {conv(x, {256, 256, 3, 3}, 1, 1)})});
  g.add_output("y", b.op("MatMul", {x, b.constant(ramp({256, 512}))}));
  return g;
}

TEST(Shapes, OfConvolutionsLeaveMemoryLevel) {
  expect_level_memory(convolutions(), Shapes({{1, 2, 1}, {16, 96, 1}, {16, 96, 1}}),
                      [](const Dims& sizes) { return std::vector{picture(3, sizes)}; });
}

TEST(Shapes, OfATextDetectorLeaveMemoryLevel) {
  const fs::path model = fs::path(shared_dir()) / "models/ocr-det/model.onnx";
  if (!fs::exists(model)) GTEST_SKIP() << "no folder of models (TREADLE_SHARED)";
  expect_level_memory(load(model), Shapes({{1, 1, 1}, {32, 256, 32}, {32, 256, 32}}),
                      [](const Dims& sizes) { return std::vector{picture(3, sizes)}; });
}

// models/models_test.py fetches it.
fs::path fetched(const std::string& name) {
  const fs::path environment = fs::path(python_path()).parent_path().parent_path();
  std::error_code none;
  return fs::canonical(environment, none).parent_path() / "models" / name / "model.onnx";
}

TEST(Shapes, OfATransformerLeaveMemoryLevel) {
  const fs::path model = fetched("minilm-int8");
  if (!fs::exists(model)) GTEST_SKIP() << "minilm-int8 is not fetched (test models.models does)";
  expect_level_memory(load(model), Shapes({{1, 4, 1}, {1, 48, 1}}), [](const Dims& sizes) {
    const int64_t count = sizes[0] * sizes[1];
    const std::vector<int64_t> ones(static_cast<size_t>(count), 1);
    Tensor words(DType::kInt64, sizes);
    for (int64_t i = 0; i < count; ++i) words.data<int64_t>()[static_cast<size_t>(i)] = 100 + i;
    return std::vector<Value>{words, i64(sizes, ones),
                              i64(sizes, std::vector<int64_t>(ones.size(), 0))};
  });
}

}  // namespace
}  // namespace treadle::test
