// Models in ONNX's text form.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <span>

#include "graph/base/error.h"
#include "graph/ops/op.h"
#include "importer/importer.h"
#include "tests/support/tensors.h"

namespace treadle::test {
namespace {

using testing::HasSubstr;

// y = relu(x w) along axis 1, as onnx.printer writes it.
std::string net(int opset, const std::string& last) {
  return cat("<\n   ir_version: 8,\n   opset_import: [\"\" : ", opset, "]\n>\n", R"(
net (float[N, 2] x) => (float[N, 2] y)
   <float[2, 2] w = {1, 2, 3, 4}>
{
   [product] p = MatMul (x, w)
   [last] y = )",
             last, " (p)\n}\n");
}

Graph load_text(const std::string& text) {
  LoadOptions options;
  options.dims = {{"N", 1}};
  return load_bytes(std::as_bytes(std::span(text)), {}, options);
}

std::string error_of(const std::string& text) {
  try {
    load_text(text);
  } catch (const Error& e) {
    return e.what();
  }
  return "";
}

TEST(LoadText, IsTheModel) {
  const Graph g = load_text(net(13, "Relu"));
  EXPECT_EQ(g.name, "net");
  EXPECT_EQ(g.value(g.inputs()[0]).type.text(), "float[1, 2]") << "options count";
  EXPECT_EQ(difference(evaluate(g, {f32({1, 2}, {1, -1})})[0], f32({1, 2}, {0, 0})), "");
  EXPECT_EQ(difference(evaluate(g, {f32({1, 2}, {1, 1})})[0], f32({1, 2}, {4, 6})), "");
}

TEST(LoadText, TellsTheVersionsThatItStates) {
  const auto path = std::filesystem::temp_directory_path() / cat("treadle-text-", ::getpid());
  std::ofstream(path) << net(17, "Relu");
  EXPECT_EQ(versions_of(path).opsets.at("ai.onnx"), 17);
  EXPECT_EQ(load(path).node_count(), 2u);
  std::filesystem::remove(path);
}

// Operators are read as this build's opset has them.
TEST(LoadText, RefusesWhatMeansSomethingElse) {
  EXPECT_EQ(error_of(net(13, "Softmax <axis = 0>")), "");
  const std::string old = error_of(net(11, "Softmax <axis = 0>"));
  EXPECT_THAT(old, HasSubstr("'last' (Softmax) at opset 11 means something else"));
  EXPECT_THAT(old, HasSubstr("onnx.parser"));
  EXPECT_THAT(error_of(net(13, "Gelu")), HasSubstr("does not exist before opset 20"));
  EXPECT_THAT(error_of(net(99, "Relu")), HasSubstr("99"));
}

TEST(LoadText, SaysWhereItIsWrong) {
  EXPECT_THAT(error_of(net(13, "Relu") + "}"), HasSubstr("line 12"));
  EXPECT_THAT(error_of(net(13, "Nothing")), HasSubstr("unknown operator 'Nothing'"));
  EXPECT_THAT(error_of("<?xml version = 1?>"), HasSubstr("XML"));
}

}  // namespace
}  // namespace treadle::test
