// treadle compare: two models, one model on two devices, or Treadle beside onnxruntime, on the same
// input.
#include <cstdio>
#include <filesystem>
#include <map>

#include "tools/treadle/inputs.h"
#include "tools/treadle/json.h"
#include "tools/treadle/reference.h"
#include "tools/treadle/tolerance.h"

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

// `inputs` are those of `first`. With `everything` each tensor that is there after optimizing is an
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
  for (size_t i = 0; i < inputs.size(); ++i)
    ordered[model->find_input(first.input(i).name)] = inputs[i];
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
  Difference difference;
};

std::vector<Row> compare_sides(const Side& a, const Side& b, const Tolerances& tolerances) {
  std::map<std::string, const Value*> by_name;
  for (const NamedValue& v : b.values) by_name[v.name] = &v.value;
  std::vector<Row> rows;
  for (const NamedValue& v : a.values) {
    const auto other = by_name.find(v.name);
    if (other == by_name.end()) continue;
    const auto node = a.nodes.find(v.name);
    rows.push_back({v.name, node == a.nodes.end() ? "" : node->second,
                    tolerances.compare(v.name, v.value, *other->second)});
  }
  TREADLE_CHECK(!rows.empty(), kInvalidArgument, a.title, " and ", b.title,
                " have no output of the same name");
  return rows;
}

const Row* first_different(const std::vector<Row>& rows) {
  for (const Row& row : rows) {
    if (!row.difference.equal) return &row;
  }
  return nullptr;
}

void print_rows(const std::vector<Row>& rows) {
  std::printf("       %10s %10s  tensor\n", "max error", "relative");
  for (const Row& row : rows) {
    const Difference& d = row.difference;
    std::printf("%-6s %10.3g %10.3g  %s%s%s\n", d.equal ? "equal" : "DIFFER", d.worst_absolute,
                d.worst_relative, row.tensor.c_str(), d.equal ? "" : ": ", d.text.c_str());
  }
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
    list.push_back({{"tensor", row.tensor},
                    {"node", row.node},
                    {"equal", row.difference.equal},
                    {"worst_absolute", row.difference.worst_absolute},
                    {"worst_relative", row.difference.worst_relative},
                    {"difference", row.difference.text}});
  }
  print_json({{"equal", equal},
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
  const auto model = load_model(a.path, args);
  const std::vector<Value> inputs = gather_inputs(*model, args, Missing::kFill);
  const bool everything = args.has("all-layers");
  const Side left = run_side(a, args, inputs, *model, everything);
  const Side right = run_side(b, args, inputs, *model, everything);
  const Tolerances tolerances(args, names_of(left));
  const std::vector<Row> rows = compare_sides(left, right, tolerances);
  const Row* first = first_different(rows);
  if (first == nullptr || everything) return report(left, right, rows, first, args);
  // The outputs are apart: where does it begin?
  const std::vector<Row> layers = compare_sides(
      run_side(a, args, inputs, *model, true), run_side(b, args, inputs, *model, true), tolerances);
  const Row* node = first_different(layers);
  return report(left, right, rows, node == nullptr ? first : node, args);
}

}  // namespace treadle::tool
