#include "backends/reference/reference.h"

#include <cstring>

#include "backends/reference/external.h"
#include "graph/ops/external.h"

namespace treadle {
namespace {

// Bytes of the caller or of an arena as a tensor. The row's kernel does not write to its inputs.
Tensor borrowed(const TensorSpec& spec, const void* data) {
  const auto bytes = static_cast<size_t>(byte_size(spec.dtype, element_count(spec.dims)));
  return Tensor(spec.dtype, spec.dims, Buffer::borrow(const_cast<void*>(data), bytes));
}

// Element-aligned bytes for rows that read through typed pointers.
bool aligned(const TensorSpec& spec, const void* data) {
  const auto size = static_cast<size_t>(std::max(1, dtype_bits(spec.dtype) / 8));
  return reinterpret_cast<uintptr_t>(data) % std::min<size_t>(size, alignof(std::max_align_t)) == 0;
}

class ReferenceKernel : public Kernel {
 public:
  explicit ReferenceKernel(const NodeSpec& spec)
      : node_(*spec.node), inputs_(spec.inputs), outputs_(spec.outputs) {}

  void run(const KernelArgs& args) const override {
    std::vector<Value> values(inputs_.size());
    std::vector<const Value*> pointers(inputs_.size(), nullptr);
    for (size_t i = 0; i < inputs_.size(); ++i) {
      if (!inputs_[i].present()) continue;
      Tensor t = borrowed(inputs_[i], args.inputs[i]);
      values[i] = aligned(inputs_[i], args.inputs[i]) ? std::move(t) : t.clone();
      pointers[i] = &values[i];
    }
    std::vector<Value> results = evaluate(args, pointers);
    for (size_t i = 0; i < outputs_.size(); ++i) {
      if (args.outputs[i] == nullptr) continue;
      const Tensor& result = results[i].tensor();
      if (result.dims() == outputs_[i].dims && result.dtype() == outputs_[i].dtype) {
        keep(result, args.outputs[i]);
        continue;
      }
      // An added operator's callbacks may contradict each other.
      fail(node_.state != nullptr ? Code::kInvalidArgument : Code::kInternal, describe(node_),
           " gave ", dtype_name(result.dtype()), shape_text(result.dims()), ", expected ",
           dtype_name(outputs_[i].dtype), shape_text(outputs_[i].dims));
    }
  }

 private:
  static void keep(const Tensor& result, void* output) {
    if (result.raw() != output && result.bytes() != 0)
      std::memcpy(output, result.raw(), result.bytes());
  }

  std::vector<Value> evaluate(const KernelArgs& args,
                              const std::vector<const Value*>& inputs) const {
    if (node_.op->eval == nullptr) return evaluate_node(node_, inputs, {}, args.control);
    EvalContext context(node_, inputs);
    context.control = args.control;
    for (size_t i = 0; i < outputs_.size(); ++i) {
      if (args.outputs[i] != nullptr && aligned(outputs_[i], args.outputs[i])) {
        context.place_output(i, borrowed(outputs_[i], args.outputs[i]));
      }
    }
    node_.op->eval(context);
    return std::move(context.outputs());
  }

  Node node_;
  std::vector<TensorSpec> inputs_;
  std::vector<TensorSpec> outputs_;
};

// Their kernels check all places first and then write over a copy of their data, or the data.
bool writes_over_data(const NodeSpec& spec) {
  const Node& node = *spec.node;
  return (node.is("ScatterND") || node.is("ScatterElements") || node.is("TensorScatter")) &&
         dtype_bits(spec.inputs[0].dtype) >= 8;
}

bool is_fixed_size(const TensorSpec& spec) { return !spec.present() || dtype_bits(spec.dtype) > 0; }

class ReferenceBackend : public Backend {
 public:
  std::string_view name() const override { return "reference"; }
  Support supports(const NodeSpec& spec) const override {
    for (const auto* list : {&spec.inputs, &spec.outputs}) {
      for (const TensorSpec& t : *list) {
        if (!is_fixed_size(t)) return Support::no(cat("dtype ", dtype_name(t.dtype)));
      }
    }
    return {};
  }
  Compiled compile(const NodeSpec& spec, const CompileContext&) const override {
    Compiled compiled;
    compiled.kernel = reference_kernel(spec);
    compiled.name = spec.node->state != nullptr ? "callback" : "reference";
    if (writes_over_data(spec)) compiled.in_place = {{0}};
    return compiled;
  }
  size_t bytes(const TensorSpec& spec) const override {
    return static_cast<size_t>(byte_size(spec.dtype, element_count(spec.dims)));
  }
  Compiled reorder(const TensorSpec&, const TensorSpec&, const CompileContext&) const override {
    fail(Code::kInternal, "the reference backend has one layout");
  }
  std::vector<size_t> adjacent_parts(const TensorSpec& whole, const std::vector<TensorSpec>& parts,
                                     int64_t axis) const override {
    return plain_adjacent_parts(whole, parts, axis);
  }
};

}  // namespace

std::unique_ptr<Kernel> reference_kernel(const NodeSpec& spec) {
  return std::make_unique<ReferenceKernel>(spec);
}

void provide_external_kernels() {
  provide_external(External::kRegexFullMatch, eval_regex_full_match);
  provide_external(External::kImageDecoder, eval_image_decoder);
}

const Backend& reference_backend() {
  static const ReferenceBackend backend;
  return backend;
}

}  // namespace treadle
