// treadle bench: load time, first run, latency and memory; of runs, or of steps of training.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <fstream>

#include "tools/treadle/files.h"
#include "tools/treadle/inputs.h"
#include "tools/treadle/json.h"
#include "tools/treadle/training.h"

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

// Milliseconds of each call, sorted.
template <class F>
std::vector<double> measure(const Args& args, F&& run) {
  const int64_t warmup = args.integer("warmup", 3);
  for (int64_t i = 0; i < warmup; ++i) run();
  std::vector<double> times;
  const double duration_ms = args.positive("duration", 2) * 1e3;
  const auto begin = Clock::now();
  const auto fixed = static_cast<size_t>(args.integer("iterations", 0, 1));
  while (fixed > 0 ? times.size() < fixed : ms_since(begin) < duration_ms || times.size() < 5) {
    const auto start = Clock::now();
    run();
    times.push_back(ms_since(start));
  }
  if (args.has("export-times"))
    write_file(args.text("export-times"), Json{{"times_ms", times}}.dump());
  std::sort(times.begin(), times.end());
  return times;
}

double at_fraction(const std::vector<double>& sorted, double fraction) {
  const auto index = static_cast<size_t>(static_cast<double>(sorted.size()) * fraction);
  return sorted[std::min(index, sorted.size() - 1)];
}

double mean(const std::vector<double>& times) {
  double sum = 0;
  for (double t : times) sum += t;
  return sum / static_cast<double>(times.size());
}

int print(const Args& args, const Json& json) {
  if (args.has("json")) {
    print_json(json);
    return kExitOk;
  }
  for (const auto& [key, value] : json.items()) {
    if (value.is_number_float()) {
      std::printf("%-14s %10.3f\n", key.c_str(), value.get<double>());
    } else {
      std::printf("%-14s %10s\n", key.c_str(),
                  value.is_string() ? value.get<std::string>().c_str() : value.dump().c_str());
    }
  }
  return kExitOk;
}

std::string batch_text(const std::vector<NamedValue>& batch) {
  std::string text;
  for (const NamedValue& v : batch) {
    const Tensor& t = v.value.tensor();
    text += cat(text.empty() ? "" : ", ", v.name, " ", dtype_name(t.dtype()), shape_text(t.dims()));
  }
  return text;
}

int bench_training(const Args& args, double base) {
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
  const std::vector<double> times = measure(args, [&] { loss = trainer.step(batch).loss; });
  const MemoryInfo memory = trainer.memory();
  return print(args, {{"model", args.positional[0]},
                      {"batch", batch_text(batch)},
                      {"loss", options.joint.loss.kind},
                      {"optimizer", options.joint.update.rule},
                      {"threads", trainer.session().threads()},
                      {"parameters", trainer.parameter_count()},
                      {"steps", times.size()},
                      {"start_ms", start_ms},
                      {"min_ms", times.front()},
                      {"median_ms", at_fraction(times, 0.5)},
                      {"mean_ms", mean(times)},
                      {"steps_per_s", 1e3 / mean(times)},
                      {"first_loss", first_loss},
                      {"last_loss", loss},
                      {"base_rss_mb", base},
                      {"loaded_rss_mb", loaded},
                      {"peak_rss_mb", peak_rss_mb()},
                      {"arena_mb", static_cast<double>(memory.arena_bytes) / 1e6}});
}

}  // namespace

int run_bench(const Args& args) {
  const double base = peak_rss_mb();
  args.integer("warmup", 3), args.integer("iterations", 0, 1);
  args.positive("duration", 2);  // refused before anything is loaded
  if (args.has("train")) return bench_training(args, base);
  auto start = Clock::now();
  const auto model = load_model(args.positional[0], args);
  Session session(model, session_options(args));
  const double load_ms = ms_since(start);
  const std::vector<Value> inputs = gather_inputs(*model, args, Missing::kFill);
  std::vector<Value> outputs(model->output_count());
  start = Clock::now();
  run_model(session, args, inputs, outputs);
  const double first_ms = ms_since(start);
  const std::vector<double> times = measure(args, [&] { session.run_into(inputs, outputs); });
  const MemoryInfo memory = session.memory();
  return print(args, {{"model", args.positional[0]},
                      {"inputs", shapes_text(*model, inputs)},
                      {"device", std::string(model->backend().name())},
                      {"threads", session.threads()},
                      {"runs", times.size()},
                      {"load_ms", load_ms},
                      {"first_ms", first_ms},
                      {"min_ms", times.front()},
                      {"median_ms", at_fraction(times, 0.5)},
                      {"mean_ms", mean(times)},
                      {"p90_ms", at_fraction(times, 0.9)},
                      {"p99_ms", at_fraction(times, 0.99)},
                      {"max_ms", times.back()},
                      {"base_rss_mb", base},
                      {"peak_rss_mb", peak_rss_mb()},
                      {"arena_mb", static_cast<double>(memory.arena_bytes) / 1e6},
                      {"packed_mb", static_cast<double>(memory.packed_bytes) / 1e6}});
}

}  // namespace treadle::tool
