// What a run leaves: lines, tables, event files, curves.
#include "training/run/run_folder.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "files/file.h"
#include "tests/support/tensors.h"
#include "tests/training/data_files.h"

namespace treadle::test {
namespace {

TEST(RunFolder, WritesALineAStep) {
  const Folder folder;
  RunFolder run(folder.path() / "run", 0);
  run.step(1, {{"loss", 0.5}, {"rate", 0.1}});
  run.step(2, {{"loss", NAN}, {"rate", 0.1}});
  run.epoch(1, 2, {{"val_loss", 0.25}});
  run.flush();
  EXPECT_EQ(read_file(run.path() / "metrics.jsonl"),
            "{\"step\": 1, \"loss\": 0.5, \"rate\": 0.1}\n"
            "{\"step\": 2, \"loss\": null, \"rate\": 0.1}\n");
  EXPECT_EQ(read_file(run.path() / "metrics.csv"), "step,loss,rate\n1,0.5,0.1\n2,,0.1\n");
  EXPECT_EQ(read_file(run.path() / "epochs.jsonl"),
            "{\"epoch\": 1, \"step\": 2, \"val_loss\": 0.25}\n");
  EXPECT_EQ(read_image(run.path() / "curves/loss.png").width, 640);
  EXPECT_NE(error_of([&] { RunFolder(run.path(), 0); }).find("holds a run already"),
            std::string::npos);
}

TEST(RunFolder, GoesOnBehindTheStepsOfACheckpoint) {
  const Folder folder;
  {
    RunFolder run(folder.path(), 0);
    for (int step = 1; step <= 5; ++step) run.step(step, {{"loss", 1.0 / step}});
    run.epoch(1, 2, {{"val_loss", 1}});
    run.epoch(2, 4, {{"val_loss", 0.5}});
  }
  std::ofstream(folder.path() / "metrics.jsonl", std::ios::app) << "{\"step\": 6, \"lo";
  RunFolder run(folder.path(), 3);
  run.step(4, {{"loss", 7}});
  const std::string lines = read_file(folder.path() / "metrics.jsonl");
  EXPECT_EQ(std::count(lines.begin(), lines.end(), '\n'), 4);
  EXPECT_TRUE(lines.ends_with("{\"step\": 4, \"loss\": 7}\n"));
  EXPECT_TRUE(read_file(folder.path() / "metrics.csv").ends_with("4,7\n"));
  EXPECT_EQ(read_file(folder.path() / "epochs.jsonl"),
            "{\"epoch\": 1, \"step\": 2, \"val_loss\": 1}\n");
}

TEST(RunFolder, ClearedHoldsNoRun) {
  const Folder folder;
  RunFolder(folder.path(), 0).step(1, {{"loss", 0.5}});
  RunFolder::clear(folder.path());
  RunFolder(folder.path(), 0).step(1, {{"loss", 0.25}});
  EXPECT_EQ(read_file(folder.path() / "metrics.jsonl"), "{\"step\": 1, \"loss\": 0.25}\n");
  int events = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder.path()))
    events += entry.path().filename().string().starts_with("events.") ? 1 : 0;
  EXPECT_EQ(events, 1);
}

TEST(RunFolder, TellsWhatChangedInTheConfiguration) {
  const std::string before =
      "epochs = 4\nresume = false\n\n[train]\nsteps = \"32\"\nrule = \"sgd\"\n";
  const std::string now = "epochs = 6\nresume = true\n\n[train]\nsteps = \"48\"\n";
  EXPECT_EQ(changed_config(before, now),
            "[train] rule = \"sgd\", now not set; [train] steps = \"32\", now \"48\"; "
            "epochs = 4, now 6");
  EXPECT_EQ(changed_config(now, now), "");
}

TEST(Curves, DrawPointsWhereTheyBelong) {
  const Image image = draw_curves({{{{0, 0}, {1, 1}}, 255, 0, 0}});
  const auto red = [&](int64_t x, int64_t y) {
    const size_t at = static_cast<size_t>((y * image.width + x) * 3);
    return image.rgb[at] == 255 && image.rgb[at + 1] == 0;
  };
  EXPECT_TRUE(red(84, 366));
  EXPECT_TRUE(red(620, 20));
  EXPECT_FALSE(red(84, 20));
  EXPECT_NO_THROW(draw_curves({}));
  EXPECT_NO_THROW(draw_curves({{{{0, NAN}, {1, INFINITY}}}}));
}

}  // namespace
}  // namespace treadle::test
