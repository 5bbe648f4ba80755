#include "training/run/run_folder.h"

#include <charconv>
#include <cmath>
#include <optional>
#include <set>
#include <span>
#include <sstream>

#include "files/file.h"
#include "importer/file_writer.h"
#include "training/data/exact.h"

namespace treadle {
namespace fs = std::filesystem;
namespace {

void write_whole(const fs::path& path, std::string_view bytes) {
  FileWriter file(path);
  file.write(std::as_bytes(std::span(bytes)));
  file.commit();
}

std::string number_text(double value) { return std::isfinite(value) ? exact_text(value) : "null"; }

// Names come of metrics and groups; quotes and control characters in one would break the line.
std::string json_string(std::string_view name) {
  std::string out = "\"";
  for (const char c : name) {
    if (c == '"' || c == '\\') out += '\\';
    out += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
  }
  return out + '"';
}

std::string json_line(std::string begin, const NamedNumbers& numbers) {
  for (const auto& [name, value] : numbers)
    begin += cat(", ", json_string(name), ": ", number_text(value));
  return "{" + begin + "}\n";
}

// The number behind `"step": ` of a line that we wrote, or the first cell of a table's line.
std::optional<int64_t> step_of(std::string_view line) {
  constexpr std::string_view kKey = "\"step\": ";
  const size_t at = line.find(kKey);
  const std::string_view text = at == std::string_view::npos ? line : line.substr(at + kKey.size());
  int64_t step = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), step);
  if (error != std::errc()) return std::nullopt;
  return step;
}

// The whole lines of up to this step, and those without a step (a table's head).
std::string lines_up_to(const fs::path& file, int64_t steps) {
  if (!fs::exists(file)) return "";
  const std::string text = read_file(file);
  std::string kept;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = text.find('\n', begin);
    if (end == std::string::npos) break;
    const std::string_view line(text.data() + begin, end + 1 - begin);
    const auto step = step_of(line);
    if (!step || *step <= steps) kept += line;
    begin = end + 1;
  }
  return kept;
}

std::ofstream reopen(const fs::path& file, int64_t steps) {
  write_whole(file, steps == 0 ? "" : lines_up_to(file, steps));
  std::ofstream out(file, std::ios::app | std::ios::binary);
  TREADLE_CHECK(out.good(), kIo, "cannot write '", file.string(), "'");
  return out;
}

std::vector<std::string> cells(std::string_view line) {
  std::vector<std::string> out(1);
  for (const char c : line) {
    if (c == '\n') break;
    if (c == ',') {
      out.emplace_back();
    } else {
      out.back() += c;
    }
  }
  return out;
}

std::string file_name(std::string name) {
  for (char& c : name) {
    if (c == '/' || c == '\\' || c == '.') c = '_';
  }
  return name + ".png";
}

// Values by "[section] key".
std::map<std::string, std::string> config_values(const std::string& text) {
  std::map<std::string, std::string> values;
  std::istringstream lines(text);
  std::string section;
  for (std::string line; std::getline(lines, line);) {
    const size_t equals = line.find(" = ");
    if (line.starts_with('[')) section = line + " ";
    if (equals != std::string::npos)
      values[section + line.substr(0, equals)] = line.substr(equals + 3);
  }
  return values;
}

}  // namespace

std::string changed_config(const std::string& before, const std::string& now) {
  const auto old = config_values(before), current = config_values(now);
  std::set<std::string> keys;
  for (const auto* values : {&old, &current}) {
    for (const auto& [key, value] : *values) keys.insert(key);
  }
  const auto value_of = [](const auto& values, const std::string& key) {
    const auto found = values.find(key);
    return found == values.end() ? "not set" : found->second;
  };
  std::string text;
  for (const std::string& key : keys) {
    const std::string was = value_of(old, key), is = value_of(current, key);
    if (was == is || key == "resume" || key == "out") continue;
    text += cat(text.empty() ? "" : "; ", key, " = ", was, ", now ", is);
  }
  return text;
}

RunFolder::RunFolder(fs::path folder, int64_t steps) : path_(std::move(folder)) {
  std::error_code error;
  fs::create_directories(path_, error);
  TREADLE_CHECK(fs::is_directory(path_), kIo, "cannot make the folder '", path_.string(), "'");
  TREADLE_CHECK(steps > 0 || !fs::exists(path_ / "metrics.jsonl"), kInvalidArgument, "'",
                path_.string(), "' holds a run already: resume it, or name another folder");
  steps_ = reopen(path_ / "metrics.jsonl", steps);
  table_ = reopen(path_ / "metrics.csv", steps);
  epochs_ = reopen(path_ / "epochs.jsonl", steps);
  const std::string table = read_file(path_ / "metrics.csv");
  if (!table.empty()) columns_ = cells(table);
  events_ = std::make_unique<EventWriter>(path_);
}

void RunFolder::clear(const fs::path& folder) {
  if (!fs::is_directory(folder)) return;
  std::vector<fs::path> left = {folder / "metrics.jsonl"};
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.path().filename().string().starts_with("events.out.tfevents."))
      left.push_back(entry.path());
  }
  for (const fs::path& file : left) fs::remove(file);
}

void RunFolder::config(const std::string& text) { write_whole(path_ / "job.toml", text); }

void RunFolder::remember(std::map<std::string, std::vector<Point>>& curves, int64_t step,
                         const NamedNumbers& numbers) {
  for (const auto& [name, value] : numbers) {
    std::vector<Point>& points = curves[name];
    points.push_back({static_cast<double>(step), value});
    if (points.size() < 4096) continue;  // more than a chart shows: every other one is enough
    for (size_t i = 0; i < points.size() / 2; ++i) points[i] = points[2 * i];
    points.resize(points.size() / 2);
  }
}

void RunFolder::step(int64_t step, const NamedNumbers& numbers) {
  steps_ << json_line(cat("\"step\": ", step), numbers) << std::flush;
  if (columns_.empty()) {
    columns_ = {"step"};
    for (const auto& [name, value] : numbers) columns_.push_back(name);
    for (size_t i = 0; i < columns_.size(); ++i) table_ << (i == 0 ? "" : ",") << columns_[i];
    table_ << '\n';
  }
  table_ << step;
  for (size_t i = 1; i < columns_.size(); ++i) {
    table_ << ',';
    for (const auto& [name, value] : numbers) {
      if (name == columns_[i] && std::isfinite(value)) table_ << exact_text(value);
    }
  }
  table_ << '\n' << std::flush;
  TREADLE_CHECK(steps_.good() && table_.good(), kIo, "cannot write to '", path_.string(), "'");
  for (const auto& [name, value] : numbers) events_->scalar(step, "train/" + name, value);
  remember(step_curves_, step, numbers);
}

void RunFolder::epoch(int64_t epoch, int64_t step, const NamedNumbers& numbers) {
  epochs_ << json_line(cat("\"epoch\": ", epoch, ", \"step\": ", step), numbers) << std::flush;
  TREADLE_CHECK(epochs_.good(), kIo, "cannot write to '", path_.string(), "'");
  for (const auto& [name, value] : numbers) events_->scalar(step, "epoch/" + name, value);
  events_->flush();
  remember(epoch_curves_, step, numbers);
}

void RunFolder::histogram(int64_t step, const std::string& name, const Tensor& values) {
  events_->histogram(step, name, values);
}

void RunFolder::graph(const Graph& graph) { events_->graph(graph); }

void RunFolder::flush() {
  events_->flush();
  fs::create_directories(path_ / "curves");
  std::map<std::string, std::vector<Curve>> charts;
  for (const auto& [name, points] : step_curves_) charts[name].push_back({points});
  for (const auto& [name, points] : epoch_curves_) {
    // A chart of the validation's loss belongs to that of the loss.
    const std::string base = name.starts_with("val_") ? name.substr(4) : name;
    charts[base].push_back({points, 255, 127, 14});
  }
  for (const auto& [name, curves] : charts)
    write_whole(path_ / "curves" / file_name(name), encode_png(draw_curves(curves)));
}

}  // namespace treadle
