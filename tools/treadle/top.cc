#include "tools/treadle/top.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numeric>
#include <optional>
#include <sstream>

#include "tools/treadle/files.h"

namespace treadle::tool {
namespace {

// "17,cat" -> 17.
std::optional<size_t> index_of(const std::string& line) {
  size_t index = 0;
  const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), index);
  const bool indexed = error == std::errc() && end != line.data() + line.size() && *end == ',';
  return indexed ? std::optional(index) : std::nullopt;
}

}  // namespace

Labels read_labels(const std::string& path) {
  std::string bytes = read_file(path);
  if (bytes.starts_with("\xef\xbb\xbf")) bytes.erase(0, 3);
  std::istringstream in(bytes);
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) {
    if (line.ends_with('\r')) line.pop_back();
    lines.push_back(line);
  }
  const bool indexed = std::all_of(lines.begin(), lines.end(), [](const std::string& line) {
    return line.empty() || index_of(line);
  });
  Labels labels;
  for (size_t i = 0; i < lines.size(); ++i) {
    if (!indexed) {
      labels[i] = lines[i];
    } else if (!lines[i].empty()) {
      labels[*index_of(lines[i])] = lines[i].substr(lines[i].find(',') + 1);
    }
  }
  return labels;
}

std::vector<std::vector<Ranked>> top_classes(const Value& output, size_t k, const Labels& labels) {
  TREADLE_CHECK(output.is_tensor() && kNumbers.has(output.tensor().dtype()), kInvalidArgument,
                "only a tensor of numbers has largest elements");
  const Tensor& t = output.tensor();
  size_t classes = 1;
  for (int64_t d : t.dims()) classes = d == 1 ? classes : static_cast<size_t>(d);
  const std::vector<double> scores = t.to_doubles();
  std::vector<std::vector<Ranked>> rows;
  for (size_t row = 0; row < scores.size(); row += classes) {
    std::vector<size_t> order(classes);
    std::iota(order.begin(), order.end(), size_t{0});
    const auto score = [&](size_t i) {
      return std::isnan(scores[row + i]) ? -INFINITY : scores[row + i];
    };
    const size_t count = std::min(k, classes);
    std::partial_sort(order.begin(), order.begin() + static_cast<ptrdiff_t>(count), order.end(),
                      [&](size_t a, size_t b) { return score(a) > score(b); });
    rows.emplace_back();
    for (size_t i = 0; i < count; ++i) {
      const auto label = labels.find(order[i]);
      rows.back().push_back(
          {order[i], scores[row + order[i]], label == labels.end() ? "" : label->second});
    }
  }
  return rows;
}

}  // namespace treadle::tool
