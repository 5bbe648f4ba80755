// Tensors in files: NumPy's .npy and .npz.
#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "graph/base/tensor.h"

namespace treadle::tool {

// All bytes of a regular file; kIo naming it.
std::string read_file(const std::filesystem::path& path);
// Writes to a temporary file beside it, then renames; kIo naming it.
void write_file(const std::filesystem::path& path, std::string_view bytes);

// Format 1.0–3.0, C or Fortran order, little-endian numbers, bool and float16. kInvalidArgument
// naming what is wrong.
Tensor parse_npy(std::string_view bytes);
std::string format_npy(
    const Tensor& tensor);  // strings are kUnsupported; bfloat16 is written as float

using NamedTensors = std::vector<std::pair<std::string, Tensor>>;
NamedTensors read_npz(const std::filesystem::path& path);
void write_npz(const std::filesystem::path& path, const NamedTensors& tensors);

}  // namespace treadle::tool
