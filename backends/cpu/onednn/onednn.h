// oneDNN as the CPU families see it: the engine, descriptors of our layouts, packed weights, and
// kernels made of primitives.
#pragma once

#include <array>
#include <atomic>
#include <functional>
#include <memory>
#include <oneapi/dnnl/dnnl.hpp>
#include <string>
#include <utility>
#include <vector>

#include "backends/cpu/family.h"

namespace treadle::cpu {

using DnnlDesc = dnnl::memory::desc;
using DnnlTag = dnnl::memory::format_tag;

// The CPU engine of the process. The first call settles the instruction set: what oneDNN finds,
// lowered by the environment variable TREADLE_ISA (oneDNN's names, or the native kernels'
// of simd/simd.h), and never AMX where the processor does not describe its tiles.
const dnnl::engine& engine();

// Undefined where oneDNN has no such type. bool is u8.
dnnl::memory::data_type dnnl_type(DType dtype);
// The descriptor of a tensor in its layout; rank 0 is described as rank 1.
DnnlDesc describe(const TensorSpec& spec);
DnnlDesc describe(DType dtype, const Dims& dims, DnnlTag tag);
// Row-major strides given by the caller.
DnnlDesc describe(DType dtype, const Dims& dims, const Dims& strides);
// No preference: oneDNN chooses.
DnnlDesc any_layout(DType dtype, const Dims& dims);

// Calls f; a dnnl::error becomes an Error that begins with `what`.
[[noreturn]] void rethrow_dnnl(const char* what, const dnnl::error& error);
template <class F>
auto dnnl_guard(const char* what, F&& f) {
  try {
    return f();
  } catch (const dnnl::error& error) {
    rethrow_dnnl(what, error);
  }
}

// Primitives take their thread count from OpenMP when they are made: sets it for the scope, then
// restores it.
class ThreadScope {
 public:
  explicit ThreadScope(int threads);
  ~ThreadScope();
  ThreadScope(const ThreadScope&) = delete;
  ThreadScope& operator=(const ThreadScope&) = delete;

 private:
  int before_;
};

// Attributes with the scratchpad given by the caller.
dnnl::primitive_attr user_scratch_attributes();
// Identifies a descriptor in the PackCache.
std::string layout_key(const DnnlDesc& desc);
// A copy in another layout, made now.
std::shared_ptr<Buffer> reordered(const DnnlDesc& from, const DnnlDesc& to, const void* source);
// True for oneDNN's plain loops and for what it builds around a GEMM, which lose to anything made
// for the purpose.
bool is_slow(const std::string& implementation);

// Where an argument of a primitive comes from at run time.
struct Operand {
  enum class From : uint8_t { kInput, kOutput, kScratch, kHeld };
  From from = From::kInput;
  size_t index = 0;            // of the input or output; byte offset in the scratch
  const void* held = nullptr;  // kHeld: constant bytes, kept alive by the kernel
  size_t offset = 0;           // kInput, kOutput: bytes from its beginning
  static Operand input(size_t i, size_t offset = 0) { return {From::kInput, i, nullptr, offset}; }
  static Operand output(size_t i, size_t offset = 0) { return {From::kOutput, i, nullptr, offset}; }
  static Operand scratch(size_t at) { return {From::kScratch, at, nullptr}; }
};
struct Argument {
  int id;  // DNNL_ARG_*
  DnnlDesc desc;
  Operand operand;
};

// Collects primitives and turns them into one Kernel that runs them in order.
class KernelBuilder {
 public:
  struct Call {
    dnnl::primitive primitive;
    std::vector<Argument> arguments;
  };
  // Bytes of the kernel's scratch, 64-byte aligned; the offset.
  size_t take_scratch(size_t bytes);
  // Constant bytes that the kernel keeps.
  Operand hold(std::shared_ptr<Buffer> buffer, const void* data);
  Operand hold(std::shared_ptr<Buffer> buffer);
  // Adds a primitive; its scratchpad is provided for.
  void add(const dnnl::primitive& primitive, const dnnl::primitive_desc_base& pd,
           std::vector<Argument> arguments);
  // Adds a reorder unless the descriptors are equal; where the reordered bytes then are.
  Operand add_reorder(const DnnlDesc& from, const DnnlDesc& to, Operand source);
  void add_reorder_to(const DnnlDesc& from, const DnnlDesc& to, Operand source, Operand target);
  // `constant` in the layout `to`: packed once per model. Row-major as `from` describes it.
  Operand add_packed(const CompileContext& context, const Tensor& constant, const DnnlDesc& from,
                     const DnnlDesc& to);
  // What `make` makes of `constant`, once per model and key.
  Operand add_made(const CompileContext& context, const Tensor& constant, const std::string& key,
                   const PackCache::Make& make);
  // Before everything else copies an input to output 0, unless they share their bytes (in-place
  // sums).
  void copy_first(size_t input, size_t bytes);
  // With more than one thread the primitives, each made for one, run side by side.
  Compiled finish(std::string name, int threads = 1);

  struct Copy {
    size_t input = 0;
    size_t bytes = 0;  // 0: none
  };

 private:
  std::vector<Call> calls_;
  std::vector<std::shared_ptr<Buffer>> held_;
  Copy copy_;
  size_t scratch_bytes_ = 0;
};

}  // namespace treadle::cpu
