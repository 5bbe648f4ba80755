// load and load_bytes: from bytes to a verified graph with types.
#include <array>
#include <new>

#include "graph/ops/op.h"
#include "importer/importer.h"
#include "importer/onnx/opsets.h"
#include "importer/onnx/reader.h"
#include "importer/onnx/text.h"
#include "importer/onnx/types.h"
#include "importer/onnx/wire.h"

namespace treadle {
namespace {

using onnx::Access;
using onnx::Bytes;
namespace pb = treadle_onnx;

struct Signature {
  size_t offset;
  std::string_view bytes;
  std::string_view what;
};
constexpr Signature kSignatures[] = {
    {0, "version https://git-lfs",
     "a Git LFS pointer, not the model itself: fetch it with `git lfs pull`"},
    {0, "PK\x03\x04", "a ZIP archive (of PyTorch or Keras?), not an ONNX file"},
    {0, "\x89HDF", "an HDF5 file (of Keras?), not an ONNX file"},
    {0, "\x1f\x8b", "compressed by gzip: unpack it first"},
    {4, "ORTM", "in ONNX Runtime's own format (.ort), not an ONNX file"},
    {4, "TFL3", "a TensorFlow Lite file, not an ONNX file"},
    {0, "<", "text in XML or HTML, not an ONNX file"},
    {0, "{", "text in JSON, not an ONNX file"},
};

void check_signature(const Bytes& bytes) {
  TREADLE_CHECK(bytes.size() > 0, kInvalidModel, "the file is empty");
  std::array<char, 32> head{};
  const auto n = std::min<int64_t>(bytes.size(), static_cast<int64_t>(head.size()));
  bytes.read(0, std::as_writable_bytes(std::span(head)).first(static_cast<size_t>(n)));
  const std::string_view text(head.data(), head.size());
  for (const Signature& s : kSignatures) {
    TREADLE_CHECK(text.substr(s.offset, s.bytes.size()) != s.bytes, kInvalidModel, "the file is ",
                  s.what);
  }
}

void check_model(const pb::ModelProto& model) {
  TREADLE_CHECK(model.has_graph(), kInvalidModel,
                "the file holds no graph: not an ONNX model, or cut off");
  TREADLE_CHECK(model.ir_version() > 0, kInvalidModel, "the model states no IR version");
  TREADLE_CHECK(model.ir_version() <= pb::IR_VERSION, kUnsupported, "the model has IR version ",
                model.ir_version(), ", the newest known is ", static_cast<int>(pb::IR_VERSION));
}

pb::ModelProto parse_model(const Bytes& bytes, onnx::Spans& spans) {
  check_signature(bytes);
  pb::ModelProto model;
  onnx::parse(bytes, model, spans);
  check_model(model);
  return model;
}

Graph load_from(const Bytes& bytes, onnx::ExternalFiles& external,
                const onnx::ReadOptions& options) {
  if (onnx::is_text(bytes)) {
    const std::string model = onnx::model_of_text(bytes);
    return load_from(*Bytes::over(std::as_bytes(std::span(model))), external, options);
  }
  onnx::Spans spans;
  const pb::ModelProto model = parse_model(bytes, spans);
  for (const auto& [location, memory] : options.load.files) external.add(location, memory);
  onnx::TensorReader tensors(bytes, spans, external, options.load.limits.max_bytes);
  Graph graph = onnx::read_model(model, tensors, options);
  if (options.problems == nullptr || options.problems->empty()) verify(graph);
  return graph;
}

// Adds where the model came from to what fails.
template <class F>
auto with_context(const std::string& where, F&& f) {
  try {
    return f();
  } catch (Error& e) {
    e.add_context(where);
    throw;
  } catch (const std::bad_alloc&) {
    fail(Code::kOutOfMemory, where, ": out of memory");
  }
}

Access access_of(const LoadOptions& options) {
  return options.mmap ? Access::kMap : options.defer ? Access::kDefer : Access::kRead;
}

Graph load_file(const std::filesystem::path& path, const onnx::ReadOptions& options) {
  return with_context(cat("file '", path.string(), "'"), [&] {
    const auto bytes = Bytes::open(path, access_of(options.load));
    const auto folder = path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
    onnx::ExternalFiles external(folder, path, access_of(options.load));
    return load_from(*bytes, external, options);
  });
}

}  // namespace

Graph load(const std::filesystem::path& path, const LoadOptions& options) {
  return load_file(path, {options});
}

Graph load_bytes(std::span<const std::byte> bytes, const std::filesystem::path& folder,
                 const LoadOptions& options) {
  return with_context("the model in memory", [&] {
    onnx::ExternalFiles external(folder, {}, access_of(options));
    return load_from(*Bytes::over(bytes), external, {options});
  });
}

FileVersions versions_of(const std::filesystem::path& path) {
  return with_context(cat("file '", path.string(), "'"), [&] {
    auto bytes = Bytes::open(path, Access::kRead);
    const std::string text = onnx::is_text(*bytes) ? onnx::model_of_text(*bytes) : "";
    if (!text.empty()) bytes = Bytes::over(std::as_bytes(std::span(text)));
    onnx::Spans spans;
    const pb::ModelProto model = parse_model(*bytes, spans);
    FileVersions versions{model.ir_version(), {}};
    for (const auto& [domain, version] : onnx::opsets_of(model))
      versions.opsets[domain.empty() ? "ai.onnx" : domain] = version;
    return versions;
  });
}

std::vector<Error> check(const std::filesystem::path& path, const LoadOptions& options) {
  std::vector<Error> problems;
  try {
    load_file(path, {options, &problems});
  } catch (const Error& e) {
    problems.push_back(e);
  }
  for (Error& e : problems) {
    const std::string file = cat("file '", path.string(), "'");
    if (e.context().empty() || e.context().back() != file) e.add_context(file);
  }
  return problems;
}

}  // namespace treadle
