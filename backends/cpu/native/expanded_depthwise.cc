#include "backends/cpu/native/expanded_depthwise.h"

#include <algorithm>
#include <cstring>

#include "backends/cpu/layout.h"
#include "backends/cpu/native/depthwise.h"
#include "backends/cpu/native/lines.h"
#include "backends/cpu/native/panel_product.h"
#include "graph/base/error.h"
#include "graph/ops/expanded_depthwise.h"

namespace treadle::cpu {
namespace {

constexpr size_t kX = 0, kE = 1, kExpandBias = 2, kW = 3, kB = 4;

// What the depthwise convolution reads, in place of X.
Dims expanded(const NodeSpec& spec) {
  Dims dims = spec.inputs[kX].dims;
  dims[1] = spec.inputs[kE].dims[0];
  return dims;
}

ConvParams params_of(const NodeSpec& spec) {
  return conv_params(spec.node->attributes, expanded(spec), spec.inputs[kW].dims);
}

Node expansion_of(const Node& node) {
  Node expansion = node;
  expansion.attributes = expansion_attributes(node.attributes);
  return expansion;
}

class ExpandedDepthwise : public Kernel {
 public:
  struct Parts {
    ConvParams conv;      // the depthwise one
    PanelProduct expand;  // of a row of pixels
    int64_t in_channels;  // of X
    DepthwiseRows common;
    std::shared_ptr<Buffer> weights, zeros;  // of `common`
    int threads;
    bool has_expand_bias, has_bias;
  };
  explicit ExpandedDepthwise(Parts parts) : p_(std::move(parts)) {
    const ConvParams& c = p_.conv;
    if (c.output[0] == 1) at_once_ = 1;
    held_ = (at_once_ - 1) * c.strides[0] + c.kernel[0];
    TREADLE_CHECK(held_ <= kMostRows, kInternal, "a window of ", held_, " rows");
    held_ = std::min(held_, c.input[0]);
    groups_ = ceil_div(c.output[0], at_once_);
    constexpr int64_t kMultiplications = 16 * kParallelGrain;  // that are worth a thread
    const int64_t each = std::max<int64_t>(
        1, kMultiplications / std::max<int64_t>(1, row() * p_.in_channels * c.strides[0]));
    slots_ = std::clamp<int64_t>(c.batch * groups_ / each, 1, p_.threads);
  }

  size_t scratch_bytes() const { return static_cast<size_t>(checked_mul(slots_, slot_bytes())); }

  void run(const KernelArgs& args) const override {
    auto* scratch = static_cast<std::byte*>(args.scratch);
    for (int64_t slot = 0; slot < slots_; ++slot) *ring_of(scratch, slot).lines = {-1, -1};
    DepthwiseRows rows = p_.common;
    if (p_.has_bias) rows.bias = static_cast<const float*>(args.inputs[kB]);
    parallel_slots(p_.threads, slots_, {.n = p_.conv.batch * groups_},
                   [&](int64_t slot, int64_t begin, int64_t end) {
                     const Ring ring = ring_of(scratch, slot);
                     for (int64_t i = begin; i < end; ++i) run_group(args, rows, i, ring);
                   });
  }

 private:
  // Of all images' lines, those that a thread has expanded since it began elsewhere; the ring has
  // the last of them.
  struct Lines {
    int64_t begin, end;
  };
  struct Ring {
    Lines* lines;
    float* rows;
  };
  int64_t row() const { return p_.conv.input[1] * p_.conv.in_channels; }
  int64_t slot_bytes() const {
    return kLineBytes + whole_lines(byte_size(DType::kFloat, held_ * row()));
  }
  Ring ring_of(std::byte* scratch, int64_t slot) const {
    std::byte* at = scratch + slot * slot_bytes();
    return {reinterpret_cast<Lines*>(at), reinterpret_cast<float*>(at + kLineBytes)};
  }

  // Output rows that are taken at once. Those of threads that go on where they were find in the
  // ring what both read.
  void run_group(const KernelArgs& args, DepthwiseRows rows, int64_t group,
                 const Ring& ring) const {
    const ConvParams& c = p_.conv;
    const int64_t y = group % groups_ * at_once_, line = group / groups_ * c.input[0];
    rows.count = static_cast<int>(std::min(at_once_, c.output[0] - y));
    const int64_t top = y * c.strides[0] - c.pads_begin[0];
    const int64_t below = top + (rows.count - 1) * c.strides[0] + c.kernel[0];
    const int64_t first = line + std::max<int64_t>(top, 0);
    auto& [begin, end] = *ring.lines;
    if (first < std::max(begin, end - held_) || first > end) begin = end = first;
    for (; end < line + std::min(below, c.input[0]); ++end)
      expand(args, end, ring.rows + end % held_ * row());
    const float* read[kMostRows];
    for (int64_t i = top; i < below; ++i) {
      const bool inside = i >= 0 && i < c.input[0];
      read[i - top] = inside ? ring.rows + (line + i) % held_ * row() : nullptr;
    }
    rows.rows = read;
    rows.out = static_cast<float*>(args.outputs[0]) +
               (group / groups_ * c.output[0] + y) * c.output[1] * c.out_channels;
    function_(rows);
  }

  void expand(const KernelArgs& args, int64_t line, float* to) const {
    const auto* x = static_cast<const float*>(args.inputs[kX]);
    const void* bias = p_.has_expand_bias ? args.inputs[kExpandBias] : nullptr;
    p_.expand.run({.a = x + line * p_.conv.input[1] * p_.in_channels,
                   .bias = static_cast<const float*>(bias),
                   .y = to});
  }

  static constexpr int64_t kMostRows = 16;  // that outputs taken at once read

  Parts p_;
  DepthwiseFn function_ = depthwise_function(p_.conv.kernel[0], p_.conv.strides[0]);
  int64_t at_once_ = depthwise_rows();  // output rows
  int64_t held_ = 1;                    // rows that these read, of a ring
  int64_t groups_ = 1;                  // of output rows, in an image
  int64_t slots_ = 1;
};

Support supports_expanded(const NodeSpec& spec) {
  if (Support s = supports_f32(spec); !s.ok) return s;
  if (spec.constant(kE) == nullptr || spec.constant(kW) == nullptr)
    return Support::no("weights of the run");
  if (spec.inputs[kX].dims.size() != 4) return Support::no("not two-dimensional");
  const Dims &x = spec.inputs[kX].dims, &e = spec.inputs[kE].dims;
  if (e.size() != 4 || e != Dims{e[0], x[1], 1, 1})
    return Support::no("an expansion that is not of pixels");
  if (Support s = supports_depthwise_windows(params_of(spec), depthwise_lanes()); !s.ok) return s;
  if (!depthwise_epilogue(*spec.node)) return Support::no("activation");
  return supports_activation(expansion_of(*spec.node));
}

Compiled compile_expanded(const NodeSpec& spec, const CompileContext& context) {
  const ConvParams c = params_of(spec);
  const int64_t k = spec.inputs[kX].dims[1], n = c.in_channels;
  const PanelSource matrix{.n = n, .k = k, .row = 1, .column = k};
  PanelProduct expand({.m = c.input[1], .n = n, .k = k},
                      packed_panels(*spec.constant(kE), matrix, context),
                      Activation::of(expansion_of(*spec.node)), 1);
  auto weights = depthwise_weights(*spec.constant(kW), context);
  auto zeros = Buffer::allocate(static_cast<size_t>(byte_size(DType::kFloat, n)));
  std::memset(zeros->data(), 0, zeros->size());
  const DepthwiseRows common = common_rows(c, *weights, *zeros, *depthwise_epilogue(*spec.node));
  auto kernel = std::make_unique<ExpandedDepthwise>(
      ExpandedDepthwise::Parts{.conv = c,
                               .expand = std::move(expand),
                               .in_channels = k,
                               .common = common,
                               .weights = std::move(weights),
                               .zeros = std::move(zeros),
                               .threads = context.threads,
                               .has_expand_bias = spec.has(kExpandBias),
                               .has_bias = spec.has(kB)});
  Compiled compiled = channels_last_conv(spec, {kE, kW});
  compiled.name = "native expanded depthwise";
  compiled.scratch_bytes = kernel->scratch_bytes();
  compiled.kernel = std::move(kernel);
  return compiled;
}

}  // namespace

const Family kExpandedDepthwise = {"native expanded depthwise", supports_expanded,
                                   compile_expanded};

}  // namespace treadle::cpu
