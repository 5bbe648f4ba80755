#include "tools/treadle/reference.h"

#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "importer/importer.h"
#include "tools/treadle/files.h"

namespace treadle::tool {
namespace {

namespace fs = std::filesystem;

constexpr int kNoPackage = 3;
constexpr const char* kScript =
    "import sys\n"
    "try:\n"
    "    import numpy as np, onnxruntime as ort\n"
    "except ImportError as e:\n"
    "    sys.exit(print(e, file=sys.stderr) or 3)\n"
    "try:\n"
    "    o = ort.SessionOptions()\n"
    "    o.log_severity_level = 4\n"
    "    s = ort.InferenceSession(sys.argv[1], o, providers=['CPUExecutionProvider'])\n"
    "    y = s.run(None, dict(np.load(sys.argv[2])))\n"
    "except Exception as e:\n"
    "    sys.exit(print(' '.join(str(e).split()), file=sys.stderr) or 1)\n"
    "np.savez(sys.argv[3], **{k.name: v for k, v in zip(s.get_outputs(), y) if isinstance(v, "
    "np.ndarray) and v.dtype.kind in 'fiub'})\n";

std::string quoted(const std::string& text) {
  std::string out = "'";
  for (char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (fs::temp_directory_path() / "treadle-XXXXXX").string();
    TREADLE_CHECK(mkdtemp(name.data()) != nullptr, kIo, "cannot make a temporary folder in '",
                  fs::temp_directory_path().string(), "'");
    path = name;
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    fs::remove_all(path, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  fs::path path;
};

std::string last_line(const fs::path& path) {
  std::string text = read_file(path);
  while (text.ends_with('\n')) text.pop_back();
  return text.substr(text.rfind('\n') + 1);
}

std::vector<NamedValue> run_in(const fs::path& dir, const fs::path& file, const Model& model,
                               std::span<const Value> inputs) {
  NamedTensors feed;
  for (size_t i = 0; i < inputs.size(); ++i)
    feed.emplace_back(model.input(i).name, inputs[i].tensor());
  write_npz(dir / "in.npz", feed);
  write_file(dir / "run.py", kScript);
  const char* given = std::getenv("TREADLE_PYTHON");
  const std::string python = given != nullptr ? given : "python3";
  std::string command = quoted(python);
  for (const fs::path& arg : {dir / "run.py", file, dir / "in.npz", dir / "out.npz"})
    command += " " + quoted(arg.string());
  const int status = std::system((command + " >/dev/null 2>" + quoted(dir / "log")).c_str());
  const int code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  TREADLE_CHECK(code != kNoPackage && code != 126 && code != 127, kDevice, "'", python,
                "' cannot run onnxruntime (", last_line(dir / "log"),
                "): set TREADLE_PYTHON to a Python that has the packages onnxruntime and numpy");
  TREADLE_CHECK(code == 0, kInvalidArgument, "onnxruntime: ", last_line(dir / "log"));
  std::vector<NamedValue> outputs;
  for (auto& [name, tensor] : read_npz(dir / "out.npz")) outputs.push_back({name, tensor});
  return outputs;
}

}  // namespace

std::vector<NamedValue> run_onnxruntime(const std::string& path, const Model& model,
                                        std::span<const Value> inputs) {
  const TemporaryFolder folder;
  return run_in(folder.path, path, model, inputs);
}

std::vector<NamedValue> run_onnxruntime(const Graph& graph, const Model& model,
                                        std::span<const Value> inputs) {
  const TemporaryFolder folder;
  const fs::path file = folder.path / "model.onnx";
  save(graph, file);
  return run_in(folder.path, file, model, inputs);
}

}  // namespace treadle::tool
