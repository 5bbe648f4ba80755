// treadle profile: time, arithmetic and traffic of each step.
#include <algorithm>
#include <cstdio>
#include <functional>

#include "tools/treadle/files.h"
#include "tools/treadle/inputs.h"
#include "tools/treadle/json.h"
#include "tools/treadle/training.h"

namespace treadle::tool {
namespace {

const std::vector<std::string> kSorts = {"order", "time", "op", "node"};
constexpr size_t kShapesShown = 64, kOriginsShown = 40;  // columns; --json has them whole

std::string cut(const std::string& text, size_t columns) {
  return text.size() <= columns ? text : text.substr(0, columns - 3) + "...";
}

std::string joined(const std::vector<std::string>& list) {
  std::string out;
  for (size_t i = 0; i < list.size(); ++i) {
    if (i > 0 && out.size() + list[i].size() >= kOriginsShown)
      return cat(out, "+", list.size() - i, " more");
    out += (i == 0 ? "" : "+") + list[i];
  }
  return cut(out, kOriginsShown);
}

double mean_us(const StepInfo& s) {
  return s.calls == 0 ? 0 : s.seconds * 1e6 / static_cast<double>(s.calls);
}
// Two operations a multiply-add, per nanosecond.
double gflops(const StepInfo& s) {
  return mean_us(s) == 0 ? 0 : 2e-3 * static_cast<double>(s.multiply_adds) / mean_us(s);
}
double gigabytes(const StepInfo& s) {
  return mean_us(s) == 0 ? 0 : 1e-3 * static_cast<double>(s.bytes) / mean_us(s);
}

// The slowest, as many as --top asks for (else all), by --sort.
std::vector<StepInfo> shown(std::vector<StepInfo> steps, const Args& args) {
  if (args.has("top")) {
    std::ranges::stable_sort(steps, std::greater(), mean_us);
    steps.resize(std::min(steps.size(), static_cast<size_t>(args.integer("top", 20, 1))));
  }
  const std::string by = args.choice("sort", kSorts);
  if (by == "time") std::ranges::stable_sort(steps, std::greater(), mean_us);
  if (by == "op") std::ranges::stable_sort(steps, std::less(), &StepInfo::op);
  if (by == "node") std::ranges::stable_sort(steps, std::less(), &StepInfo::node);
  return steps;
}

std::string kernel_of(const StepInfo& s) { return cat(s.backend, " ", s.kernel); }

void print_table(const std::vector<StepInfo>& steps, double total) {
  size_t op_width = 8, kernel_width = 6;
  for (const StepInfo& s : steps) {
    op_width = std::max(op_width, s.op.size());
    kernel_width = std::max(kernel_width, kernel_of(s).size());
  }
  const int op = static_cast<int>(op_width), kernel = static_cast<int>(kernel_width);
  std::printf("%10s %6s %8s %7s  %-*s  %-*s  %s\n", "us", "%", "GFLOP/s", "GB/s", op, "operator",
              kernel, "kernel", "shapes  [from]");
  for (const StepInfo& s : steps) {
    const std::string from = s.origins.empty() ? "" : cat("  [", joined(s.origins), "]");
    std::printf("%10.1f %5.1f%% %8.1f %7.1f  %-*s  %-*s  %s%s\n", mean_us(s),
                100 * mean_us(s) / total, gflops(s), gigabytes(s), op, s.op.c_str(), kernel,
                kernel_of(s).c_str(), cut(s.shapes, kShapesShown).c_str(), from.c_str());
  }
  std::printf("%10.1f        all steps\n", total);
}

// Chrome trace event format: complete events, one after another by their mean times.
void write_trace(const std::string& path, const std::vector<StepInfo>& steps) {
  Json events = Json::array();
  double at = 0;
  for (const StepInfo& s : steps) {
    Json event = {{"name", s.op},      {"cat", s.backend}, {"ph", "X"}, {"ts", at},
                  {"dur", mean_us(s)}, {"pid", 1},         {"tid", 1}};
    event["args"] = step_json(s);
    events.push_back(std::move(event));
    at += mean_us(s);
  }
  write_file(path,
             Json{{"traceEvents", events}}.dump(-1, ' ', false, Json::error_handler_t::replace));
}

int print(const Args& args, const std::vector<StepInfo>& steps) {
  double total = 0;
  for (const StepInfo& s : steps) total += mean_us(s);
  if (args.has("trace")) write_trace(args.text("trace"), steps);
  if (!args.has("json")) {
    print_table(shown(steps, args), total);
    return kExitOk;
  }
  Json list = Json::array();
  for (const StepInfo& s : shown(steps, args)) {
    Json step = step_json(s);
    step.update({{"calls", s.calls},
                 {"mean_us", mean_us(s)},
                 {"gflops", gflops(s)},
                 {"gbytes", gigabytes(s)}});
    list.push_back(std::move(step));
  }
  print_json({{"total_us", total}, {"steps", list}});
  return kExitOk;
}

// Of --iterations runs; with --fastest each step's least time takes the place of all of them.
std::vector<StepInfo> profiled(Session& session, const Args& args,
                               const std::function<void()>& run) {
  const bool fastest = args.has("fastest");
  std::vector<StepInfo> steps;
  session.profile(true);
  for (int64_t i = args.integer("iterations", 20, 1); i > 0; --i) {
    run();
    if (!fastest) continue;
    std::vector<StepInfo> now = session.profile();
    session.profile(true);
    if (steps.empty()) steps = now;
    for (size_t s = 0; s < std::min(now.size(), steps.size()); ++s) {
      if (mean_us(now[s]) < mean_us(steps[s])) steps[s] = std::move(now[s]);
    }
  }
  return fastest ? steps : session.profile();
}

int profile_training(const Args& args) {
  Trainer trainer(load_graph(args.positional[0], args), trainer_options(args));
  const std::vector<NamedValue> batch = training_batch(trainer, args);
  for (int i = 0; i < 3; ++i) trainer.step(batch);
  return print(args, profiled(trainer.session(), args, [&] { trainer.step(batch); }));
}

}  // namespace

int run_profile(const Args& args) {
  args.integer("iterations", 20, 1), args.integer("top", 20, 1), args.choice("sort", kSorts);
  if (args.has("train")) return profile_training(args);
  const auto model = load_model(args.positional[0], args);
  const std::vector<Value> inputs = gather_inputs(*model, args, Missing::kFill);
  Session session(model, session_options(args));
  std::vector<Value> outputs(model->output_count());
  run_model(session, args, inputs, outputs);
  for (int i = 0; i < 2; ++i) session.run_into(inputs, outputs);
  return print(args, profiled(session, args, [&] { session.run_into(inputs, outputs); }));
}

}  // namespace treadle::tool
