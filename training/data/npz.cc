// Arrays: an .npz, or a folder of .npy, with the inputs by name and `target`.
#include <algorithm>

#include "files/npy.h"
#include "graph/base/suggestion.h"
#include "training/data/formats.h"

namespace treadle {
namespace fs = std::filesystem;
namespace {

NamedTensors read_arrays(const fs::path& path) {
  if (!fs::is_directory(path)) return read_npz(path);
  NamedTensors arrays;
  for (const fs::path& file : sorted_entries(path)) {
    if (file.extension() == ".npy") arrays.emplace_back(file.stem().string(), read_npy(file));
  }
  return arrays;
}

}  // namespace

Source open_npz(const fs::path& path, const DataOptions& options) {
  const std::string wanted = options.target.empty() ? "target" : options.target;
  std::vector<std::pair<std::string, Tensor>> inputs;
  std::vector<std::string> names;
  Tensor target;
  for (auto& [name, tensor] : read_arrays(path)) {
    names.push_back(name);
    if (name == wanted) {
      target = tensor;
    } else {
      inputs.emplace_back(name, tensor);
    }
  }
  if (!target.defined()) {
    fail(Code::kInvalidArgument, "'", path.string(), "' holds no array '", wanted, "'",
         suggestion(wanted, names));
  }
  return from_memory(path.string(), std::move(inputs), target);
}

}  // namespace treadle
