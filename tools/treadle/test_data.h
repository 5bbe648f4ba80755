// ONNX's test data: folders of input_N.pb and output_N.pb.
#pragma once

#include <filesystem>
#include <vector>

#include "runtime/runtime.h"

namespace treadle::tool {

struct Expected {
  size_t output;  // of the model
  Value value;
};
struct TestData {
  std::vector<Value> inputs;  // one a model input
  std::vector<Expected> expected;
};

// The folder itself when it holds test data, else its folders test_data_set_N in order; kIo when it
// has neither.
std::vector<std::filesystem::path> test_data_sets(const std::filesystem::path& folder);
// The arrays of an .npz as the outputs of their names.
std::vector<Expected> read_expected(const Model& model, const std::filesystem::path& npz);
// Files are paired by the tensor's name where it is one of the model's, else by their number.
TestData read_test_data(const Model& model, const std::filesystem::path& folder);

}  // namespace treadle::tool
