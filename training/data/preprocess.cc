#include "training/data/preprocess.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <sstream>

#include "training/data/exact.h"

namespace treadle {
namespace {

constexpr const char* kKey = "treadle.preprocess";
constexpr const char* kClasses = "treadle.classes";

// How many elements share a mean: the pixels of a channel, or one.
size_t group_of(const Dims& dims) {
  if (dims.size() < 2) return 1;
  return static_cast<size_t>(std::max<int64_t>(element_count({dims.begin() + 1, dims.end()}), 1));
}

std::string list_text(const std::vector<double>& values) {
  std::string text;
  for (const double v : values) text += (text.empty() ? "" : ",") + exact_text(v);
  return text;
}

std::vector<double> parse_list(std::string_view text) {
  std::vector<double> values;
  while (!text.empty()) {
    double value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    const auto used = static_cast<size_t>(end - text.data());
    TREADLE_CHECK(
        error == std::errc() && std::isfinite(value) && (used == text.size() || text[used] == ','),
        kInvalidModel, "metadata '", kKey, "': '", text, "' is no list of numbers");
    values.push_back(value);
    text.remove_prefix(std::min(used + 1, text.size()));
  }
  return values;
}

// The value behind "name=", up to the next space.
std::string_view word(std::string_view text, std::string_view name) {
  const std::string key = cat(name, "=");
  size_t at = text.find(key);
  if (at == std::string_view::npos) return "";
  at += key.size();
  return text.substr(at, text.find(' ', at) - at);
}

}  // namespace

Preprocess measure(const Source& source, bool skip_broken, int64_t samples) {
  Preprocess out;
  if (source.inputs.empty() || source.inputs[0].dtype != DType::kFloat || source.size == 0)
    return out;
  const Dims& dims = source.inputs[0].dims;
  const size_t group = group_of(dims), groups = static_cast<size_t>(element_count(dims)) / group;
  std::vector<double> sums(groups, 0), squares(groups, 0);
  const int64_t count = std::min(samples, source.size);
  int64_t read = 0;
  std::string broken;
  for (int64_t i = 0; i < count; ++i) {
    // Evenly over the source, which may be sorted by class.
    const int64_t at = i * (source.size / count) + i * (source.size % count) / count;
    Sample sample;
    try {
      sample = source.sample(at);
    } catch (const Error& e) {
      if (!skip_broken) throw;
      broken = e.what();
      continue;
    }
    ++read;
    const auto x = sample.inputs[0].data<float>();
    for (size_t k = 0; k < x.size(); ++k) {
      sums[k / group] += x[k];
      squares[k / group] += double{x[k]} * x[k];
    }
    TREADLE_CHECK(std::ranges::all_of(sums, [](double sum) { return std::isfinite(sum); }),
                  kInvalidData, "sample ", at, " of '", source.name, "' holds ",
                  *std::ranges::find_if(x, [](float e) { return !std::isfinite(e); }),
                  ": it has no mean to be normalized by");
  }
  TREADLE_CHECK(read > 0, kInvalidData, "no sample of '", source.name, "' can be read: ", broken);
  const double n = static_cast<double>(read) * static_cast<double>(group);
  for (size_t g = 0; g < groups; ++g) {
    const double mean = sums[g] / n;
    const double deviation = std::sqrt(std::max(squares[g] / n - mean * mean, 0.0));
    out.mean.push_back(mean);
    out.deviation.push_back(deviation > 1e-6 * std::max(1.0, std::abs(mean)) ? deviation : 1);
  }
  return out;
}

void apply(const Preprocess& preprocess, Tensor& input) {
  if (preprocess.empty() || input.dtype() != DType::kFloat) return;
  const size_t groups = preprocess.mean.size();
  auto x = input.data<float>();
  TREADLE_CHECK(x.size() % groups == 0 && preprocess.deviation.size() == groups, kInvalidArgument,
                groups, " means and ", preprocess.deviation.size(), " deviations for an input of ",
                shape_text(input.dims()));
  const size_t group = std::max<size_t>(x.size() / groups, 1);
  for (size_t k = 0; k < x.size(); ++k) {
    const size_t g = k / group;
    x[k] = static_cast<float>((x[k] - preprocess.mean[g]) / preprocess.deviation[g]);
  }
}

void write_metadata(const Preprocess& preprocess, const Source& source,
                    std::map<std::string, std::string>& metadata) {
  if (!preprocess.empty()) {
    const double scale = source.content == Content::kPictures ? 1.0 / 255 : 1;
    metadata[kKey] = cat("scale=", exact_text(scale), " mean=", list_text(preprocess.mean),
                         " std=", list_text(preprocess.deviation));
  }
  std::string names;
  bool printable = source.content != Content::kTokens;
  for (const std::string& name : source.classes) {
    printable = printable && name.find_first_of(std::string_view("\0\n", 2)) == std::string::npos;
    names += name + "\n";
  }
  if (!names.empty() && printable) metadata[kClasses] = names;
}

std::vector<std::string> class_names(const std::map<std::string, std::string>& metadata) {
  std::vector<std::string> names;
  const auto found = metadata.find(kClasses);
  std::istringstream lines(found == metadata.end() ? "" : found->second);
  for (std::string line; std::getline(lines, line);) names.push_back(line);
  return names;
}

Preprocess read_metadata(const std::map<std::string, std::string>& metadata) {
  const auto found = metadata.find(kKey);
  if (found == metadata.end()) return {};
  Preprocess out{parse_list(word(found->second, "mean")), parse_list(word(found->second, "std"))};
  const std::vector<double> scale = parse_list(word(found->second, "scale"));
  if (!scale.empty()) out.scale = scale[0];
  TREADLE_CHECK(out.mean.size() == out.deviation.size(), kInvalidModel, "metadata '", kKey,
                "': ", out.mean.size(), " means and ", out.deviation.size(), " deviations");
  TREADLE_CHECK(!out.mean.empty() || !scale.empty(), kInvalidModel, "metadata '", kKey, "': '",
                found->second, "', expected scale=, mean= and std=");
  TREADLE_CHECK(std::ranges::find(out.deviation, 0) == out.deviation.end(), kInvalidModel,
                "metadata '", kKey, "': a standard deviation of 0");
  return out;
}

}  // namespace treadle
