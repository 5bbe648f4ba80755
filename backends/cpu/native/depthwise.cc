#include "backends/cpu/native/depthwise.h"

#include <cstring>
#include <optional>

#include "backends/cpu/epilogue.h"
#include "backends/cpu/layout.h"
#include "backends/cpu/simd/depthwise.h"
#include "graph/base/lasting.h"

namespace treadle::cpu {
namespace {

constexpr size_t kX = 0, kW = 1, kB = 2, kZ = 3;

// At any address.
std::shared_ptr<Buffer> pack_weights(const Tensor& w) {
  std::shared_ptr<Buffer> out = allocate_lasting(w.bytes());
  auto* to = reinterpret_cast<float*>(out->data());
  const std::byte* from = w.raw();
  const int64_t channels = w.dim(0), depth = w.dim(1), taps = w.dim(2) * w.dim(3);
  for (int64_t c = 0; c < channels; ++c) {
    for (int64_t i = 0; i < depth; ++i) {
      for (int64_t t = 0; t < taps; ++t) {
        std::memcpy(to + (t * depth + i) * channels + c, from, sizeof(float));
        from += sizeof(float);
      }
    }
  }
  return out;
}

ConvParams params_of(const NodeSpec& spec) {
  return conv_params(spec.node->attributes, spec.inputs[kX].dims, spec.inputs[kW].dims);
}

Support supports_grouped(const NodeSpec& spec) {
  if (Support s = supports_f32(spec); !s.ok) return s;
  if (Support s = supports_depthwise_windows(spec, depthwise_lanes(), true); !s.ok) return s;
  if (spec.constant(kW) == nullptr) return Support::no("weights of the run");
  if (spec.has(kZ)) return Support::no("residual");
  if (!depthwise_epilogue(*spec.node)) return Support::no("activation");
  return {};
}

Support supports_depthwise(const NodeSpec& spec) {
  if (Support s = supports_grouped(spec); !s.ok) return s;
  return supports_depthwise_windows(spec, depthwise_lanes());
}

class DepthwiseKernel : public Kernel {
 public:
  struct Packed {
    std::shared_ptr<Buffer> weights;  // [kernel, kernel, depth, channels]
    std::shared_ptr<Buffer> zeros;    // [channels]
  };
  DepthwiseKernel(ConvParams p, DepthwiseEpilogue epilogue, Packed packed, int threads)
      : p_(std::move(p)),
        packed_(std::move(packed)),
        threads_(threads),
        function_(depthwise_function(p_.kernel[0], p_.strides[0], p_.group_inputs())),
        at_once_(depthwise_rows()) {
    common_ = common_rows(p_, *packed_.weights, *packed_.zeros, epilogue);
  }

  void run(const KernelArgs& args) const override {
    const auto* x = static_cast<const float*>(args.inputs[kX]);
    auto* y = static_cast<float*>(args.outputs[0]);
    DepthwiseRows common = common_;
    if (has_bias_) common.bias = static_cast<const float*>(args.inputs[kB]);
    const auto run_rows = [&](int64_t first, int64_t count, const float* const* inputs) {
      DepthwiseRows rows = common;
      rows.rows = inputs;
      rows.count = static_cast<int>(count);
      rows.out = y + first * p_.output[1] * p_.in_channels;
      function_(rows);
    };
    for_depthwise_rows(p_, {threads_, at_once_}, x, run_rows);
  }
  void read_bias() { has_bias_ = true; }

 private:
  ConvParams p_;
  Packed packed_;
  int threads_;
  DepthwiseFn function_;
  int64_t at_once_;  // output rows
  DepthwiseRows common_;
  bool has_bias_ = false;
};

Compiled compile_depthwise(const NodeSpec& spec, const CompileContext& context) {
  ConvParams p = params_of(spec);
  const Tensor& w = *spec.constant(kW);
  DepthwiseKernel::Packed parts{
      depthwise_weights(w, context),
      Buffer::allocate(static_cast<size_t>(p.in_channels) * sizeof(float))};
  std::memset(parts.zeros->data(), 0, parts.zeros->size());
  auto kernel = std::make_unique<DepthwiseKernel>(std::move(p), *depthwise_epilogue(*spec.node),
                                                  std::move(parts), context.threads);
  if (spec.has(kB)) kernel->read_bias();
  Compiled compiled = channels_last_conv(spec, {kW});
  compiled.kernel = std::move(kernel);
  compiled.name = w.dim(1) == 1 ? "native depthwise" : "native grouped";
  return compiled;
}

}  // namespace

std::optional<DepthwiseEpilogue> depthwise_epilogue(const Node& node) {
  using Kind = DepthwiseEpilogue::Kind;
  const Epilogue e = epilogue_of(node);
  if (e.activation.empty()) return DepthwiseEpilogue{};
  if (const auto bounds = bounds_of(e))
    return DepthwiseEpilogue{Kind::kClamp, bounds->low, bounds->high};
  if (e.activation == "HardSwish") return DepthwiseEpilogue{Kind::kHardSwish};
  if (e.activation == "Swish" && e.alpha == 1) return DepthwiseEpilogue{Kind::kSwish};
  return std::nullopt;
}

std::shared_ptr<Buffer> depthwise_weights(const Tensor& w, const CompileContext& context) {
  return packed(context, w, "channels last", pack_weights);
}

DepthwiseRows common_rows(const ConvParams& p, const Buffer& weights, const Buffer& zeros,
                          const DepthwiseEpilogue& epilogue) {
  const auto* none = reinterpret_cast<const float*>(zeros.data());
  return {.rows = nullptr,
          .count = 1,
          .depth = static_cast<size_t>(p.group_inputs()),
          .weights = reinterpret_cast<const float*>(weights.data()),
          .bias = none,
          .zeros = none,
          .out = nullptr,
          .channels = static_cast<size_t>(p.in_channels),
          .width = p.input[1],
          .out_width = p.output[1],
          .pad = p.pads_begin[1],
          .epilogue = epilogue};
}

Support supports_depthwise_windows(const NodeSpec& spec, size_t lanes, bool grouped) {
  if (spec.inputs[kX].dims.size() != 4) return Support::no("not two-dimensional");
  return supports_depthwise_windows(params_of(spec), lanes, grouped);
}

Support supports_depthwise_windows(const ConvParams& p, size_t lanes, bool grouped) {
  if (p.in_channels != p.out_channels || (p.group != p.in_channels && !grouped))
    return Support::no("not depthwise");
  if (p.kernel[0] != p.kernel[1] || p.strides[0] != p.strides[1] ||
      depthwise_function(p.kernel[0], p.strides[0], p.group_inputs()) == nullptr) {
    return Support::no("kernel size, stride or size of a group");
  }
  if (p.dilations[0] != 1 || p.dilations[1] != 1) return Support::no("dilations");
  if (p.in_channels < static_cast<int64_t>(lanes)) return Support::no("few channels");
  return {};
}

const Family kDepthwise = {"native depthwise", supports_depthwise, compile_depthwise};
const Family kGrouped = {"native grouped", supports_grouped, compile_depthwise};

}  // namespace treadle::cpu
