// Nodes of old opsets mean the same after they were lifted: a table of models and their results.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <numeric>
#include <span>

#include "graph/builder.h"
#include "importer/importer.h"
#include "tests/importer/models.h"

namespace treadle {
namespace {

using namespace test;
using Proto = pb::TensorProto;
using Attr = pb::AttributeProto;
using Values = std::vector<double>;

// One node of `opset`, given x = 0 1 2 3 4 5 of shape `dims`; its first output is compared.
struct Old {
  std::string name;
  int64_t opset;
  std::string kind;
  std::vector<int64_t> dims;
  std::function<void(pb::ModelProto&, pb::NodeProto&)> fill;
  Values want;
  int outputs = 1;
};
void PrintTo(const Old& old, std::ostream* out) { *out << old.name; }

void ints(pb::NodeProto& n, const std::string& name, std::vector<int64_t> values) {
  auto& a = add_attribute(n, name, Attr::INTS);
  for (int64_t v : values) a.add_ints(v);
}
void set_int(pb::NodeProto& n, const std::string& name, int64_t v) {
  add_attribute(n, name, Attr::INT).set_i(v);
}
void set_float(pb::NodeProto& n, const std::string& name, float v) {
  add_attribute(n, name, Attr::FLOAT).set_f(v);
}
void set_text(pb::NodeProto& n, const std::string& name, const std::string& v) {
  add_attribute(n, name, Attr::STRING).set_s(v);
}
void weights(pb::ModelProto& m, pb::NodeProto& n, const std::string& name,
             std::initializer_list<int64_t> dims, std::vector<float> values) {
  auto& t = add_initializer(m, name, Proto::FLOAT, dims);
  for (float v : values) t.add_float_data(v);
  n.add_input(name);
}

void lengths(pb::ModelProto& m, pb::NodeProto& n, std::vector<int64_t> values) {
  auto& t = add_initializer(m, "lengths", Proto::INT64, {static_cast<int64_t>(values.size())});
  for (int64_t v : values) t.add_int64_data(v);
  n.add_input("lengths");
}

// One of a Scan without shapes: inputs that its nodes read, its nodes, the outputs.
pb::GraphProto& scan_body(pb::NodeProto& n, std::initializer_list<std::string> inputs) {
  set_int(n, "num_scan_inputs", 1);
  auto& body = *add_attribute(n, "body", Attr::GRAPH).mutable_g();
  body.set_name("b");
  for (const auto& i : inputs) add_value(*body.add_input(), i, Proto::FLOAT, {});
  return body;
}

Values softmax(const Values& x) {
  Values y;
  const double sum =
      std::accumulate(x.begin(), x.end(), 0.0, [](double s, double v) { return s + std::exp(v); });
  for (double v : x) y.push_back(std::exp(v) / sum);
  return y;
}

std::vector<Old> cases() {
  using M = pb::ModelProto;
  using N = pb::NodeProto;
  return {
      {"squeeze",
       11,
       "Squeeze",
       {1, 6},
       [](M&, N& n) { ints(n, "axes", {0}); },
       {0, 1, 2, 3, 4, 5}},
      {"unsqueeze",
       12,
       "Unsqueeze",
       {6},
       [](M&, N& n) { ints(n, "axes", {-1}); },
       {0, 1, 2, 3, 4, 5}},
      {"reduce_sum", 11, "ReduceSum", {2, 3}, [](M&, N& n) { ints(n, "axes", {1}); }, {3, 12}},
      {"reduce_sum_all", 11, "ReduceSum", {2, 3}, [](M&, N&) {}, {15}},
      {"reduce_mean",
       17,
       "ReduceMean",
       {2, 3},
       [](M&, N& n) { ints(n, "axes", {0}); },
       {1.5, 2.5, 3.5}},
      {"split",
       11,
       "Split",
       {6},
       [](M&, N& n) {
         ints(n, "split", {2, 4});
       },
       {0, 1},
       2},
      {"split_equally", 13, "Split", {6}, [](M&, N&) {}, {0, 1}, 3},
      {"slice",
       9,
       "Slice",
       {2, 3},
       [](M&, N& n) { ints(n, "starts", {1}), ints(n, "ends", {3}), ints(n, "axes", {1}); },
       {1, 2, 4, 5}},
      {"pad",
       10,
       "Pad",
       {6},
       [](M&, N& n) {
         ints(n, "pads", {1, 1}), set_float(n, "value", 9);
       },
       {9, 0, 1, 2, 3, 4, 5, 9}},
      {"clip",
       10,
       "Clip",
       {6},
       [](M&, N& n) { set_float(n, "min", 1), set_float(n, "max", 3); },
       {1, 1, 2, 3, 3, 3}},
      {"clip_above", 6, "Clip", {6}, [](M&, N& n) { set_float(n, "max", 3); }, {0, 1, 2, 3, 3, 3}},
      {"top_k", 9, "TopK", {6}, [](M&, N& n) { set_int(n, "k", 2); }, {5, 4}, 2},
      {"softmax_of_last",
       11,
       "Softmax",
       {2, 3},
       [](M&, N&) {},
       {.09003057, .24472847, .66524096, .09003057, .24472847, .66524096}},
      {"softmax_of_matrix", 11, "Softmax", {1, 2, 3}, [](M&, N&) {}, softmax({0, 1, 2, 3, 4, 5})},
      {"softmax_of_nothing", 11, "Softmax", {2, 3, 0}, [](M&, N&) {}, {}},
      {"softmax_of_all",
       12,
       "Softmax",
       {2, 3},
       [](M&, N& n) { set_int(n, "axis", 0); },
       softmax({0, 1, 2, 3, 4, 5})},
      {"add_along_axis",
       6,
       "Add",
       {2, 3},
       [](M& m, N& n) {
         weights(m, n, "w", {2}, {10, 20});
         set_int(n, "broadcast", 1), set_int(n, "axis", 0);
       },
       {10, 11, 12, 23, 24, 25}},
      {"add_suffix",
       6,
       "Add",
       {2, 3},
       [](M& m, N& n) {
         weights(m, n, "w", {3}, {10, 20, 30});
         set_int(n, "broadcast", 1);
       },
       {10, 21, 32, 13, 24, 35}},
      {"prelu_of_channels",
       6,
       "PRelu",
       {1, 2, 3},
       [](M& m, N& n) {
         n.set_input(0, "neg");
         weights(m, n, "w", {2}, {10, 100});
         auto& neg = add_node(*m.mutable_graph(), "Neg", {"x"}, {"neg"});
         neg.set_name("first");
       },
       {0, -10, -20, -300, -400, -500}},
      {"cast_by_name",
       5,
       "Cast",
       {6},
       [](M&, N& n) { set_text(n, "to", "INT32"); },
       {0, 1, 2, 3, 4, 5}},
      {"reshape_by_attribute",
       4,
       "Reshape",
       {6},
       [](M&, N& n) {
         ints(n, "shape", {3, -1});
       },
       {0, 1, 2, 3, 4, 5}},
      {"concat_default_axis",
       3,
       "Concat",
       {2, 3},
       [](M&, N& n) { n.add_input("x"); },
       {0, 1, 2, 0, 1, 2, 3, 4, 5, 3, 4, 5}},
      {"consumed_inputs",
       5,
       "Relu",
       {6},
       [](M&, N& n) { ints(n, "consumed_inputs", {0}); },
       {0, 1, 2, 3, 4, 5}},
      {"gemm_broadcast",
       6,
       "Gemm",
       {2, 3},
       [](M& m, N& n) {
         weights(m, n, "b", {3, 1}, {1, 1, 1});
         weights(m, n, "c", {1}, {100});
         set_int(n, "broadcast", 1);
       },
       {103, 112}},
      {"tile_by_axis",
       5,
       "Tile",
       {1, 2, 3},
       [](M& m, N& n) {
         weights(m, n, "tiles", {}, {2});
         weights(m, n, "axis", {}, {0});
       },
       {0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5}},
      {"selu_defaults", 5, "Selu", {6}, [](M&, N&) {}, {0, 1.0507, 2.1014, 3.1521, 4.2028, 5.2535}},
      {"dropout",
       7,
       "Dropout",
       {6},
       [](M&, N& n) { set_float(n, "ratio", .5f); },
       {0, 1, 2, 3, 4, 5}},
      {"batch_norm",
       7,
       "BatchNormalization",
       {1, 2, 3},
       [](M& m, N& n) {
         weights(m, n, "s", {2}, {1, 2});
         weights(m, n, "b", {2}, {0, 1});
         weights(m, n, "m", {2}, {0, 3});
         weights(m, n, "v", {2}, {1, 1});
         set_float(n, "epsilon", 0), set_int(n, "spatial", 1);
       },
       {0, 1, 2, 1, 3, 5}},
      {"upsample_7",
       7,
       "Upsample",
       {1, 1, 2, 3},
       [](M&, N& n) {
         auto& a = add_attribute(n, "scales", Attr::FLOATS);
         for (float s : {1.f, 1.f, 1.f, 2.f}) a.add_floats(s);
       },
       {0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5}},
      {"upsample_9",
       9,
       "Upsample",
       {1, 1, 2, 3},
       [](M& m, N& n) {
         weights(m, n, "s", {4}, {1, 1, 1, 2});
       },
       {0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5}},
      {"resize_10",
       10,
       "Resize",
       {1, 1, 1, 6},
       [](M& m, N& n) {
         weights(m, n, "s", {4}, {1, 1, 1, .5f});
         set_text(n, "mode", "nearest");
       },
       {0, 2, 4}},
      {"resize_empty_roi",
       11,
       "Resize",
       {1, 1, 1, 3},
       [](M& m, N& n) {
         weights(m, n, "roi", {0}, {});
         weights(m, n, "s", {4}, {1, 1, 2, 1});
       },
       {0, 1, 2, 0, 1, 2}},
      {"scan_8_of_a_batch",
       8,
       "Scan",
       {2, 3},
       [](M& m, N& n) {
         n.clear_input(), n.add_input("");
         weights(m, n, "s", {2}, {10, 20});
         n.add_input("x");
         auto& body = scan_body(n, {"state", "e"});
         add_node(body, "Add", {"state", "e"}, {"next"});
         body.add_output()->set_name("next");
       },
       {13, 32}},
      {"scan_8_with_lengths",
       8,
       "Scan",
       {2, 3},
       [](M& m, N& n) {
         n.clear_input();
         lengths(m, n, {2, 3});
         n.add_input("x");
         auto& factor = add_initializer(m, "factor", Proto::FLOAT, {});
         factor.add_float_data(2);
         ints(n, "directions", {1});
         auto& body = scan_body(n, {"e"});
         add_node(body, "Mul", {"e", "factor"}, {"out"});
         body.add_output()->set_name("out");
       },
       {2, 0, 0, 10, 8, 6}},
      {"group_norm_18",
       18,
       "GroupNormalization",
       {1, 2, 3},
       [](M& m, N& n) {
         weights(m, n, "s", {1}, {1});
         weights(m, n, "b", {1}, {10});
         set_int(n, "num_groups", 1), set_float(n, "epsilon", 0);
       },
       {8.536150, 9.121690, 9.707230, 10.292770, 10.878310, 11.463850}},
  };
}

class OldNodes : public testing::TestWithParam<Old> {};

TEST(Opsets, ImportedTwiceAlike) {
  pb::ModelProto m = relu_model();
  m.add_opset_import()->set_version(21);
  const std::string bytes = m.SerializeAsString();
  EXPECT_EQ(load_bytes(std::as_bytes(std::span(bytes))).node_count(), 1u);
}

TEST_P(OldNodes, MeanTheSame) {
  const Old& old = GetParam();
  pb::ModelProto m = empty_model(old.opset);
  auto& x = *m.mutable_graph()->mutable_input(0);
  x.Clear();
  add_value(x, "x", Proto::FLOAT, {});
  auto& shape = *x.mutable_type()->mutable_tensor_type()->mutable_shape();
  for (int64_t d : old.dims) shape.add_dim()->set_dim_value(d);
  int64_t count = 1;
  for (int64_t d : old.dims) count *= d;
  pb::NodeProto node;
  node.set_op_type(old.kind);
  node.set_name("old");
  node.add_input("x");
  for (int i = 0; i < old.outputs; ++i) node.add_output("y" + std::to_string(i));
  old.fill(m, node);
  *m.mutable_graph()->add_node() = node;
  m.mutable_graph()->add_output()->set_name("y0");

  std::vector<float> data(static_cast<size_t>(count));
  std::iota(data.begin(), data.end(), 0.f);
  const std::string bytes = m.SerializeAsString();
  try {
    const Graph graph = load_bytes(std::as_bytes(std::span(bytes)));
    const Values got =
        evaluate(graph, {Tensor::of<float>(old.dims, data)})[0].tensor().to_doubles();
    ASSERT_EQ(got.size(), old.want.size());
    for (size_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got[i], old.want[i], 1e-5) << i;
  } catch (const Error& e) {
    FAIL() << e.what();
  }
}

std::string name_of(const testing::TestParamInfo<Old>& old) { return old.param.name; }
INSTANTIATE_TEST_SUITE_P(Table, OldNodes, testing::ValuesIn(cases()), name_of);

}  // namespace
}  // namespace treadle
