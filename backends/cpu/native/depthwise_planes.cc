#include "backends/cpu/native/depthwise_planes.h"

#include <algorithm>

#include "backends/cpu/native/activation.h"
#include "backends/cpu/parallel.h"
#include "backends/cpu/simd/plane_filter.h"
#include "graph/ops/conv_params.h"

namespace treadle::cpu {
namespace {

constexpr size_t kX = 0, kW = 1, kB = 2, kZ = 3;

ConvParams planes_of(const NodeSpec& spec) {
  return in_planes(conv_params(spec.node->attributes, spec.inputs[kX].dims, spec.inputs[kW].dims));
}

class PlanesKernel : public Kernel {
 public:
  PlanesKernel(const NodeSpec& spec, int threads)
      : p_(planes_of(spec)),
        has_bias_(spec.has(kB)),
        activation_(*Activation::of(*spec.node)),
        threads_(threads) {
    const auto lanes = static_cast<int64_t>(function_.lanes);
    row_ = p_.input[1] + p_.pads_begin[1] + p_.pads_end[1];
    slot_floats_ = checked_add(checked_mul(rows(), row_), lanes);
    const int64_t taps = p_.kernel[0] * p_.kernel[1];
    const int64_t work = p_.group_outputs() * p_.output[0] * p_.output[1] * taps;
    slots_ = std::clamp<int64_t>(planes() * work / (16 * kParallelGrain), 1, threads);
  }

  size_t scratch_bytes() const {
    return static_cast<size_t>(byte_size(DType::kFloat, checked_mul(slots_, slot_floats_)));
  }

  void run(const KernelArgs& args) const override {
    auto* scratch = static_cast<float*>(args.scratch);
    parallel_slots(threads_, slots_, {.n = planes()},
                   [&](int64_t slot, int64_t begin, int64_t end) {
                     float* padded = scratch + slot * slot_floats_;
                     std::fill_n(padded, slot_floats_, 0.0F);
                     for (int64_t i = begin; i < end; ++i) run_plane(args, i, padded);
                   });
  }

 private:
  int64_t planes() const { return p_.batch * p_.in_channels; }
  int64_t rows() const { return p_.input[0] + p_.pads_begin[0] + p_.pads_end[0]; }

  void run_plane(const KernelArgs& args, int64_t plane, float* padded) const {
    const float* x = static_cast<const float*>(args.inputs[kX]) + plane * p_.input[0] * p_.input[1];
    for (int64_t r = 0; r < p_.input[0]; ++r)
      std::copy_n(x + r * p_.input[1], p_.input[1],
                  padded + (r + p_.pads_begin[0]) * row_ + p_.pads_begin[1]);
    const int64_t image = plane / p_.in_channels, count = p_.group_outputs();
    for (int64_t i = 0; i < count; ++i) {
      const int64_t channel = plane % p_.in_channels * count + i;
      filter(args, padded, image * p_.out_channels + channel, channel);
    }
  }

  // Plane `index` of all, by the window of the channel.
  void filter(const KernelArgs& args, const float* padded, int64_t index, int64_t channel) const {
    const int64_t taps = p_.kernel[0] * p_.kernel[1];
    float* y = static_cast<float*>(args.outputs[0]) + index * p_.output[0] * p_.output[1];
    PlaneFilter job{.x = padded,
                    .row_step = static_cast<size_t>(p_.dilations[0] * row_),
                    .column_step = static_cast<size_t>(p_.dilations[1]),
                    .w = static_cast<const float*>(args.inputs[kW]) + channel * taps,
                    .rows = static_cast<size_t>(p_.kernel[0]),
                    .columns = static_cast<size_t>(p_.kernel[1]),
                    .bias = has_bias_ ? static_cast<const float*>(args.inputs[kB])[channel] : 0,
                    .y = y,
                    .n = static_cast<size_t>(p_.output[1])};
    for (int64_t r = 0; r < p_.output[0]; ++r, job.x += row_, job.y += p_.output[1])
      function_.run(job);
    const auto size = static_cast<size_t>(p_.output[0] * p_.output[1]);
    activation_.apply(y, 1, size, size);
  }

  ConvParams p_;
  bool has_bias_;
  Activation activation_;
  int threads_;
  PlaneFilterFunction function_ = plane_filter_function();
  int64_t row_ = 0;  // floats of a padded one
  int64_t slot_floats_ = 0;
  int64_t slots_ = 1;
};

Support supports_planes(const NodeSpec& spec) {
  if (Support s = supports_f32(spec); !s.ok) return s;
  const size_t rank = spec.inputs[kX].dims.size();
  if (rank != 3 && rank != 4) return Support::no("not of one or two dimensions");
  const ConvParams p = planes_of(spec);
  if (p.group != p.in_channels) return Support::no("not depthwise");
  if (rank == 4 && p.out_channels == p.in_channels) return Support::no("a channel of each");
  if (p.strides != Dims{1, 1}) return Support::no("strides");
  if (spec.has(kZ)) return Support::no("residual");
  return supports_activation(*spec.node);
}

// Vectors of many outputs of a channel are faster than those of a plane.
bool planes_pay(const NodeSpec& spec) {
  constexpr int64_t kMany = 8;
  return planes_of(spec).group_outputs() < kMany;
}

Compiled compile_planes(const NodeSpec& spec, const CompileContext& context) {
  auto kernel = std::make_unique<PlanesKernel>(spec, context.threads);
  Compiled compiled;
  compiled.name = "native depthwise planes";
  compiled.scratch_bytes = kernel->scratch_bytes();
  compiled.kernel = std::move(kernel);
  return compiled;
}

}  // namespace

const Family kDepthwisePlanes = {"native depthwise planes", supports_planes, compile_planes,
                                 planes_pay};

}  // namespace treadle::cpu
