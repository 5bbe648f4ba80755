// What check lists, and files that were damaged at any place.
#include <gtest/gtest.h>

#include <span>

#include "importer/importer.h"
#include "tests/importer/models.h"

namespace treadle {
namespace {

using namespace test;
using Proto = pb::TensorProto;

TEST(Check, FindsEverything) {
  pb::ModelProto m = add_model();
  add_initializer(m, "w", Proto::FLOAT, {2, 3}).set_raw_data("short");
  add_node(*m.mutable_graph(), "Frob", {"x"}, {"f"});
  add_node(*m.mutable_graph(), "Relu", {"gone"}, {"g"});
  add_value(*m.mutable_graph()->add_output(), "z");
  const Folder folder;
  write_file(folder / "m.onnx", m.SerializeAsString());
  std::string all;
  for (const Error& e : check(folder / "m.onnx")) all += std::string(e.what()) + "\n";
  for (const char* part : {"'w'", "Frob", "'gone'", "'z'"}) {
    EXPECT_NE(all.find(part), std::string::npos) << all;
  }
  write_file(folder / "good.onnx", relu_model().SerializeAsString());
  EXPECT_TRUE(check(folder / "good.onnx").empty());
}

std::string model_with_weights() {
  pb::ModelProto m = add_model();
  add_initializer(m, "w", Proto::FLOAT, {2, 3}).set_raw_data(std::string(24, '\1'));
  return m.SerializeAsString();
}

TEST(Damage, EveryTruncationIsRefused) {
  const std::string whole = model_with_weights();
  for (size_t n = 0; n < whole.size(); ++n) {
    try {
      load_bytes(std::as_bytes(std::span(whole)).first(n));
    } catch (const Error&) {
      continue;
    }
    // Cut between two fields: what is left is a model of its own.
    pb::ModelProto rest;
    EXPECT_TRUE(rest.ParseFromArray(whole.data(), static_cast<int>(n))) << n;
  }
}

TEST(Damage, EveryFlippedBitIsSurvived) {
  const std::string whole = model_with_weights();
  for (size_t bit = 0; bit < whole.size() * 8; ++bit) {
    std::string damaged = whole;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << (bit % 8)));
    try {
      load_bytes(std::as_bytes(std::span(damaged)));
    } catch (const Error& e) {
      EXPECT_NE(e.code(), Code::kInternal) << e.what();
    }
  }
}

}  // namespace
}  // namespace treadle
