// The largest scores of a classifier's output, with their labels.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "graph/base/tensor.h"

namespace treadle::tool {

using Labels = std::map<size_t, std::string>;
// A name a line, or, when every line is of the form, "index,name".
Labels read_labels(const std::string& path);

struct Ranked {
  size_t index;
  double score;
  std::string label;  // "" where there is none
};
// The k largest along the last axis longer than 1, for each row of the other axes. NaN ranks last.
// kInvalidArgument for anything but a tensor of numbers.
std::vector<std::vector<Ranked>> top_classes(const Value& output, size_t k, const Labels& labels);

}  // namespace treadle::tool
