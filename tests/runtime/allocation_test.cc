// A repeated run of a static graph allocates nothing: every operator new of this program is counted
// while a run goes on, but those that oneDNN and OpenMP call.
#include <dlfcn.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <new>
#include <string_view>

#include "tests/runtime/graphs.h"
#include "training/trainer.h"

namespace {

std::atomic<bool> counting{false};
std::atomic<int> calls{0};

bool is_foreign(const void* caller) {
  Dl_info info;
  if (dladdr(caller, &info) == 0 || info.dli_fname == nullptr) return false;
  const std::string_view file = info.dli_fname;
  return file.find("libdnnl") != file.npos || file.find("libgomp") != file.npos;
}

void* counted(size_t size, size_t alignment, const void* caller) {
  if (counting && !is_foreign(caller)) ++calls;
  void* p = std::aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
  if (p == nullptr) throw std::bad_alloc();
  return p;
}

}  // namespace

void* operator new(size_t size) {
  return counted(size, alignof(std::max_align_t), __builtin_return_address(0));
}
void* operator new(size_t size, std::align_val_t alignment) {
  return counted(size, static_cast<size_t>(alignment), __builtin_return_address(0));
}
void* operator new(size_t size, const std::nothrow_t&) noexcept try {
  return counted(size, alignof(std::max_align_t), __builtin_return_address(0));
} catch (const std::bad_alloc&) {
  return nullptr;
}
void operator delete(void* p) noexcept { std::free(p); }
void operator delete(void* p, size_t) noexcept { std::free(p); }
void operator delete(void* p, std::align_val_t) noexcept { std::free(p); }
void operator delete(void* p, size_t, std::align_val_t) noexcept { std::free(p); }

namespace treadle {
namespace {

// Calls of operator new in one run, after two to warm up.
int calls_of(Graph graph, const std::vector<Value>& inputs, int threads,
             const RunOptions& options = {}) {
  Session session(Model::create(std::move(graph)), {threads});
  std::vector<Value> outputs(options.outputs.empty() ? session.model().output_count()
                                                     : options.outputs.size());
  for (int i = 0; i < 2; ++i) session.run_into(inputs, outputs, options);
  calls = 0;
  counting = true;
  session.run_into(inputs, outputs, options);
  counting = false;
  return calls;
}

TEST(Allocation, IsCounted) {
  counting = true;
  calls = 0;
  delete new std::string(100, 'x');
  counting = false;
  EXPECT_GE(calls, 2);
}

TEST(Allocation, NoneInARepeatedRun) {
  EXPECT_EQ(calls_of(dense_chain(16), {ramp({1, 16, 4, 4})}, 1), 0);
  EXPECT_EQ(calls_of(dense_chain(16), {ramp({1, 16, 4, 4})}, 2), 0);
}

// Kernels that look things up at each cell.
TEST(Allocation, NoneOfWindowsAndRows) {
  Graph g;
  Builder b(g);
  const Attributes window = {{"kernel_shape", std::vector<int64_t>{5, 5}},
                             {"pads", std::vector<int64_t>{2, 2, 2, 2}}};
  const ValueId x = g.add_input("x", floats({1, 16, 14, 14}));
  const ValueId pool = b.op("MaxPool", {x}, window);
  const ValueId large =
      b.op("Resize", {pool, {}, {}, b.ints({1, 16, 28, 20})}, {{"mode", std::string("linear")}});
  g.add_output("y", b.op("Softmax", {b.op("Reshape", {large, b.ints({-1, 4})})}));
  EXPECT_EQ(calls_of(g.clone(), {ramp({1, 16, 14, 14})}, 1), 0);
  EXPECT_EQ(calls_of(g.clone(), {ramp({1, 16, 14, 14})}, 2), 0);
}

TEST(Allocation, NoneWithSymbolsADeadlineAndWantedOutputs) {
  Graph g;
  Builder b(g);
  const Shape shape{Dim::symbol("a_batch_with_a_long_name"), 3};
  const ValueId x = g.add_input("an_input_with_a_long_name", floats(shape));
  const ValueId y = g.add_input("another_input_with_a_long_name", floats(shape));
  g.add_output("an_output_with_a_long_name", b.op("Add", {x, y}));
  g.add_output("another_output_with_a_long_name", b.op("Mul", {x, y}));
  RunOptions options;
  options.outputs = {"another_output_with_a_long_name"};
  CancelToken cancel;
  options.cancel = &cancel;
  options.timeout_seconds = 100;
  EXPECT_EQ(calls_of(std::move(g), {ramp({2, 3}), ramp({2, 3})}, 1, options), 0);
}

TEST(Allocation, NoneOfOursAroundOneDnn) {
  Graph g;
  Builder b(g);
  const ValueId x = g.add_input("x", floats({1, 16, 14, 14}));
  const ValueId y = b.op("Relu", {b.op("Conv", {x, b.constant(ramp({16, 16, 3, 3}))})});
  const ValueId flat = b.op("Reshape", {b.op("GlobalAveragePool", {y}), b.ints({1, 16})});
  g.add_output("y", b.op("MatMul", {flat, b.constant(ramp({16, 10}))}));
  EXPECT_EQ(calls_of(g.clone(), {ramp({1, 16, 14, 14})}, 1), 0);
  EXPECT_EQ(calls_of(g.clone(), {ramp({1, 16, 14, 14})}, 2), 0);
}

TEST(Allocation, NoneInAStepOfATrainer) {
  TrainerOptions options;
  options.joint.update.rule = "adam";
  options.joint.gradient_norm = true;
  Trainer trainer(parse(R"(net (float[N, 3] x) => (float[N, 2] y)
    <float[4, 3] w1 = {0.5, -1, 0.25, 0.75, -0.5, 1, -0.25, 0.125, 0.375, 1, 0.5, -0.75},
     float[4] b1 = {0.1, -0.2, 0.3, -0.4}, float[2, 4] w2 = {1, -0.5, 0.25, 0.5, -0.75, 0.25, 1, -1}>
  {
    a = Gemm <transB = 1> (x, w1, b1)
    h = Relu (a)
    y = Gemm <transB = 1> (h, w2)
  })"),
                  options);
  const std::vector<NamedValue> batch = {{"x", ramp({5, 3})}, {"target", ramp({5, 2})}};
  trainer.step(batch);
  calls = 0;
  counting = true;
  trainer.step(batch);
  counting = false;
  EXPECT_EQ(calls, 0);
}

}  // namespace
}  // namespace treadle
