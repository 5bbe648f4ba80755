// TensorBoard event files: scalars, histograms and a graph.
#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include "graph/graph.h"

namespace treadle {

// Appends records to a file of its own name in a folder, which TensorBoard reads together with the
// others there. kIo where it cannot be written.
class EventWriter {
 public:
  explicit EventWriter(const std::filesystem::path& folder);

  void scalar(int64_t step, std::string_view tag, double value);
  // Of all finite elements, in at most 64 buckets of equal width.
  void histogram(int64_t step, std::string_view tag, const Tensor& values);
  // Nodes by name with their inputs; constants are left out.
  void graph(const Graph& graph);
  void flush();

 private:
  void record(std::string_view event);
  void summary(int64_t step, const std::string& value);
  std::filesystem::path path_;
  std::ofstream file_;
};

}  // namespace treadle
