#include "tools/treadle/baseline.h"

#include <algorithm>

namespace treadle::tool {
namespace {

constexpr const char* kPoint[] = {"batch", "threads", "concurrency"};

// PERCENT, as 5 or 5%.
double allowed(const Args& args) {
  std::string text = args.text("fail-if-slower");
  if (text.ends_with('%')) text.pop_back();
  Args plain;
  plain.flags["fail-if-slower"] = {text};
  const double percent = plain.number("fail-if-slower", 0);
  if (percent < 0) throw UsageError(cat("--fail-if-slower: '", text, "' is below 0"));
  return percent;
}

std::string point_text(const Json& row) {
  std::string text;
  for (const char* key : kPoint) {
    if (row.contains(key)) text += cat(text.empty() ? "" : ", ", key, " ", row[key].dump());
  }
  return text;
}

void warn_of_difference(const Json& base, const Json& now, const char* key) {
  if (!base.contains(key) || !now.contains(key) || base[key] == now[key]) return;
  std::fprintf(stderr, "warning: '%s' was %s in the base and is %s now\n", key,
               base[key].dump().c_str(), now[key].dump().c_str());
}

}  // namespace

Baseline::Baseline(const Args& args) : path_(args.text("compare")) {
  if (args.has("fail-if-slower") && !args.has("compare"))
    throw UsageError("--fail-if-slower: give the base with --compare FILE");
  if (!args.has("compare")) return;
  if (args.has("fail-if-slower")) allowed_percent_ = allowed(args);
  const Json json = read_json(path_);
  if (json.is_object()) environment_ = json.value("environment", Json::object());
  const bool several = json.is_object() && json.contains("rows") && json["rows"].is_array();
  for (const Json& row : several ? json["rows"] : Json::array({json})) {
    const Json median = row.is_object() ? row.value("median_ms", Json()) : Json();
    const bool timed = median.is_number() && median.get<double>() > 0;
    TREADLE_CHECK(timed, kInvalidArgument, "'", path_,
                  "' is no report of treadle bench --json: it has no median_ms");
    rows_.push_back(row);
  }
  TREADLE_CHECK(!rows_.empty(), kInvalidArgument, "'", path_, "' holds no measurement");
}

const Json& Baseline::counterpart(const Json& row, size_t rows) const {
  if (rows == 1 && rows_.size() == 1) return rows_.front();
  const auto found = std::ranges::find_if(rows_, [&](const Json& base) {
    return std::ranges::all_of(
        kPoint, [&](const char* key) { return base.value(key, Json()) == row.value(key, Json()); });
  });
  TREADLE_CHECK(found != rows_.end(), kInvalidArgument, "'", path_, "' holds no measurement at ",
                point_text(row));
  return *found;
}

void Baseline::compare(const Json& environment, std::vector<Json>& rows) const {
  if (rows_.empty()) return;
  for (const char* key : {"processor", "cores", "libraries"})
    warn_of_difference(environment_, environment, key);
  for (Json& row : rows) {
    const Json& base = counterpart(row, rows.size());
    for (const char* key : {"inputs", "device", "loss", "optimizer", "threads", "concurrency"})
      warn_of_difference(base, row, key);
    const double before = base["median_ms"].get<double>(), now = row["median_ms"].get<double>();
    row["base_median_ms"] = before;
    row["slower_percent"] = (now / before - 1) * 100;
  }
}

bool Baseline::allows(const std::vector<Json>& rows) const {
  return std::ranges::all_of(rows, [&](const Json& row) {
    return row["slower_percent"].get<double>() <= allowed_percent_;
  });
}

}  // namespace treadle::tool
