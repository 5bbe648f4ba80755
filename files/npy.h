// Tensors in NumPy's files, .npy and .npz.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "graph/base/tensor.h"

namespace treadle {

// Format 1.0–3.0, C or Fortran order, little-endian numbers, bool and float16. kInvalidArgument
// naming what is wrong.
Tensor parse_npy(std::string_view bytes);
Tensor read_npy(const std::filesystem::path& path);  // errors name the file
// kInvalidArgument for what NumPy has not, as strings; bfloat16 is written as float.
std::string format_npy(const Tensor& tensor);

using NamedTensors = std::vector<std::pair<std::string, Tensor>>;
NamedTensors read_npz(const std::filesystem::path& path);
void write_npz(const std::filesystem::path& path, const NamedTensors& tensors);

}  // namespace treadle
