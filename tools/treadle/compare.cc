// treadle compare: two models, one model on two devices, or Treadle beside onnxruntime, on the same
// input.
#include <unistd.h>
#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "importer/importer.h"
#include "tools/treadle/files.h"
#include "tools/treadle/inputs.h"
#include "tools/treadle/json.h"

namespace treadle::tool {
namespace {

namespace fs = std::filesystem;

struct Side {
  std::string title;
  std::vector<std::string> names;
  std::vector<Value> values;
};

// Makes every tensor of the graph an output, in the order in which they are computed.
void expose_all(Graph& graph) {
  for (NodeId id : graph.topological_order()) {
    for (ValueId v : graph.node(id).outputs) {
      if (!v.valid() || graph.is_output(v) || !graph.value(v).type.is_tensor()) continue;
      graph.add_output(graph.value(v).name, v);
    }
  }
}

Side run_side(const std::string& path, const std::string& device, const Args& args,
              const std::vector<Value>& inputs, const Model& first) {
  ModelOptions options = model_options(args);
  if (!device.empty()) options.device = device;
  Graph graph = load_graph(path, args);
  if (args.has("all-layers")) {
    options.optimize = false;
    expose_all(graph);
  }
  const auto model = Model::create(std::move(graph), options);
  Side side{path + (device.empty() ? "" : " on " + device),
            {},
            std::vector<Value>(model->output_count())};
  std::vector<NamedValue> named;
  for (size_t i = 0; i < inputs.size(); ++i) named.push_back({first.input(i).name, inputs[i]});
  Session session(model, session_options(args));
  side.values = session.run(named);
  for (size_t i = 0; i < model->output_count(); ++i) side.names.push_back(model->output_name(i));
  return side;
}

constexpr const char* kReferenceScript =
    "import sys, numpy as np, onnxruntime as ort\n"
    "o = ort.SessionOptions(); o.log_severity_level = 4\n"
    "s = ort.InferenceSession(sys.argv[1], o, providers=['CPUExecutionProvider'])\n"
    "y = s.run(None, dict(np.load(sys.argv[2])))\n"
    "np.savez(sys.argv[3], **{k.name: v for k, v in zip(s.get_outputs(), y) if isinstance(v, "
    "np.ndarray)})\n";

std::string quoted(const std::string& text) {
  std::string out = "'";
  for (char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

// Runs onnxruntime through Python ($TREADLE_PYTHON, default python3) on the same input.
Side run_onnxruntime(const std::string& path, const Model& model,
                     const std::vector<Value>& inputs) {
  std::string folder = (fs::temp_directory_path() / "treadle-XXXXXX").string();
  TREADLE_CHECK(mkdtemp(folder.data()) != nullptr, kIo, "cannot make a temporary folder");
  const fs::path dir = folder;
  NamedTensors feed;
  for (size_t i = 0; i < inputs.size(); ++i)
    feed.emplace_back(model.input(i).name, inputs[i].tensor());
  write_npz(dir / "in.npz", feed);
  write_file(dir / "run.py", kReferenceScript);
  const char* python = std::getenv("TREADLE_PYTHON");
  const std::string command =
      cat(quoted(python != nullptr ? python : "python3"), " ", quoted((dir / "run.py").string()),
          " ", quoted(path), " ", quoted((dir / "in.npz").string()), " ",
          quoted((dir / "out.npz").string()), " 1>&2");
  const int status = std::system(command.c_str());
  Side side{"onnxruntime", {}, {}};
  if (status == 0) {
    for (auto& [name, tensor] : read_npz(dir / "out.npz")) {
      side.names.push_back(name);
      side.values.emplace_back(std::move(tensor));
    }
  }
  fs::remove_all(dir);
  TREADLE_CHECK(status == 0, kDevice,
                "onnxruntime did not run the model: is the Python package installed? "
                "TREADLE_PYTHON names the interpreter");
  return side;
}

int report(const Side& a, const Side& b, const Args& args) {
  Json rows = Json::array();
  std::string first;
  size_t compared = 0;
  for (size_t i = 0; i < a.names.size(); ++i) {
    for (size_t k = 0; k < b.names.size(); ++k) {
      if (a.names[i] != b.names[k]) continue;
      const Difference d = compare_values(a.values[i], b.values[k], args.number("rtol", 1e-3),
                                          args.number("atol", 1e-4));
      ++compared;
      if (!d.equal && first.empty()) first = a.names[i];
      rows.push_back({{"tensor", a.names[i]},
                      {"equal", d.equal},
                      {"worst_absolute", d.worst_absolute},
                      {"worst_relative", d.worst_relative},
                      {"difference", d.text}});
      if (!args.has("json")) {
        std::printf("%-6s %-40s abs %.3g  rel %.3g  %s\n", d.equal ? "equal" : "DIFFER",
                    a.names[i].c_str(), d.worst_absolute, d.worst_relative, d.text.c_str());
      }
    }
  }
  TREADLE_CHECK(compared > 0, kInvalidArgument, a.title, " and ", b.title,
                " have no output of the same name");
  if (args.has("json")) {
    print_json({{"equal", first.empty()}, {"first_difference", first}, {"tensors", rows}});
  } else {
    std::printf("%s: %s beside %s, %zu tensors%s\n", first.empty() ? "PASSED" : "FAILED",
                a.title.c_str(), b.title.c_str(), compared,
                first.empty() ? "" : cat(", first difference at '", first, "'").c_str());
  }
  return first.empty() ? kExitOk : kExitDiffers;
}

}  // namespace

int run_compare(const Args& args) {
  const std::string& a = args.positional[0];
  const auto model = load_model(a, args);
  const std::vector<Value> inputs = gather_inputs(*model, args, true);
  if (args.has("reference")) {
    if (args.text("reference") != "onnxruntime")
      throw UsageError("--reference: only onnxruntime is known");
    return report(run_side(a, "", args, inputs, *model), run_onnxruntime(a, *model, inputs), args);
  }
  const std::vector<std::string> devices = args.list("devices");
  if (!devices.empty() && devices.size() != 2)
    throw UsageError("--devices: expected two, as in cpu,reference");
  if (args.positional.size() < 2 && devices.empty()) {
    throw UsageError("give a second model, --devices A,B or --reference onnxruntime");
  }
  const std::string& b = args.positional.size() > 1 ? args.positional[1] : a;
  return report(run_side(a, devices.empty() ? "" : devices[0], args, inputs, *model),
                run_side(b, devices.empty() ? "" : devices[1], args, inputs, *model), args);
}

}  // namespace treadle::tool
