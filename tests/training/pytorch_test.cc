// Step by step beside PyTorch: the loss before each of 20 steps on one batch.
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>

#include "files/file.h"
#include "files/npy.h"
#include "importer/importer.h"
#include "tests/paths.h"
#include "training/trainer.h"

namespace treadle::test {
namespace {

namespace fs = std::filesystem;

// The numbers of the list "losses" of a JSON file.
std::vector<double> losses_in(const fs::path& file) {
  const std::string text = read_file(file);
  std::vector<double> losses;
  size_t at = text.find('[', text.find("\"losses\""));
  while (at != std::string::npos && text[at] != ']') {
    losses.push_back(std::strtod(text.c_str() + at + 1, nullptr));
    at = text.find_first_of(",]", at + 1);
  }
  return losses;
}

void expect_losses(const std::string& name, const std::string& loss) {
  const fs::path folder = fs::path(shared_dir()) / "data" / "training" / name;
  if (shared_dir().empty() || !fs::is_directory(folder)) {
    GTEST_SKIP() << "no folder of recorded training runs (TREADLE_SHARED)";
  }
  TrainerOptions options;
  options.joint.loss.kind = loss;
  options.schedule.rate = 0.01;
  Trainer trainer(load(folder / (name + ".onnx")), options);
  std::vector<NamedValue> batch;
  for (auto& [input, tensor] : read_npz(folder / "batch.npz")) {
    batch.push_back({input, tensor});
  }
  const std::vector<double> want = losses_in(folder / "losses.json");
  ASSERT_EQ(want.size(), 20u);
  for (size_t i = 0; i < want.size(); ++i) {
    EXPECT_NEAR(trainer.step(batch).loss, want[i], 1e-4 * want[i]) << name << ", step " << i;
  }
}

TEST(PyTorch, StepsOfAnMlp) { expect_losses("mlp", "mse"); }
TEST(PyTorch, StepsOfLenet) { expect_losses("lenet", "cross_entropy"); }

}  // namespace
}  // namespace treadle::test
