// Attention against the reference.
#include "backends/cpu/native/attention.h"
#include "tests/support/kernel_check.h"

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

// Q, K, V and no mask, with a past of `past` keys; heads in groups of two.
std::vector<Value> with_past(int64_t queries, int64_t past, DType dtype = DType::kFloat) {
  const auto of = [&](Dims dims, uint64_t seed) {
    return random_tensor(dtype, std::move(dims), seed);
  };
  return {of({2, 4, queries, 8}, 1), of({2, 2, queries, 8}, 2), of({2, 2, queries, 12}, 3), Value{},
          of({2, 2, past, 8}, 4),    of({2, 2, past, 12}, 5)};
}

KernelCase with_outputs(const std::string& name, std::vector<Value> inputs,
                        const Attributes& attributes = {}) {
  return {.name = name,
          .op = "Attention",
          .attributes = attributes,
          .inputs = std::move(inputs),
          .constants = {},
          .outputs = 3};
}

TEST(NativeAttention, Past) {
  check("and no present", with_past(5, 60));
  for (const int64_t past : {0, 1, 31, 32, 33, 90}) {
    for (const int64_t queries : {1, 7}) {
      check_kernel(cpu::kNativeAttention,
                   with_outputs(cat(queries, " after ", past), with_past(queries, past),
                                {{"is_causal", int64_t{1}}}));
    }
  }
  std::vector<Value> flat = {rnd({2, 3, 32}, 1), rnd({2, 3, 16}, 2),    rnd({2, 3, 24}, 3),
                             rnd({3, 40}, 6),    rnd({2, 2, 50, 8}, 4), rnd({2, 2, 50, 12}, 5)};
  check_kernel(cpu::kNativeAttention,
               with_outputs("heads in rows", flat,
                            {{"q_num_heads", int64_t{4}}, {"kv_num_heads", int64_t{2}}}));
}

TEST(NativeAttention, Windows) {
  const auto window = [](int64_t left, int64_t right, bool causal) {
    return Attributes{{"left_window_size", left},
                      {"right_window_size", right},
                      {"is_causal", int64_t{causal ? 1 : 0}}};
  };
  for (const bool causal : {false, true}) {
    check("of itself", with_past(70, 40), window(0, 0, causal));
    check("of the past", with_past(70, 40), window(35, -1, causal));
    check("of both sides", with_past(200, 1), window(9, 20, causal));
    check("wider than all", with_past(9, 9), window(INT64_MAX, INT64_MAX, causal));
  }
  check("beyond the keys", {rnd({1, 2, 150, 8}, 1), rnd({1, 2, 20, 8}, 2), rnd({1, 2, 20, 8}, 3)},
        window(5, 2, false));
}

TEST(NativeAttention, PaddedKeys) {
  const auto padded = [](std::vector<int64_t> valid, Value mask) {
    return std::vector<Value>{rnd({3, 2, 6, 8}, 1),
                              rnd({3, 2, 80, 8}, 2),
                              rnd({3, 2, 80, 8}, 3),
                              std::move(mask),
                              Value{},
                              Value{},
                              i64({3}, valid)};
  };
  for (const bool causal : {false, true}) {
    const Attributes attributes{{"is_causal", int64_t{causal ? 1 : 0}}};
    check("some", padded({80, 33, 6}, Value{}), attributes);
    check("fewer than queries", padded({3, 0, 1}, Value{}), attributes);
    check("nonsense", padded({-5, 1000, INT64_MAX}, Value{}), attributes);
    check("and masked", padded({70, 5, 64}, rnd({6, 70}, 4)), attributes);
  }
}

TEST(NativeAttention, Halves) {
  for (const DType dtype : {DType::kFloat16, DType::kBfloat16}) {
    KernelCase c = with_outputs(std::string(dtype_name(dtype)), with_past(40, 70, dtype),
                                {{"is_causal", int64_t{1}}});
    c.inputs[3] = random_tensor(dtype, {40, 110}, 6);
    c.rtol = c.atol = dtype == DType::kFloat16 ? 2e-3 : 2e-2;
    check_kernel(cpu::kNativeAttention, c);
  }
}

TEST(NativeAttention, Declines) {
  KernelCase c{.name = "outputs",
               .op = "Attention",
               .inputs = {rnd({1, 2, 3, 4}, 1), rnd({1, 2, 3, 4}, 2), rnd({1, 2, 3, 4}, 3)},
               .constants = {},
               .outputs = 4};
  EXPECT_EQ(reason(cpu::kNativeAttention, c), "qk_matmul_output");
  c.outputs = 1;
  c.attributes = {{"softmax_precision", int64_t{11}}};
  EXPECT_EQ(reason(cpu::kNativeAttention, c), "softmax_precision");
  c.attributes = {};
  for (Value& v : c.inputs) v = random_tensor(DType::kDouble, {1, 2, 3, 4}, 1);
  EXPECT_EQ(reason(cpu::kNativeAttention, c), "double");
}

}  // namespace
}  // namespace treadle::test
