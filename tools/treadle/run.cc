// treadle run: outputs of one run, or a comparison with expected ones.
#include <algorithm>
#include <chrono>
#include <cstdio>

#include "tools/treadle/files.h"
#include "tools/treadle/inputs.h"
#include "tools/treadle/test_data.h"
#include "tools/treadle/tolerance.h"
#include "tools/treadle/top.h"
#include "tools/treadle/training_steps.h"
#include "tools/treadle/values.h"
#include "training/data/preprocess.h"

namespace treadle::tool {
namespace {

namespace fs = std::filesystem;

constexpr size_t kRowsShown = 20;

bool wants_all(const Args& args) { return args.list("outputs") == std::vector<std::string>{"all"}; }

std::shared_ptr<const Model> load_asked(const Args& args) {
  const std::string& path = args.positional[0];
  if (!wants_all(args)) return load_model(path, args);
  return create_exposed(load_graph(path, args), model_options(args));
}

// The classes that a trained model names itself.
Labels own_labels(const Model& model) {
  Labels labels;
  for (const std::string& name : class_names(model.graph().metadata))
    labels.emplace(labels.size(), name);
  return labels;
}

RunOptions run_options(const Args& args) {
  RunOptions options;
  if (!wants_all(args)) options.outputs = args.list("outputs");
  options.timeout_seconds = args.positive("timeout", 0);
  return options;
}

std::vector<std::string> asked_names(const Model& model, const RunOptions& options) {
  return options.outputs.empty() ? output_names(model) : options.outputs;
}

// What cannot be done is refused before the model runs.
void check_flags(const Args& args) {
  for (const char* flag : {"input", "fill", "shape", "topk", "labels"}) {
    if (args.has("test-data") && args.has(flag))
      throw UsageError(cat("--", flag, " does not go with --test-data"));
  }
  for (const char* flag : {"assert-outputs", "check-nan"}) {
    if (args.has("test-data") && args.has(flag))
      throw UsageError(cat("--", flag, " does not go with --test-data"));
  }
  for (const char* flag : {"save-model", "no-initialization"}) {
    if (args.has(flag) && !args.has("training-steps"))
      throw UsageError(cat("--", flag, " goes with --training-steps"));
  }
  for (const char* flag : {"test-data", "outputs", "save-outputs", "assert-outputs", "check-nan",
                           "topk", "labels", "timeout"}) {
    if (args.has(flag) && args.has("training-steps"))
      throw UsageError(cat("--", flag, " does not go with --training-steps"));
  }
  const fs::path path = args.text("save-outputs");
  if (args.has("save-outputs") && path != "-" && path.extension() != ".npz" &&
      path.extension() != ".npy")
    throw UsageError(cat("--save-outputs: '", path.string(), "' is neither .npz nor .npy nor -"));
  if (path == "-" && args.has("json"))
    throw UsageError("--save-outputs -: the standard output is --json's");
}

void print_npz(const NamedTensors& tensors) {
  const Temporary file("outputs.npz");
  write_npz(file.path(), tensors);
  const std::string bytes = read_file(file.path());
  std::fwrite(bytes.data(), 1, bytes.size(), stdout);
}

void save_outputs(const std::string& path, const std::vector<std::string>& names,
                  const std::vector<Value>& outputs) {
  NamedTensors tensors;
  for (size_t i = 0; i < names.size(); ++i) {
    const Tensor* t = std::get_if<Tensor>(&outputs[i]);
    const auto end = names.begin() + static_cast<ptrdiff_t>(i);
    if (std::find(names.begin(), end, names[i]) != end) continue;  // a value may be listed twice
    if (t == nullptr || t->dtype() == DType::kString) {
      std::fprintf(stderr, "treadle run: output '%s' is not saved: NumPy files hold numbers only\n",
                   names[i].c_str());
    } else {
      tensors.emplace_back(names[i], *t);
    }
  }
  if (path == "-") return print_npz(tensors);
  if (!path.ends_with(".npy")) return write_npz(path, tensors);
  if (tensors.size() != 1) {
    throw UsageError(cat("--save-outputs: an .npy file holds one output, not ", tensors.size(),
                         ": see --outputs, or save an .npz"));
  }
  write_file(path, format_npy(tensors.front().second));
}

// The standard output is another's: --json's object, or the bytes of --save-outputs.
bool is_quiet(const Args& args) { return args.has("json") || args.text("save-outputs") == "-"; }

// Compares what was asked for; rows go to `list`.
bool compare_set(const Model& model, const std::vector<std::string>& names,
                 const std::vector<Value>& outputs, const std::vector<Expected>& expected,
                 const Args& args, Json& list) {
  const Tolerances tolerances(args, names);
  bool equal = true;
  for (const Expected& e : expected) {
    const std::string& name = model.output_name(e.output);
    const auto at = std::find(names.begin(), names.end(), name);
    if (at == names.end()) continue;
    const Difference d =
        tolerances.compare(name, outputs[static_cast<size_t>(at - names.begin())], e.value);
    equal = equal && d.equal;
    list.push_back({{"output", name},
                    {"equal", d.equal},
                    {"worst_absolute", d.worst_absolute},
                    {"worst_relative", d.worst_relative},
                    {"difference", d.text}});
    if (is_quiet(args)) continue;
    std::printf("%-6s %s  max error %.3g%s%s\n", d.equal ? "equal" : "DIFFER", name.c_str(),
                d.worst_absolute, d.equal ? "" : ": ", d.text.c_str());
  }
  TREADLE_CHECK(!list.empty(), kInvalidArgument, "no expected output is among --outputs");
  return equal;
}

int run_test_data(const std::shared_ptr<const Model>& model, const RunOptions& options,
                  const Args& args) {
  const std::vector<std::string> names = asked_names(*model, options);
  const std::vector<fs::path> sets = test_data_sets(args.text("test-data"));
  if (args.has("save-outputs") && sets.size() > 1)
    throw UsageError("--save-outputs: give one of the folders test_data_set_N");
  Session session(model, session_options(args));
  bool equal = true;
  Json list = Json::array();
  for (const fs::path& set : sets) {
    const TestData data = read_test_data(*model, set);
    std::vector<Value> outputs(names.size());
    run_model(session, args, data.inputs, outputs, options);
    if (sets.size() > 1 && !is_quiet(args)) std::printf("%s\n", set.filename().c_str());
    Json rows = Json::array();
    equal = compare_set(*model, names, outputs, data.expected, args, rows) && equal;
    for (Json& row : rows) {
      row["set"] = set.filename().string();
      list.push_back(std::move(row));
    }
    if (args.has("save-outputs")) save_outputs(args.text("save-outputs"), names, outputs);
  }
  if (args.has("json")) print_json({{"equal", equal}, {"outputs", list}});
  return equal ? kExitOk : kExitDiffers;
}

Json ranked_json(const std::vector<std::vector<Ranked>>& rows) {
  Json json = Json::array();
  for (const auto& row : rows) {
    Json list = Json::array();
    for (const Ranked& r : row)
      list.push_back({{"index", r.index}, {"score", r.score}, {"label", r.label}});
    json.push_back(std::move(list));
  }
  return json;
}

void print_ranked(const std::vector<std::vector<Ranked>>& rows, bool labelled) {
  for (size_t row = 0; row < std::min(rows.size(), kRowsShown); ++row) {
    if (rows.size() > 1) std::printf("row %zu\n", row);
    for (const Ranked& r : rows[row]) {
      std::printf("%6zu  %10.5g  %s\n", r.index, r.score,
                  labelled && r.label.empty() ? "(no label)" : r.label.c_str());
    }
  }
  if (rows.size() > kRowsShown) std::printf("... and %zu more rows\n", rows.size() - kRowsShown);
}

// --check-nan: the tensors with NaN, told on stderr.
std::vector<std::string> tensors_with_nan(const std::vector<std::string>& names,
                                          const std::vector<Value>& outputs) {
  std::vector<std::string> found;
  for (size_t i = 0; i < names.size(); ++i) {
    const size_t count = count_nan(outputs[i]);
    if (count == 0) continue;
    found.push_back(names[i]);
    std::fprintf(stderr, "treadle run: tensor '%s' holds %zu NaN\n", names[i].c_str(), count);
  }
  return found;
}

void report(const std::vector<std::string>& names, const std::vector<Value>& outputs, double ms,
            const Labels& labels, const Args& args, Json& json) {
  json.update({{"first_run_ms", ms}, {"outputs", Json::array()}});
  for (size_t i = 0; i < names.size(); ++i) {
    json["outputs"].push_back(value_json(names[i], outputs[i]));
    if (!is_quiet(args)) std::printf("%s  %s\n", names[i].c_str(), summary(outputs[i]).c_str());
  }
  if ((args.has("topk") || args.has("labels")) && !outputs.empty()) {
    const auto k = static_cast<size_t>(args.integer("topk", 5, 1));
    const auto rows = top_classes(outputs.at(0), k, labels);
    json["top"] = ranked_json(rows);
    if (!is_quiet(args)) print_ranked(rows, !labels.empty());
  }
  if (!is_quiet(args))
    std::printf("first run %.2f ms, preparation included (see treadle bench)\n", ms);
}

// --check-nan and --assert-outputs: whether the outputs are as they should be.
bool passes(const Model& model, const std::vector<std::string>& names,
            const std::vector<Value>& outputs, const std::vector<Expected>& expected,
            const Args& args, Json& json) {
  bool good = true;
  if (args.has("check-nan")) {
    const auto found = tensors_with_nan(names, outputs);
    json["with_nan"] = found;
    good = found.empty();
  }
  if (args.has("assert-outputs")) {
    json["asserted"] = Json::array();
    good = compare_set(model, names, outputs, expected, args, json["asserted"]) && good;
  }
  return good;
}

}  // namespace

int run_run(const Args& args) {
  check_flags(args);
  if (args.has("training-steps")) return run_training_steps(args);
  const RunOptions options = run_options(args);
  Labels labels = args.has("labels") ? read_labels(args.text("labels")) : Labels{};
  args.integer("topk", 5, 1);
  const auto model = load_asked(args);
  if (args.has("test-data")) return run_test_data(model, options, args);
  if (!args.has("labels")) labels = own_labels(*model);
  const std::vector<std::string> names = asked_names(*model, options);
  std::vector<Expected> expected;
  if (args.has("assert-outputs")) expected = read_expected(*model, args.text("assert-outputs"));
  const std::vector<Value> inputs = gather_inputs(*model, args, Missing::kRefuse);
  Session session(model, session_options(args));
  std::vector<Value> outputs(names.size());
  const auto start = std::chrono::steady_clock::now();
  run_model(session, args, inputs, outputs, options);
  const double ms =
      std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
  if (args.has("save-outputs")) save_outputs(args.text("save-outputs"), names, outputs);
  Json json;
  report(names, outputs, ms, labels, args, json);
  const bool good = passes(*model, names, outputs, expected, args, json);
  if (args.has("json")) print_json(json);
  return good ? kExitOk : kExitDiffers;
}

}  // namespace treadle::tool
