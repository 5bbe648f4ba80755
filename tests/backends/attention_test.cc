// Attention against the reference.
#include "backends/cpu/native_attention.h"
#include "tests/backends/kernel_check.h"

namespace treadle::test {
namespace {

Value rnd(Dims dims, uint64_t seed) { return random_tensor(DType::kFloat, std::move(dims), seed); }

// Masks come from the caller.
void check(const std::string& name, std::vector<Value> inputs, const Attributes& attributes = {}) {
  check_kernel(cpu::kNativeAttention, {.name = name,
                                       .op = "Attention",
                                       .attributes = attributes,
                                       .inputs = std::move(inputs),
                                       .constants = {}});
}

TEST(NativeAttention, Shapes) {
  check("one", {rnd({1, 1, 1, 1}, 1), rnd({1, 1, 1, 1}, 2), rnd({1, 1, 1, 1}, 3)});
  check("tails", {rnd({2, 3, 7, 5}, 1), rnd({2, 3, 19, 5}, 2), rnd({2, 3, 19, 9}, 3)});
  check("several tiles", {rnd({1, 2, 300, 8}, 1), rnd({1, 2, 200, 8}, 2), rnd({1, 2, 200, 40}, 3)});
  check("grouped", {rnd({2, 6, 5, 8}, 1), rnd({2, 2, 33, 8}, 2), rnd({2, 2, 33, 8}, 3)},
        {{"scale", 0.3f}});
  check("heads in rows", {rnd({2, 13, 24}, 1), rnd({2, 40, 12}, 2), rnd({2, 40, 18}, 3)},
        {{"q_num_heads", int64_t{4}}, {"kv_num_heads", int64_t{2}}});
}

TEST(NativeAttention, Masks) {
  const auto with_mask = [](Value mask) {
    return std::vector<Value>{rnd({2, 3, 70, 8}, 1), rnd({2, 3, 90, 8}, 2), rnd({2, 3, 90, 8}, 3),
                              std::move(mask)};
  };
  check("of keys", with_mask(rnd({90}, 4)));
  check("of batches", with_mask(rnd({2, 1, 1, 90}, 4)));
  check("of everything", with_mask(rnd({2, 3, 70, 90}, 4)));
  check("bool", with_mask(random_tensor(DType::kBool, {3, 70, 90}, 4, 0, 2)));
  check("that ends early", with_mask(rnd({70, 33}, 4)));
  check("and causal", with_mask(rnd({70, 90}, 4)), {{"is_causal", int64_t{1}}});
  check("of nothing", with_mask(Tensor::zeros(DType::kBool, {70, 90})));
  check("capped", with_mask(rnd({70, 90}, 4)), {{"softcap", 0.7f}});
}

TEST(NativeAttention, CausalBeyondTheKeys) {
  check("more queries", {rnd({1, 2, 50, 8}, 1), rnd({1, 2, 20, 8}, 2), rnd({1, 2, 20, 8}, 3)},
        {{"is_causal", int64_t{1}}});
}

TEST(NativeAttention, Declines) {
  KernelCase c{.name = "past",
               .op = "Attention",
               .inputs = {rnd({1, 2, 3, 4}, 1), rnd({1, 2, 3, 4}, 2), rnd({1, 2, 3, 4}, 3), Value{},
                          rnd({1, 2, 3, 4}, 4), rnd({1, 2, 3, 4}, 5)},
               .constants = {}};
  EXPECT_EQ(reason(cpu::kNativeAttention, c), "past keys and values");
  c.inputs.resize(3);
  c.outputs = 2;
  EXPECT_EQ(reason(cpu::kNativeAttention, c), "more outputs than Y");
  c.outputs = 1;
  c.attributes = {{"left_window_size", int64_t{1}}};
  EXPECT_EQ(reason(cpu::kNativeAttention, c), "window");
  c.attributes = {};
  c.inputs[0] = random_tensor(DType::kFloat16, {1, 2, 3, 4}, 1);
  EXPECT_EQ(reason(cpu::kNativeAttention, c), "not float");
}

}  // namespace
}  // namespace treadle::test
