// The door of the backends: what can run nodes. `Backend` and `Kernel` are the only abstract
// classes of the library.
//
// A backend is asked about one node at concrete shapes. It declines with a reason, or compiles a
// Kernel bound to those shapes, layouts and thread count. The planner (runtime/) owns buffers,
// inserts reorders and calls kernels.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "graph/graph.h"
#include "graph/ops/op.h"

namespace treadle {

// How a tensor's elements lie in memory: 0 is row-major, dense; any other value means what its
// backend says.
using Layout = uint16_t;
inline constexpr Layout kPlain = 0;

struct TensorSpec {
  DType dtype = DType::kUndefined;  // kUndefined: absent
  Dims dims;
  Layout layout = kPlain;
  bool present() const { return dtype != DType::kUndefined; }
  bool operator==(const TensorSpec&) const = default;
};

// One node at concrete shapes. `inputs` follow node.inputs, `outputs` node.outputs; outputs'
// layouts are ignored.
struct NodeSpec {
  const Node* node = nullptr;
  std::vector<TensorSpec> inputs;
  std::vector<TensorSpec> outputs;
  // Parallel to inputs: defined() where the elements are known at plan time.
  std::vector<Tensor> constants;

  bool has(size_t i) const { return i < inputs.size() && inputs[i].present(); }
  const Tensor* constant(size_t i) const {
    return i < constants.size() && constants[i].defined() ? &constants[i] : nullptr;
  }
};

struct Support {
  bool ok = true;
  std::string reason;  // why not: "dtype int64", "dilations with groups"
  static Support no(std::string why) { return {false, std::move(why)}; }
};

struct KernelArgs {
  const void* const*
      inputs;  // parallel to the node's inputs; null where absent or not read (Compiled::reads)
  void* const* outputs;       // null where nobody wants the output
  void* scratch;              // Compiled::scratch_bytes, 64-byte aligned, undefined contents
  const RunControl* control;  // may be null; long or looping kernels poll it
};

// Immutable after compile: one kernel may run on several threads at once, with different args.
// Buffers the planner made are 64-byte aligned; the caller's inputs and outputs may not be.
class Kernel {
 public:
  virtual ~Kernel() = default;
  virtual void run(const KernelArgs& args) const = 0;
};

// An output that may be written over an input: same bytes, same layout, each element read for the
// last time no later than it is written.
struct InPlace {
  size_t input;
  size_t output = 0;
};

struct Compiled {
  std::unique_ptr<Kernel> kernel;
  std::string name;  // for profile and inspect: "onednn jit_1x1:avx512_core", "native add"
  std::vector<Layout> input_layouts;   // that the kernel wants; empty = all plain
  std::vector<Layout> output_layouts;  // that it yields; empty = all plain
  size_t scratch_bytes = 0;
  // False: this input is not read in the run (packed weights); empty = all read.
  std::vector<bool> reads;
  std::vector<InPlace> in_place;
};

// Packed forms of constants, shared by all plans and sessions of one model, and held by the plans
// only. Thread-safe.
class PackCache {
 public:
  using Make = std::function<std::shared_ptr<Buffer>(const Tensor& plain)>;
  // The packed form of `source` under `key` (layout, ISA …), made of its resident bytes by `make`
  // where no plan holds it. Others may have the same bytes in other dimensions.
  std::shared_ptr<Buffer> get(const Tensor& source, const std::string& key, const Make& make);
  size_t bytes() const;

 private:
  struct Key {
    std::pair<const void*, size_t> source;
    DType dtype;
    Dims dims;
    std::string key;
    auto operator<=>(const Key&) const = default;
  };
  struct Entry {
    std::shared_ptr<Buffer> source;  // held, so that its address names it
    std::weak_ptr<Buffer> packed;
  };
  void sweep();
  mutable std::mutex mutex_;
  std::map<Key, Entry> entries_;
  size_t next_sweep_ = 64;  // entries at which the dead are looked for
};

struct CompileContext {
  int threads = 1;  // the kernel runs with exactly so many
  PackCache* packs = nullptr;
  bool winograd = true;  // convolutions may take Winograd's algorithm, which rounds more
  // Takes what the compiled kernels hold of constants; may be null.
  std::vector<std::shared_ptr<Buffer>>* held = nullptr;
};

// The constant in the form that `make` gives it, of the context's cache where it has one.
std::shared_ptr<Buffer> packed(const CompileContext& context, const Tensor& source,
                               const std::string& key, const PackCache::Make& make);
// The constant's own elements in memory, for a kernel that holds them.
Tensor held_plain(const CompileContext& context, const Tensor& source);

class Backend {
 public:
  virtual ~Backend() = default;
  virtual std::string_view name() const = 0;
  // Must not be slow: called for every node, often twice.
  virtual Support supports(const NodeSpec& spec) const = 0;
  // spec.inputs[i].layout is the layout the value has now; the kernel may ask for another.
  // Only called where supports() said yes. kUnsupported declines after all.
  virtual Compiled compile(const NodeSpec& spec, const CompileContext& context) const = 0;
  // Bytes a tensor takes in its layout (padding included).
  virtual size_t bytes(const TensorSpec& spec) const = 0;
  // Copies `from` (one input) to `to` (one output), which differ in layout only.
  virtual Compiled reorder(const TensorSpec& from, const TensorSpec& to,
                           const CompileContext& context) const = 0;
  // Byte offsets of the parts within the whole when concatenating them along `axis` in their common
  // layout is mere adjacency in memory; empty when it is not.
  virtual std::vector<size_t> adjacent_parts(const TensorSpec& whole,
                                             const std::vector<TensorSpec>& parts,
                                             int64_t axis) const = 0;
  // The layouts in which input 0 and output 0 of a node that permutes dimensions have the same
  // bytes, where the input has that layout already.
  struct SameBytes {
    Layout input, output;
  };
  virtual std::optional<SameBytes> same_bytes(const NodeSpec&) const { return {}; }
};

// `adjacent_parts` for row-major tensors: adjacency when every dimension before `axis` is 1.
std::vector<size_t> plain_adjacent_parts(const TensorSpec& whole,
                                         const std::vector<TensorSpec>& parts, int64_t axis);

// Never null. `reference` supports every node whose types are tensors of fixed-size elements.
const Backend& reference_backend();
// Null with a reason when the device is not available. "cpu" is there always; "reference" too.
const Backend* find_backend(std::string_view device, std::string* why_not);

}  // namespace treadle
