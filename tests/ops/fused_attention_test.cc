#include "tests/ops/runner.h"

namespace treadle::test {
namespace {

Tensor rnd(const Dims& dims, uint64_t seed, DType dtype = DType::kFloat) {
  return random_tensor(dtype, dims, seed);
}

OpCase fused(const std::string& name, std::vector<Value> inputs, const Attributes& attributes) {
  return {.name = name,
          .op = "FusedAttention",
          .domain = "treadle",
          .attributes = attributes,
          .inputs = std::move(inputs),
          .rtol = 1e-4,
          .atol = 1e-4};
}

Attributes heads(int64_t q, int64_t kv, int64_t size, int64_t value_size) {
  return {{"q_num_heads", q},
          {"kv_num_heads", kv},
          {"qk_head_size", size},
          {"v_head_size", value_size}};
}

// Q, K and V one after another in one tensor.
OpCase merged(const std::string& name, Tensor all, Attributes attributes) {
  const int64_t q = attributes.i("q_num_heads", 0) * attributes.i("qk_head_size", 0);
  const int64_t k = attributes.i("kv_num_heads", 0) * attributes.i("qk_head_size", 0);
  attributes.set("k_start", q);
  attributes.set("v_start", q + k);
  return fused(name, {all, all, all}, attributes);
}

Attributes turned(Attributes attributes) {
  attributes.set("sequence_first", int64_t{1});
  return attributes;
}

std::vector<OpCase> cases() {
  std::vector<OpCase> all = {
      merged("merged", rnd({2, 13, 45}, 1), heads(3, 3, 5, 5)),
      merged("merged_grouped", rnd({3, 7, 38}, 1), heads(4, 2, 5, 4)),
      merged("merged_with_more", rnd({1, 19, 60}, 1), heads(2, 1, 17, 3)),
      merged("merged_tiles", rnd({2, 150, 240}, 1), heads(2, 2, 40, 40)),
      merged("merged_sequence_first", rnd({13, 2, 45}, 1), turned(heads(3, 3, 5, 5))),
      merged("tiles_sequence_first", rnd({130, 3, 99}, 1), turned(heads(1, 1, 33, 33))),
      fused("parts",
            {rnd({2, 5, 24}, 1), rnd({2, 9, 40}, 2), rnd({2, 9, 13}, 3), rnd({2, 1, 5, 9}, 4)},
            {{"q_num_heads", int64_t{4}},
             {"kv_num_heads", int64_t{2}},
             {"qk_head_size", int64_t{3}},
             {"v_head_size", int64_t{6}},
             {"q_start", int64_t{12}},
             {"k_start", int64_t{33}},
             {"v_start", int64_t{1}},
             {"scale", 0.5f},
             {"softcap", 2.0f}}),
      fused("rows_of_values_only",
            {rnd({2, 3, 70, 8}, 1), rnd({2, 3, 70, 8}, 2), rnd({2, 70, 15}, 3)}, heads(3, 3, 8, 5)),
      fused("rows_of_results_only",
            {rnd({2, 3, 7, 8}, 1), rnd({2, 3, 9, 8}, 2), rnd({2, 3, 9, 5}, 3)},
            turned(heads(3, 3, 8, 5))),
      fused("half",
            {rnd({2, 9, 18}, 1, DType::kFloat16), rnd({2, 9, 18}, 2, DType::kFloat16),
             rnd({2, 9, 18}, 3, DType::kFloat16)},
            heads(3, 3, 6, 6)),
      fused("double",
            {rnd({1, 3, 4}, 1, DType::kDouble), rnd({1, 3, 4}, 2, DType::kDouble),
             rnd({1, 3, 4}, 3, DType::kDouble)},
            heads(2, 2, 2, 2)),
  };
  all[9].rtol = all[9].atol = 2e-3;
  Attributes causal = turned(heads(2, 2, 5, 4));
  causal.set("is_causal", int64_t{1});
  causal.set("left_window_size", int64_t{20});
  all.push_back(fused("past",
                      {rnd({7, 2, 10}, 1), rnd({7, 2, 11}, 2), rnd({7, 2, 9}, 3), Value{},
                       rnd({2, 2, 35, 5}, 4), rnd({2, 2, 35, 4}, 5)},
                      causal));
  // Of one head, with the same value for all keys: that value.
  all.push_back(fused("literal",
                      {f32({1, 2, 3}, {1, 2, 0, 3, 4, 0}), f32({1, 2, 3}, {0, 1, 2, 0, 3, 4}),
                       f32({1, 2, 4}, {9, 5, 6, 9, 9, 5, 6, 9})},
                      {{"q_num_heads", int64_t{1}},
                       {"kv_num_heads", int64_t{1}},
                       {"qk_head_size", int64_t{2}},
                       {"v_head_size", int64_t{2}},
                       {"k_start", int64_t{1}},
                       {"v_start", int64_t{1}}}));
  all.back().want = {f32({1, 2, 2}, {5, 6, 5, 6})};
  all.push_back(merged("beyond_the_columns", rnd({2, 3, 17}, 1), heads(2, 2, 3, 3)));
  all.back().error = "18 columns at least";
  all.push_back(fused("no_heads", {rnd({1, 2, 4}, 1), rnd({1, 2, 4}, 2), rnd({1, 2, 4}, 3)}, {}));
  all.back().error = "0 heads of 0 columns";
  return all;
}

INSTANTIATE_TEST_SUITE_P(FusedAttention, OpTest, testing::ValuesIn(cases()), case_name);

}  // namespace
}  // namespace treadle::test
