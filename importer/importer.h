// The door of the importer: ONNX bytes to Graph and back.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "graph/graph.h"

namespace treadle {

class AddedOps;  // graph/ops/added.h

// Limits on what a file may make the importer do; exceeding one is kLimit naming it.
struct LoadLimits {
  int64_t max_nodes = 1'000'000;         // after functions are inlined
  int64_t max_depth = 32;                // nested subgraphs, nested functions
  int64_t max_bytes = int64_t{1} << 40;  // of weights
};

// A tensor that stands for an initializer of the file, whose own bytes are not read.
struct GivenInitializer {
  Tensor tensor;          // of the dtype and shape that the file states
  bool required = false;  // else it is ignored where the file has no such initializer
};

struct LoadOptions {
  // Initializers that are also graph inputs are constants, unless named here: then they are inputs
  // whose value in the file is used where none is given. "*" names all, but none in a file before
  // IR version 4.
  std::set<std::string> overridable;
  // Sizes of the inputs' symbolic dimensions, by the symbol's name and by the denotation that the
  // file gives a dimension ("DATA_BATCH"); the name counts first. What no input has is ignored.
  std::map<std::string, int64_t> dims;
  std::map<std::string, int64_t> denoted_dims;
  std::map<std::string, GivenInitializer> initializers;  // by name
  // Files of external data that lie in memory, by the location that the model names. They must
  // outlive the load.
  std::map<std::string, std::span<const std::byte>> files;
  // Weights of 16 KiB and more are read from the file when they are needed, so that memory holds
  // them once, as the kernels want them. The file stays open; where it is written over before that
  // (instead of being replaced), the run fails with kIo. False: everything is read by `load`.
  bool defer = true;
  // Map weights from the file instead of reading them. A file that shrinks while it is mapped kills
  // the process.
  bool mmap = false;
  // Operators beside the library's own; null: none. The loaded graph keeps what it uses of them.
  std::shared_ptr<const AddedOps> operators;
  LoadLimits limits;
};

// Reads a model: any IR version and opset that onnx.proto 1.23.2 knows, lifted to kOpset. Functions
// are inlined, Constant nodes become constants, the graph is verified and its types are inferred.
// Errors: kIo (cannot be read), kInvalidModel, kUnsupported (lists every unknown operator at once),
// kLimit; each names the file, the node and what was expected.
Graph load(const std::filesystem::path& path, const LoadOptions& options = {});
// The same from memory; external data is looked for beneath `folder`, and refused when that is
// empty.
Graph load_bytes(std::span<const std::byte> bytes, const std::filesystem::path& folder = {},
                 const LoadOptions& options = {});

// What a file was written for.
struct FileVersions {
  int64_t ir_version = 0;
  std::map<std::string, int64_t> opsets;  // by domain, "ai.onnx" spelled out
};
// Errors as of `load`, of the file alone: its operators are not looked at.
FileVersions versions_of(const std::filesystem::path& path);

// Everything that is wrong with a file, not just the first problem; empty when it loads.
std::vector<Error> check(const std::filesystem::path& path, const LoadOptions& options = {});

struct SaveOptions {
  int64_t opset = 0;           // 0: the lowest at which every node is legal; else at most this one
  bool external_data = false;  // weights in `<file>.data` beside it; done anyway above 2 GB
};
// Writes valid ONNX, operators of domain `treadle` as standard ones. Each file is replaced at once
// (temporary file, then rename), the external data first. kUnsupported names what cannot be
// expressed.
void save(const Graph& graph, const std::filesystem::path& path, const SaveOptions& options = {});
std::string save_bytes(const Graph& graph, const SaveOptions& options = {});

// A TensorProto in a file of its own (ONNX test data: input_0.pb), and SequenceProto, OptionalProto
// likewise. kIo, or kInvalidData for what is malformed.
Value load_value(const std::filesystem::path& path, const Type& type, std::string* name = nullptr);

}  // namespace treadle
