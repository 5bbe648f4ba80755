// treadle bench: load time, first run, latency, throughput and memory; of runs, or of steps of
// training.
#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <deque>
#include <fstream>
#include <set>

#include "tools/treadle/baseline.h"
#include "tools/treadle/environment.h"
#include "tools/treadle/files.h"
#include "tools/treadle/inputs.h"
#include "tools/treadle/measure.h"
#include "tools/treadle/training.h"
#include "training/run/predict.h"

namespace treadle::tool {
namespace {

using Clock = std::chrono::steady_clock;

double ms_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

// Peak resident memory of this process so far. getrusage would give the parent's, inherited across
// exec.
double peak_rss_mb() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmHWM:")) return std::strtod(line.c_str() + 6, nullptr) / 1024;
  }
  return 0;
}

double megabytes(size_t bytes) { return static_cast<double>(bytes) / 1e6; }

// The leading dimension of the first value that has one: what throughput counts.
int64_t batch_of(const std::vector<const Value*>& inputs) {
  for (const Value* value : inputs) {
    const Tensor* t = std::get_if<Tensor>(value);
    if (t != nullptr && !t->dims().empty()) return t->dims().front();
  }
  return 1;
}

Json measured_json(const Times& times, int64_t batch, const char* what, const Args& args) {
  if (args.has("export-times"))
    write_file(args.text("export-times"), Json{{"times_ms", times.each}}.dump());
  Json json = times_json(times, args);
  json[cat(what, "_per_s")] = times.per_second();
  json["items_per_s"] = times.per_second() * static_cast<double>(batch);
  return json;
}

std::string batch_text(const std::vector<NamedValue>& batch) {
  std::string text;
  for (const NamedValue& v : batch) {
    const Tensor& t = v.value.tensor();
    text += cat(text.empty() ? "" : ", ", v.name, " ", dtype_name(t.dtype()), shape_text(t.dims()));
  }
  return text;
}

Json bench_training(const Args& args) {
  const double base = peak_rss_mb();
  const TrainerOptions options = trainer_options(args);
  const auto start = Clock::now();
  Graph graph = load_graph(args.positional[0], args);
  const double loaded = peak_rss_mb();
  Trainer trainer(std::move(graph), options);
  for (const std::string& warning : trainer.warnings()) {
    std::fprintf(stderr, "warning: %s\n", warning.c_str());
  }
  const std::vector<NamedValue> batch = training_batch(trainer, args);
  const double first_loss = trainer.step(batch).loss;
  const double start_ms = ms_since(start);
  double loss = first_loss;
  const Times times = measure(args, {[&] { loss = trainer.step(batch).loss; }});
  const int64_t size = batch_of({&batch.front().value});
  Json json = {{"inputs", batch_text(batch)},
               {"loss", options.joint.loss.kind},
               {"optimizer", options.joint.update.rule},
               {"threads", trainer.session().threads()},
               {"batch", size},
               {"parameters", trainer.parameter_count()},
               {"steps", times.each.size()},
               {"start_ms", start_ms}};
  json.update(measured_json(times, size, "steps", args));
  json.update({{"first_loss", first_loss},
               {"last_loss", loss},
               {"base_rss_mb", base},
               {"loaded_rss_mb", loaded},
               {"peak_rss_mb", peak_rss_mb()},
               {"variables_mb", megabytes(variable_bytes(trainer))},
               {"arena_mb", megabytes(trainer.memory().arena_bytes)}});
  return json;
}

// A session of its own for each lane, and what it writes.
struct Lane {
  Lane(const std::shared_ptr<const Model>& model, const SessionOptions& options)
      : session(model, options), outputs(model->output_count()) {}
  Session session;
  std::vector<Value> outputs;
};

// Of --concurrency sessions each has its share of the processors, unless --threads says otherwise.
SessionOptions lane_options(const Args& args, int64_t lanes) {
  SessionOptions options = session_options(args);
  if (lanes > 1 && options.threads == 0)
    options.threads = std::max(default_threads() / static_cast<int>(lanes), 1);
  return options;
}

Json bench_runs(const Args& args) {
  const double base = peak_rss_mb();
  const int64_t concurrency = args.integer("concurrency", 1, 1);
  auto start = Clock::now();
  const auto model = load_model(args.positional[0], args);
  const SessionOptions options = lane_options(args, concurrency);
  std::deque<Lane> lanes;
  for (int64_t i = 0; i < concurrency; ++i) lanes.emplace_back(model, options);
  const double load_ms = ms_since(start);
  const std::vector<Value> inputs = gather_inputs(*model, args, Missing::kFill);
  start = Clock::now();
  run_model(lanes.front().session, args, inputs, lanes.front().outputs);
  const double first_ms = ms_since(start);
  std::vector<std::function<void()>> calls;
  for (Lane& lane : lanes) {
    lane.session.run_into(inputs, lane.outputs);
    calls.emplace_back([&inputs, &lane] { lane.session.run_into(inputs, lane.outputs); });
  }
  const Times times = measure(args, calls);
  std::vector<const Value*> given;
  for (const Value& value : inputs) given.push_back(&value);
  const int64_t batch = batch_of(given);
  const MemoryInfo memory = lanes.front().session.memory();
  Json json = {{"inputs", shapes_text(*model, inputs)},
               {"device", std::string(model->backend().name())},
               {"threads", lanes.front().session.threads()},
               {"concurrency", concurrency},
               {"batch", batch},
               {"runs", times.each.size()},
               {"load_ms", load_ms},
               {"first_ms", first_ms}};
  json.update(measured_json(times, batch, "runs", args));
  json.update({{"base_rss_mb", base},
               {"peak_rss_mb", peak_rss_mb()},
               {"arena_mb", megabytes(memory.arena_bytes)},
               {"packed_mb", megabytes(memory.packed_bytes)}});
  return json;
}

// ---- --sweep

constexpr std::pair<const char*, const char*> kSwept[] = {
    {"batch", "batch-size"}, {"threads", "threads"}, {"concurrency", "concurrency"}};

// One more --sweep: each of `points` with each of its values.
std::vector<Args> crossed(const std::vector<Args>& points, const std::string& item) {
  const size_t equals = std::min(item.find('='), item.size());
  const std::string key = item.substr(0, equals);
  const auto* swept =
      std::ranges::find_if(kSwept, [&](const auto& known) { return key == known.first; });
  if (equals == item.size() || swept == std::end(kSwept))
    throw UsageError(cat("--sweep: '", item, "' is none of batch=1,2 threads=1,2 concurrency=1,2"));
  Args given;
  given.flags["sweep"] = {item.substr(equals + 1)};
  std::vector<Args> out;
  for (const Args& point : points) {
    if (point.has(swept->second))
      throw UsageError(cat("--sweep: ", key, " is given twice, by it or by --", swept->second));
    for (const std::string& value : given.list("sweep")) {
      out.push_back(point);
      out.back().flags[swept->second] = {value};
      out.back().integer(swept->second, 1, 1);
    }
  }
  if (out.empty()) throw UsageError(cat("--sweep: '", item, "' names no value"));
  return out;
}

std::vector<Args> sweep_points(const Args& args) {
  std::vector<Args> points = {args};
  for (const std::string& item : args.all("sweep")) points = crossed(points, item);
  return points;
}

// ---- The report

// Three decimals, or as many digits where that would show none.
std::string figure_text(const Json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (!value.is_number_float()) return value.dump();
  const double number = value.get<double>();
  const bool small = number != 0 && std::abs(number) < 0.01;
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), small ? "%.3g" : "%.3f", number);
  return text.data();
}

void print_figures(const Json& json) {
  for (const auto& [key, value] : json.items()) {
    if (value.is_object()) {
      print_figures(value);
    } else {
      std::printf("%-14s %10s\n", key.c_str(), figure_text(value).c_str());
    }
  }
}

// What a sweep's table shows of each row.
bool is_column(const std::string& key) {
  static const std::set<std::string> others = {"load_ms", "first_ms", "start_ms"};
  static const std::set<std::string> figures = {"threads",     "concurrency", "batch",
                                                "items_per_s", "arena_mb",    "slower_percent"};
  return figures.contains(key) || (key.ends_with("_ms") && !others.contains(key));
}

void print_table(const std::vector<Json>& rows) {
  const auto print_row = [](const Json& row, bool heading) {
    for (const auto& [key, value] : row.items()) {
      if (!is_column(key)) continue;
      const int width = std::max(static_cast<int>(key.size()) + 2, 12);
      std::printf("%*s", width, heading ? key.c_str() : figure_text(value).c_str());
    }
    std::printf("\n");
  };
  print_row(rows.front(), true);
  for (const Json& row : rows) print_row(row, false);
}

// Peaks of memory are the process's, so that a row's would be those of the rows before it too.
Json without_peaks(Json row) {
  for (const char* key : {"base_rss_mb", "loaded_rss_mb", "peak_rss_mb"}) row.erase(key);
  return row;
}

void check_flags(const Args& args) {
  check_measuring(args);
  args.integer("batch-size", 1, 1);
  if (args.integer("concurrency", 1, 1) > 1024)
    throw UsageError(cat("--concurrency: ", args.text("concurrency"), " is above 1024"));
  if (args.has("train") && args.has("concurrency"))
    throw UsageError("--concurrency does not go with --train");
  if (args.has("sweep") && args.has("export-times"))
    throw UsageError("--export-times does not go with --sweep");
}

}  // namespace

int run_bench(const Args& args) {
  check_flags(args);
  const std::vector<Args> points = sweep_points(args);  // refused before anything is loaded
  for (const Args& point : points) check_flags(point);
  const Baseline baseline(args);
  const bool sweep = args.has("sweep");
  std::vector<Json> rows;
  for (const Args& point : points) {
    Json row = point.has("train") ? bench_training(point) : bench_runs(point);
    rows.push_back(sweep ? without_peaks(std::move(row)) : std::move(row));
  }
  Json report = {{"model", args.positional[0]}, {"environment", environment()}};
  baseline.compare(report["environment"], rows);
  const bool passed = !baseline.judges() || baseline.allows(rows);
  if (sweep) {
    report["rows"] = rows;
  } else {
    report.update(rows.front());
  }
  if (baseline.judges()) report["passed"] = passed;
  if (args.has("json")) {
    print_json(report);
  } else {
    report.erase("rows"), report.erase("passed");
    print_figures(report);
    if (sweep) print_table(rows);
    if (baseline.judges())
      std::printf("%s: --fail-if-slower %s\n", passed ? "PASSED" : "FAILED",
                  args.text("fail-if-slower").c_str());
  }
  return passed ? kExitOk : kExitDiffers;
}

}  // namespace treadle::tool
