// treadle run: outputs of one run, or a comparison with expected ones.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <numeric>
#include <sstream>

#include "importer/importer.h"
#include "tools/treadle/files.h"
#include "tools/treadle/inputs.h"
#include "tools/treadle/json.h"

namespace treadle::tool {
namespace {

namespace fs = std::filesystem;

RunOptions run_options(const Args& args) {
  RunOptions options;
  options.outputs = args.list("outputs");
  options.timeout_seconds = args.number("timeout", 0);
  if (options.timeout_seconds < 0) throw UsageError("--timeout: a time is not negative");
  return options;
}

std::vector<std::string> output_names(const Model& model, const RunOptions& options) {
  if (!options.outputs.empty()) return options.outputs;
  std::vector<std::string> names;
  for (size_t i = 0; i < model.output_count(); ++i) names.push_back(model.output_name(i));
  return names;
}

struct Expected {
  size_t output;
  Value value;
};

// input_N.pb and output_N.pb: by the tensor's name where it is one of the model's, else by N.
void read_test_data(const Model& model, const fs::path& dir, std::vector<Value>& inputs,
                    std::vector<Expected>& expected) {
  TREADLE_CHECK(fs::is_directory(dir), kIo, "'", dir.string(), "' is no folder");
  auto file = [&](const char* kind, size_t i) { return dir / cat(kind, "_", i, ".pb"); };
  std::vector<size_t> expected_inputs;
  for (size_t i = 0; i < model.input_count(); ++i) {
    if (!model.input(i).default_value.defined()) expected_inputs.push_back(i);
  }
  for (size_t i = 0; fs::exists(file("input", i)); ++i) {
    std::string name;
    size_t index = i < expected_inputs.size() ? expected_inputs[i] : inputs.size();
    const Type type = index < inputs.size() ? model.input(index).type : Type{};
    Value value = load_value(file("input", i), type, &name);
    for (size_t k = 0; k < model.input_count(); ++k) {
      if (model.input(k).name == name) index = k;
    }
    TREADLE_CHECK(index < inputs.size(), kInvalidArgument, "'", file("input", i).string(),
                  "': the model has ", inputs.size(), " inputs");
    inputs[index] = std::move(value);
  }
  for (size_t i = 0; i < model.output_count(); ++i) {
    if (!fs::exists(file("output", i))) continue;
    std::string name;
    Value value = load_value(file("output", i), model.output_type(i), &name);
    size_t index = i;
    for (size_t k = 0; k < model.output_count(); ++k) {
      if (model.output_name(k) == name) index = k;
    }
    expected.push_back({index, std::move(value)});
  }
  TREADLE_CHECK(!expected.empty(), kIo, "'", dir.string(), "' holds no output_N.pb");
}

int compare_with(const Model& model, const std::vector<Value>& outputs,
                 const std::vector<Expected>& expected, const Args& args) {
  bool equal = true;
  Json list = Json::array();
  for (const Expected& e : expected) {
    const Difference d = compare_values(outputs[e.output], e.value, args.number("rtol", 1e-3),
                                        args.number("atol", 1e-4));
    equal = equal && d.equal;
    list.push_back({{"output", model.output_name(e.output)},
                    {"equal", d.equal},
                    {"worst_absolute", d.worst_absolute},
                    {"worst_relative", d.worst_relative},
                    {"difference", d.text}});
    if (args.has("json")) continue;
    std::printf("%-6s %s  max error %.3g%s%s\n", d.equal ? "equal" : "DIFFER",
                model.output_name(e.output).c_str(), d.worst_absolute, d.equal ? "" : "  ",
                d.text.c_str());
  }
  if (args.has("json")) print_json({{"equal", equal}, {"outputs", list}});
  return equal ? kExitOk : kExitDiffers;
}

std::vector<std::string> read_labels(const std::string& path) {
  std::vector<std::string> labels;
  std::istringstream in(read_file(path));
  for (std::string line; std::getline(in, line);) {
    const size_t comma = line.find(',');
    const bool indexed = comma != std::string::npos && comma > 0 &&
                         line.substr(0, comma).find_first_not_of("0123456789") == std::string::npos;
    labels.push_back(indexed ? line.substr(comma + 1) : line);
  }
  return labels;
}

struct Ranked {
  size_t index;
  double score;
  std::string label;
};

std::vector<Ranked> top_classes(const Value& output, const Args& args) {
  const std::vector<double> scores = output.tensor().to_doubles();
  const auto labels =
      args.has("labels") ? read_labels(args.text("labels")) : std::vector<std::string>{};
  std::vector<size_t> order(scores.size());
  std::iota(order.begin(), order.end(), size_t{0});
  const size_t k =
      std::min(order.size(), static_cast<size_t>(std::max<int64_t>(args.integer("topk", 5), 0)));
  std::partial_sort(order.begin(), order.begin() + static_cast<ptrdiff_t>(k), order.end(),
                    [&](size_t a, size_t b) { return scores[a] > scores[b]; });
  std::vector<Ranked> top;
  for (size_t i = 0; i < k; ++i) {
    top.push_back({order[i], scores[order[i]], order[i] < labels.size() ? labels[order[i]] : ""});
  }
  return top;
}

Json value_json(const std::string& name, const Value& value) {
  Json json = {{"name", name}, {"summary", summary(value)}};
  if (!value.is_tensor()) return json;
  const Tensor& t = value.tensor();
  json["dtype"] = std::string(dtype_name(t.dtype()));
  json["shape"] = t.dims();
  return json;
}

void report(const std::vector<std::string>& names, const std::vector<Value>& outputs, double ms,
            const Args& args) {
  Json list = Json::array();
  for (size_t i = 0; i < names.size(); ++i) {
    list.push_back(value_json(names[i], outputs[i]));
    if (!args.has("json")) std::printf("%s  %s\n", names[i].c_str(), summary(outputs[i]).c_str());
  }
  Json json = {{"run_ms", ms}, {"outputs", list}};
  if (args.has("topk") && !outputs.empty()) {
    for (const Ranked& r : top_classes(outputs[0], args)) {
      json["top"].push_back({{"index", r.index}, {"score", r.score}, {"label", r.label}});
      if (!args.has("json")) std::printf("%6zu  %10.5g  %s\n", r.index, r.score, r.label.c_str());
    }
  }
  if (args.has("json")) print_json(json);
  if (!args.has("json")) std::printf("first run %.2f ms\n", ms);
}

void save_outputs(const std::string& path, const std::vector<std::string>& names,
                  const std::vector<Value>& outputs) {
  NamedTensors tensors;
  for (size_t i = 0; i < names.size(); ++i) {
    const Tensor* t = std::get_if<Tensor>(&outputs[i]);
    if (std::find(names.begin(), names.begin() + static_cast<ptrdiff_t>(i), names[i]) !=
        names.begin() + static_cast<ptrdiff_t>(i)) {
      continue;  // a value may be listed twice
    }
    if (t == nullptr || t->dtype() == DType::kString) {
      std::fprintf(stderr, "treadle run: output '%s' is not saved: %s\n", names[i].c_str(),
                   summary(outputs[i]).c_str());
    } else {
      tensors.emplace_back(names[i], *t);
    }
  }
  write_npz(path, tensors);
}

}  // namespace

int run_run(const Args& args) {
  const auto model = load_model(args.positional[0], args);
  const RunOptions options = run_options(args);
  const std::vector<std::string> names = output_names(*model, options);
  std::vector<Value> inputs(model->input_count());
  std::vector<Expected> expected;
  if (args.has("test-data")) {
    read_test_data(*model, args.text("test-data"), inputs, expected);
  } else {
    inputs = gather_inputs(*model, args, false);
  }
  Session session(model, session_options(args));
  std::vector<Value> outputs(names.size());
  const auto start = std::chrono::steady_clock::now();
  session.run_into(inputs, outputs, options);
  const double ms =
      std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
  if (args.has("save-outputs")) save_outputs(args.text("save-outputs"), names, outputs);
  if (!expected.empty()) return compare_with(*model, outputs, expected, args);
  report(names, outputs, ms, args);
  return kExitOk;
}

}  // namespace treadle::tool
