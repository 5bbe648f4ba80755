// Each new network: its parameters are as many as the original's, and it runs.
#include "training/new_models.h"

#include <gtest/gtest.h>

#include <cmath>

#include "graph/ops/op.h"
#include "tests/support/tensors.h"
#include "tests/training/data_files.h"

namespace treadle::test {
namespace {

NewModelOptions kind(const char* name, int64_t classes, Dims shape = {}) {
  NewModelOptions o;
  o.kind = name;
  o.classes = classes;
  o.input_shape = std::move(shape);
  return o;
}

// Without running statistics.
int64_t parameters(const Graph& g) {
  int64_t count = 0;
  for (const NodeId id : g.topological_order()) {
    for (const ValueId v : g.node(id).inputs) {
      if (!v.valid() || !g.value(v).is_constant()) continue;
      const ValueDef& value = g.value(v);
      if (value.name.ends_with(".weight") || value.name.ends_with(".bias"))
        count += value.constant.count();
    }
  }
  return count;
}

TEST(NewModels, HaveTheParametersOfTheOriginals) {  // torchvision's counts
  EXPECT_EQ(parameters(new_model(kind("resnet18", 1000))), 11'689'512);
  EXPECT_EQ(parameters(new_model(kind("mobilenetv2", 1000))), 3'504'872);
  EXPECT_EQ(parameters(new_model(kind("mlp", 10, {64}))), 65 * 128 + 129 * 10);
}

TEST(NewModels, Run) {
  for (const auto& [name, shape, want] :
       std::vector<std::tuple<const char*, Dims, Dims>>{{"mlp", {1, 8, 8}, {2, 3}},
                                                        {"cnn", {1, 8, 8}, {2, 3}},
                                                        {"lenet", {1, 8, 8}, {2, 3}},
                                                        {"resnet18", {3, 16, 16}, {2, 3}},
                                                        {"mobilenetv2", {3, 16, 16}, {2, 3}},
                                                        {"unet", {1, 17, 22}, {2, 3, 17, 22}},
                                                        {"char-rnn", {5}, {2, 3, 5}},
                                                        {"transformer", {5}, {2, 3, 5}}}) {
    NewModelOptions o = kind(name, 3, shape);
    o.filters = 4;
    o.hidden = {32};
    const Graph g = new_model(o);
    Dims dims = shape;
    dims.insert(dims.begin(), 2);
    const DType dtype = g.value(g.inputs()[0]).type.dtype;
    const Tensor x = dtype == DType::kInt64 ? random_tensor(dtype, dims, 1, 0, 3)
                                            : random_tensor(dtype, dims, 1);
    const Tensor y = evaluate(g, std::vector<Value>{x})[0].tensor();
    EXPECT_EQ(y.dims(), want) << name;
    for (const float v : y.data<float>()) ASSERT_TRUE(std::isfinite(v)) << name;
  }
}

TEST(NewModels, DependOnTheSeed) {
  const auto weight = [](uint64_t seed) {
    NewModelOptions o = kind("mlp", 3, {4});
    o.seed = seed;
    const Graph g = new_model(o);
    return g.value(g.find_value("layer1.weight")).constant;
  };
  EXPECT_EQ(weight(1), weight(1));
  EXPECT_FALSE(weight(1) == weight(2));
}

TEST(NewModels, RefuseWhatDoesNotFit) {
  EXPECT_NE(error_of([] { new_model(kind("resnet", 10)); }).find("did you mean"),
            std::string::npos);
  EXPECT_NE(error_of([] {
              new_model(kind("unet", 2, {1, 4, 64}));
            }).find("from 16 on"),
            std::string::npos);
  EXPECT_NE(error_of([] { new_model(kind("unet", 2, {64})); }).find("[1, 256, 256]"),
            std::string::npos);
  EXPECT_NE(error_of([] { new_model(kind("mlp", 0)); }).find("0 classes"), std::string::npos);
}

}  // namespace
}  // namespace treadle::test
