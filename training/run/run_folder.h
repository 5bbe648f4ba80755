// What a run leaves behind: a folder that people and scripts read.
#pragma once

#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "training/metrics.h"
#include "training/run/curves.h"
#include "training/run/tensorboard.h"

namespace treadle {

// job.toml         the configuration with every default filled in
// metrics.jsonl    a line a step: {"step": 1, "loss": …, …}
// metrics.csv      the same as a table; its columns are those of the first step
// epochs.jsonl     a line an epoch: {"epoch": 1, "step": …, …}
// events.out.tfevents.*   scalars, histograms and the graph for TensorBoard
// curves/NAME.png  each number of the steps (blue) and of the epochs (orange) over the steps
// Numbers that are not finite are null.
class RunFolder {
 public:
  // Made where it is missing. With `steps` > 0 a run of so many steps goes on: what later steps
  // have left is removed. With 0 a folder that holds a run is refused (kInvalidArgument).
  RunFolder(std::filesystem::path folder, int64_t steps);
  // Removes what a run left by which a folder counts as holding one.
  static void clear(const std::filesystem::path& folder);

  const std::filesystem::path& path() const { return path_; }
  void config(const std::string& text);
  // Of the step's number (from 1): `numbers` begin with the loss.
  void step(int64_t step, const NamedNumbers& numbers);
  void epoch(int64_t epoch, int64_t step, const NamedNumbers& numbers);
  void histogram(int64_t step, const std::string& name, const Tensor& values);
  void graph(const Graph& graph);
  // Draws the curves, and writes what is held back.
  void flush();

 private:
  void remember(std::map<std::string, std::vector<Point>>& curves, int64_t step,
                const NamedNumbers& numbers);
  std::filesystem::path path_;
  std::ofstream steps_, table_, epochs_;
  std::vector<std::string> columns_;
  std::unique_ptr<EventWriter> events_;
  std::map<std::string, std::vector<Point>> step_curves_, epoch_curves_;
};

// In what two configurations differ: "[train] steps = 32, now 48; …". Whether it goes on, and where
// it is kept, are no differences.
std::string changed_config(const std::string& before, const std::string& now);

}  // namespace treadle
