// treadle compare: two models, one model on two devices, or Treadle beside onnxruntime, on the same
// input.
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <map>
#include <set>

#include "graph/ops/cast.h"
#include "tools/treadle/criteria.h"
#include "tools/treadle/files.h"
#include "tools/treadle/inputs.h"
#include "tools/treadle/json.h"
#include "tools/treadle/reference.h"

namespace treadle::tool {
namespace {

// What is run: a file on a device, or by onnxruntime.
struct Subject {
  std::string path;
  std::string device;
  bool onnxruntime = false;
};

struct Side {
  std::string title;
  std::vector<NamedValue> values;            // outputs, or every tensor, producers first
  std::map<std::string, std::string> nodes;  // the node that makes each: "node 'conv1' (Conv)"
};

std::map<std::string, std::string> makers(const Graph& graph) {
  std::map<std::string, std::string> nodes;
  for (const GraphOutput& output : graph.outputs()) {
    const Node* node = graph.producer(output.value);
    if (node != nullptr) nodes[output.name] = describe(*node);
  }
  return nodes;
}

Value as_dtype(const Value& value, DType dtype) {
  const bool floats = value.is_tensor() && is_float(value.tensor().dtype()) && is_float(dtype);
  return floats ? Value(cast_tensor(value.tensor(), dtype)) : value;
}

// Floats of two widths both as the wider one: a half-precision copy is compared by its numbers.
std::pair<Value, Value> alike(const Value& a, const Value& b) {
  if (!a.is_tensor() || !b.is_tensor() || a.tensor().dtype() == b.tensor().dtype()) return {a, b};
  const bool wide = a.tensor().dtype() == DType::kDouble || b.tensor().dtype() == DType::kDouble;
  const DType dtype = wide ? DType::kDouble : DType::kFloat;
  if (!is_float(a.tensor().dtype()) || !is_float(b.tensor().dtype())) return {a, b};
  return {as_dtype(a, dtype), as_dtype(b, dtype)};
}

// `inputs` are those of `first`; floats are converted to what this model takes. With
// `everything` each tensor that is there after optimizing is an
// output.
Side run_side(const Subject& subject, const Args& args, const std::vector<Value>& inputs,
              const Model& first, bool everything) {
  Graph graph = load_graph(subject.path, args);
  Side side{std::filesystem::path(subject.path).filename().string(), {}, {}};
  if (subject.onnxruntime) {
    side.title = "onnxruntime";
    if (everything) expose_all(graph);
    side.values = everything ? run_onnxruntime(graph, first, inputs)
                             : run_onnxruntime(subject.path, first, inputs);
    return side;
  }
  ModelOptions options = model_options(args);
  if (!subject.device.empty()) {
    options.device = subject.device;
    side.title += " on " + subject.device;
  }
  const auto model = everything ? create_exposed(std::move(graph), options)
                                : Model::create(std::move(graph), options);
  side.nodes = makers(model->graph());
  std::vector<Value> ordered(model->input_count()), outputs(model->output_count());
  for (size_t i = 0; i < inputs.size(); ++i) {
    const size_t place = model->find_input(first.input(i).name);
    ordered[place] = as_dtype(inputs[i], model->input(place).type.dtype);
  }
  Session session(model, session_options(args));
  run_model(session, args, ordered, outputs);
  for (size_t i = 0; i < outputs.size(); ++i)
    side.values.push_back({model->output_name(i), std::move(outputs[i])});
  return side;
}

std::vector<std::string> names_of(const Side& side) {
  std::vector<std::string> names;
  for (const NamedValue& v : side.values) names.push_back(v.name);
  return names;
}

struct Row {
  std::string tensor;
  std::string node;  // that makes it, on the first side
  Verdict verdict;
  bool equal() const { return verdict.difference.equal; }
};

std::vector<Row> compare_sides(const Side& a, const Side& b, const Criteria& criteria) {
  std::map<std::string, const Value*> by_name;
  for (const NamedValue& v : b.values) by_name[v.name] = &v.value;
  std::vector<Row> rows;
  for (const NamedValue& v : a.values) {
    const auto other = by_name.find(v.name);
    if (other == by_name.end()) continue;
    const auto node = a.nodes.find(v.name);
    const auto [got, want] = alike(v.value, *other->second);
    rows.push_back(
        {v.name, node == a.nodes.end() ? "" : node->second, criteria.compare(v.name, got, want)});
  }
  return rows;
}

const Row* first_different(const std::vector<Row>& rows) {
  for (const Row& row : rows) {
    if (!row.equal()) return &row;
  }
  return nullptr;
}

void print_rows(const std::vector<Row>& rows) {
  std::printf("       %10s %10s %10s %10s %8s  tensor\n", "max error", "relative", "mean error",
              "1 - cosine", "PSNR");
  for (const Row& row : rows) {
    const Difference& d = row.verdict.difference;
    std::printf("%-6s %10.3g %10.3g ", d.equal ? "equal" : "DIFFER", d.worst_absolute,
                d.worst_relative);
    if (const auto& s = row.verdict.similarity) {
      std::printf("%10.3g %10.3g %8.1f", s->mean_absolute, 1 - s->cosine, s->psnr);
    } else {
      std::printf("%10s %10s %8s", "-", "-", "-");
    }
    std::printf("  %s%s%s\n", row.tensor.c_str(), d.equal ? "" : ": ", d.text.c_str());
  }
}

// A − B: doubles where the tensors are of doubles or integers, else floats.
Tensor subtracted(const Tensor& a, const Tensor& b) {
  const std::vector<double> x = a.to_doubles(), y = b.to_doubles();
  const bool narrow = is_float(a.dtype()) && a.dtype() != DType::kDouble;
  Tensor out(narrow ? DType::kFloat : DType::kDouble, a.dims());
  dispatch(out.dtype(), Types<float, double>{}, [&]<class T>() {
    for (size_t i = 0; i < x.size(); ++i) out.data<T>()[i] = static_cast<T>(x[i] - y[i]);
  });
  return out;
}

void save_differences(const std::string& path, const Side& a, const Side& b) {
  NamedTensors tensors;
  std::set<std::string> seen;
  for (const NamedValue& v : a.values) {
    const auto other = std::ranges::find(b.values, v.name, &NamedValue::name);
    if (other == b.values.end()) continue;
    const auto [x, y] = alike(v.value, other->value);
    if (similarity(x, y) && seen.insert(v.name).second)
      tensors.emplace_back(v.name, subtracted(x.tensor(), y.tensor()));
  }
  TREADLE_CHECK(!tensors.empty(), kInvalidArgument, "--save-diff: ", a.title, " and ", b.title,
                " have no tensor of numbers of the same shape");
  write_npz(path, tensors);
}

int report(const Side& a, const Side& b, const std::vector<Row>& rows, const Row* first,
           const Args& args) {
  const bool equal = first_different(rows) == nullptr;
  const std::string where =
      first == nullptr ? "" : cat(first->node, ", tensor '", first->tensor, "'");
  if (!args.has("json")) {
    print_rows(rows);
    std::printf("%s: %s beside %s, %zu tensors%s\n", equal ? "PASSED" : "FAILED", a.title.c_str(),
                b.title.c_str(), rows.size(),
                first == nullptr ? "" : cat("; they part at ", where).c_str());
    return equal ? kExitOk : kExitDiffers;
  }
  Json list = Json::array();
  for (const Row& row : rows) {
    const Difference& d = row.verdict.difference;
    Json json = {{"tensor", row.tensor},
                 {"node", row.node},
                 {"equal", d.equal},
                 {"worst_absolute", d.worst_absolute},
                 {"worst_relative", d.worst_relative},
                 {"difference", d.text}};
    if (const auto& s = row.verdict.similarity)
      json.update({{"mean_absolute", s->mean_absolute}, {"cosine", s->cosine}, {"psnr", s->psnr}});
    list.push_back(std::move(json));
  }
  print_json({{"equal", equal},
              {"a", a.title},
              {"b", b.title},
              {"first_tensor", first == nullptr ? "" : first->tensor},
              {"first_node", first == nullptr ? "" : first->node},
              {"tensors", list}});
  return equal ? kExitOk : kExitDiffers;
}

// What the flags ask to be set side by side.
std::pair<Subject, Subject> subjects(const Args& args) {
  const std::string& a = args.positional[0];
  const std::vector<std::string> devices = args.list("devices");
  const bool reference = args.has("reference");
  if (static_cast<int>(args.positional.size() > 1) + !devices.empty() + reference != 1)
    throw UsageError("give one of: a second model, --devices A,B, --reference onnxruntime");
  if (reference) {
    args.choice("reference", {"onnxruntime"});
    return {{a, ""}, {a, "", true}};
  }
  if (devices.empty()) return {{a, ""}, {args.positional[1], ""}};
  if (devices.size() != 2) throw UsageError("--devices: expected two, as in cpu,reference");
  return {{a, devices[0]}, {a, devices[1]}};
}

}  // namespace

int run_compare(const Args& args) {
  const auto [a, b] = subjects(args);
  statistic(args);  // a wrong one is told before the models run
  const std::string diff = args.text("save-diff");
  if (!diff.empty() && !diff.ends_with(".npz"))
    throw UsageError(cat("--save-diff: '", diff, "' is no .npz"));
  const auto model = load_model(a.path, args);
  const std::vector<Value> inputs = gather_inputs(*model, args, Missing::kFill);
  const bool everything = args.has("all-layers");
  Side left = run_side(a, args, inputs, *model, everything);
  Side right = run_side(b, args, inputs, *model, everything);
  if (left.title == right.title) left.title = a.path, right.title = b.path;
  const Criteria criteria(args, names_of(left));
  const std::vector<Row> rows = compare_sides(left, right, criteria);
  TREADLE_CHECK(!rows.empty(), kInvalidArgument, left.title, " and ", right.title,
                " have no output of the same name");
  if (!diff.empty()) save_differences(diff, left, right);
  const Row* first = first_different(rows);
  if (first == nullptr || everything) return report(left, right, rows, first, args);
  // The outputs are apart: where does it begin?
  const std::vector<Row> layers = compare_sides(run_side(a, args, inputs, *model, true),
                                                run_side(b, args, inputs, *model, true), criteria);
  const Row* node = first_different(layers);
  return report(left, right, rows, node == nullptr ? first : node, args);
}

}  // namespace treadle::tool
