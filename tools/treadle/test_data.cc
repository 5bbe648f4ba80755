#include "tools/treadle/test_data.h"

#include <algorithm>

#include "files/npy.h"
#include "graph/base/suggestion.h"
#include "importer/importer.h"
#include "tools/treadle/load.h"

namespace treadle::tool {
namespace fs = std::filesystem;
namespace {

fs::path file(const fs::path& folder, const char* kind, size_t i) {
  return folder / cat(kind, "_", i, ".pb");
}

bool has_test_data(const fs::path& folder, size_t outputs) {
  for (size_t i = 0; i < outputs; ++i) {
    if (fs::exists(file(folder, "output", i))) return true;
  }
  return false;
}

// "test_data_set_10" stands behind "test_data_set_9".
bool in_order(const fs::path& a, const fs::path& b) {
  const std::string x = a.filename().string(), y = b.filename().string();
  return x.size() != y.size() ? x.size() < y.size() : x < y;
}

}  // namespace

std::vector<fs::path> test_data_sets(const fs::path& folder) {
  TREADLE_CHECK(fs::is_directory(folder), kIo, "'", folder.string(), "' is no folder");
  if (has_test_data(folder, 256)) return {folder};
  std::vector<fs::path> sets;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const bool named = entry.path().filename().string().starts_with("test_data_set_");
    if (named && has_test_data(entry.path(), 256)) sets.push_back(entry.path());
  }
  std::sort(sets.begin(), sets.end(), &in_order);
  TREADLE_CHECK(!sets.empty(), kIo, "'", folder.string(),
                "' holds no output_N.pb, nor folders test_data_set_N that do");
  return sets;
}

std::vector<Expected> read_expected(const Model& model, const fs::path& npz) {
  const std::vector<std::string> names = output_names(model);
  std::vector<Expected> expected;
  for (auto& [name, tensor] : read_npz(npz)) {
    const auto at = std::find(names.begin(), names.end(), name);
    TREADLE_CHECK(at != names.end(), kInvalidArgument, "'", npz.string(), "': no output '", name,
                  "'", suggestion(name, names));
    expected.push_back({static_cast<size_t>(at - names.begin()), std::move(tensor)});
  }
  return expected;
}

TestData read_test_data(const Model& model, const fs::path& folder) {
  TestData data;
  data.inputs.resize(model.input_count());
  std::vector<size_t> required;  // inputs with a default have no file
  for (size_t i = 0; i < model.input_count(); ++i) {
    if (!model.input(i).default_value.defined()) required.push_back(i);
  }
  for (size_t i = 0; fs::exists(file(folder, "input", i)); ++i) {
    const std::string path = file(folder, "input", i).string();
    std::string name;
    size_t index = i < required.size() ? required[i] : model.input_count();
    const Type type = index < model.input_count() ? model.input(index).type : Type{};
    Value value = load_value(path, type, &name);
    for (size_t k = 0; k < model.input_count(); ++k) {
      if (model.input(k).name == name) index = k;
    }
    TREADLE_CHECK(index < model.input_count(), kInvalidArgument, "'", path, "': the model has ",
                  model.input_count(), " inputs");
    TREADLE_CHECK(data.inputs[index].empty(), kInvalidArgument, "'", path, "': input '",
                  model.input(index).name, "' is given twice");
    data.inputs[index] = std::move(value);
  }
  for (size_t i = 0; i < model.output_count(); ++i) {
    if (!fs::exists(file(folder, "output", i))) continue;
    std::string name;
    Value value = load_value(file(folder, "output", i), model.output_type(i), &name);
    size_t index = i;
    for (size_t k = 0; k < model.output_count(); ++k) {
      if (model.output_name(k) == name) index = k;
    }
    data.expected.push_back({index, std::move(value)});
  }
  TREADLE_CHECK(!data.expected.empty(), kIo, "'", folder.string(),
                "' holds no output_N.pb for one of the model's ", model.output_count(), " outputs");
  return data;
}

}  // namespace treadle::tool
