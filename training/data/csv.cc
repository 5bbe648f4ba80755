// CSV (RFC 4180, also gzipped): a line a sample, numbers in all columns but the target's.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <optional>

#include "files/gzip.h"
#include "graph/base/suggestion.h"
#include "training/data/formats.h"

namespace treadle {
namespace {

using Cells = std::vector<std::string>;

// The cells of the line that begins at `at`, which moves behind it; quoted ones may hold commas,
// line breaks, and quotes doubled.
Cells read_line(std::string_view text, size_t& at) {
  Cells cells(1);
  bool quoted = false;
  for (; at < text.size(); ++at) {
    const char c = text[at];
    if (quoted && c == '"' && at + 1 < text.size() && text[at + 1] == '"') {
      cells.back() += c;
      ++at;
    } else if (c == '"') {
      quoted = !quoted;
    } else if (quoted || (c != ',' && c != '\n' && c != '\r')) {
      cells.back() += c;
    } else if (c == ',') {
      cells.emplace_back();
    } else if (c == '\n') {
      ++at;
      break;
    }
  }
  return cells;
}

std::optional<double> number_of(std::string_view cell) {
  while (cell.starts_with(' ') || cell.starts_with('+')) cell.remove_prefix(1);
  while (cell.ends_with(' ')) cell.remove_suffix(1);
  double value = 0;
  const auto [end, error] = std::from_chars(cell.data(), cell.data() + cell.size(), value);
  if (error != std::errc() || end != cell.data() + cell.size()) return std::nullopt;
  return value;
}

struct Table {
  std::string name;
  Cells header;  // empty where there is none
  std::vector<Cells> rows;
  std::vector<size_t> lines;  // of each row
  size_t columns() const { return rows[0].size(); }
};

// The first line is a header where the one beneath holds numbers in places where it holds none.
bool is_header(const Cells& first, const Cells& second) {
  for (size_t i = 0; i < std::min(first.size(), second.size()); ++i) {
    if (!number_of(first[i]) && number_of(second[i])) return true;
  }
  return false;
}

Table read_table(const std::filesystem::path& file, const DataOptions& options) {
  const std::string text = read_unzipped(file, static_cast<size_t>(options.max_bytes));
  Table table;
  table.name = file.string();
  size_t line = 1;
  for (size_t at = 0; at < text.size();) {
    const size_t begin = at;
    Cells cells = read_line(text, at);
    if (cells.size() > 1 || !cells[0].empty()) {
      table.rows.push_back(std::move(cells));
      table.lines.push_back(line);
    }
    line += static_cast<size_t>(std::count(text.begin() + static_cast<ptrdiff_t>(begin),
                                           text.begin() + static_cast<ptrdiff_t>(at), '\n'));
  }
  if (table.rows.size() > 1 && is_header(table.rows[0], table.rows[1])) {
    table.header = std::move(table.rows[0]);
    table.rows.erase(table.rows.begin());
    table.lines.erase(table.lines.begin());
  }
  TREADLE_CHECK(!table.rows.empty(), kInvalidArgument, "'", table.name, "' holds no samples");
  for (size_t i = 0; i < table.rows.size(); ++i) {
    TREADLE_CHECK(table.rows[i].size() == table.columns(), kInvalidArgument, "'", table.name,
                  "' line ", table.lines[i], " has ", table.rows[i].size(), " columns, expected ",
                  table.columns());
  }
  return table;
}

size_t target_column(const Table& table, const std::string& target) {
  if (target.empty()) return table.columns() - 1;
  const auto found = std::find(table.header.begin(), table.header.end(), target);
  if (found != table.header.end()) return static_cast<size_t>(found - table.header.begin());
  fail(Code::kInvalidArgument, "'", table.name, "' has no column '", target, "'",
       suggestion(target, table.header));
}

Tensor features(const Table& table, size_t target) {
  Tensor x(DType::kFloat,
           {static_cast<int64_t>(table.rows.size()), static_cast<int64_t>(table.columns()) - 1});
  float* to = x.data<float>().data();
  for (size_t r = 0; r < table.rows.size(); ++r) {
    for (size_t c = 0; c < table.columns(); ++c) {
      if (c == target) continue;
      const auto value = number_of(table.rows[r][c]);
      TREADLE_CHECK(value.has_value(), kInvalidArgument, "'", table.name, "' line ", table.lines[r],
                    ", column ", c + 1, ": '", table.rows[r][c], "' is not a number");
      *to++ = static_cast<float>(*value);
    }
  }
  return x;
}

Tensor numbers(const Table& table, size_t column) {
  std::vector<float> values;
  for (size_t r = 0; r < table.rows.size(); ++r) {
    const auto value = number_of(table.rows[r][column]);
    TREADLE_CHECK(value.has_value(), kInvalidArgument, "'", table.name, "' line ", table.lines[r],
                  ": the target '", table.rows[r][column], "' is not a number");
    values.push_back(static_cast<float>(*value));
  }
  return Tensor::of<float>({static_cast<int64_t>(values.size()), 1}, values);
}

// Before: numbers in their order, before any text, which NaN is too.
struct ByNumber {
  static std::optional<double> place(const std::string& cell) {
    const auto value = number_of(cell);
    return value && std::isnan(*value) ? std::nullopt : value;
  }
  bool operator()(const std::string& a, const std::string& b) const {
    const auto x = place(a), y = place(b);
    if (x && y && *x != *y) return *x < *y;
    return x.has_value() != y.has_value() ? x.has_value() : a < b;
  }
};

// A column with a fraction in it holds numbers, which are no classes.
void check_classes(const Table& table, size_t column) {
  for (size_t r = 0; r < table.rows.size(); ++r) {
    const std::string& cell = table.rows[r][column];
    const auto value = number_of(cell);
    TREADLE_CHECK(!value || !std::isfinite(*value) || *value == std::floor(*value),
                  kInvalidArgument, "'", table.name, "' line ", table.lines[r], ": the target '",
                  cell, "' is a number, no class: for targets that are numbers say ",
                  "data.regression=true");
  }
}

// Whole numbers from 0 are classes as they are; anything else is numbered in order.
Tensor classes(const Table& table, size_t column, std::vector<std::string>& names) {
  check_classes(table, column);
  std::map<std::string, int64_t, ByNumber> number;
  double most = -1;
  bool whole = true;
  for (const Cells& row : table.rows) {
    number[row[column]] = 0;
    const auto value = number_of(row[column]);
    whole = whole && value && *value >= 0 && *value < 1e6 && *value == std::floor(*value);
    if (whole) most = std::max(most, *value);
  }
  int64_t next = 0;
  for (auto& [cell, i] : number) {
    i = whole ? static_cast<int64_t>(*number_of(cell)) : next++;
    if (!whole) names.push_back(cell);
  }
  for (int64_t i = 0; whole && i <= static_cast<int64_t>(most); ++i)
    names.push_back(std::to_string(i));
  std::vector<int64_t> labels;
  for (const Cells& row : table.rows) labels.push_back(number[row[column]]);
  return Tensor::of<int64_t>({static_cast<int64_t>(labels.size())}, labels);
}

}  // namespace

Source open_csv(const std::filesystem::path& file, const DataOptions& options) {
  const Table table = read_table(file, options);
  const size_t target = target_column(table, options.target);
  std::vector<std::string> names;
  const Tensor y = options.regression ? numbers(table, target) : classes(table, target, names);
  Source source = from_memory(file.string(), {{"", features(table, target)}}, y);
  source.classes = std::move(names);
  return source;
}

}  // namespace treadle
