#include "backends/cpu/native/quantized_depthwise.h"

#include <cstdlib>
#include <cstring>

#include "backends/cpu/layout.h"
#include "backends/cpu/native/depthwise.h"
#include "backends/cpu/quantized_product.h"
#include "backends/cpu/simd/quantized_depthwise.h"
#include "graph/base/lasting.h"
#include "graph/ops/quantized_inputs.h"

namespace treadle::cpu {
namespace {

using namespace quantized;

Support supports_quantized_depthwise(const NodeSpec& spec) {
  if (Support s = supports_quantized_conv(spec); !s.ok) return s;
  if (Support s = supports_depthwise_windows(spec, ChannelBlocks::kSmallest); !s.ok) return s;
  if (!spec.has(kYScale)) return Support::no("floats");
  if (spec.has(kZ)) return Support::no("residual");
  return {};
}

// What belongs to channels, in the order of `blocks`.
struct Channels {
  ChannelBlocks blocks;
  size_t count;

  // f(place among the packed, size of its block, channel).
  template <class F>
  void for_each(const F& f) const {
    for (size_t at = 0, size; at < count; at += size) {
      size = blocks.size(count, at);
      const size_t first = at + size <= count ? at : count - size;
      for (size_t i = 0; i < size; ++i) f(at, i, size, first + ChannelBlocks::channel(size, i));
    }
  }
};

// As QuantizedDepthwiseRow::weights says.
std::shared_ptr<Buffer> pack_weights(const Tensor& w, const Channels& channels, size_t kernel) {
  const size_t width = channels.blocks.pairs ? 2 : 1, quads = quads_of(kernel);
  auto buffer = allocate_lasting(channels.blocks.total(channels.count) * quads * kQuad * width);
  std::memset(buffer->data(), 0, buffer->size());
  const auto* from = reinterpret_cast<const int8_t*>(w.raw());
  channels.for_each([&](size_t at, size_t i, size_t size, size_t channel) {
    const size_t quarter = i / (size / 4), lane = i % (size / 4);
    for (size_t tap = 0; tap < kernel * kernel; ++tap) {
      const size_t row = tap / kernel % kQuad, quad = tap / kernel / kQuad * kernel + tap % kernel;
      const int8_t weight = from[channel * kernel * kernel + tap];
      std::byte* to =
          buffer->data() + (at * quads + quad * size + quarter * (size / 4)) * kQuad * width;
      if (width == 1) {
        std::memcpy(to + lane * kQuad + row, &weight, 1);
      } else {
        const int16_t wide = weight;  // rows 0 and 2, and behind those of all lanes 1 and 3
        std::memcpy(to + ((row % 2) * size / 4 + lane) * 4 + row / 2 * 2, &wide, 2);
      }
    }
  });
  return buffer;
}

// As QuantizedDepthwiseRow has them.
struct Constants {
  std::vector<int32_t> starts;
  std::vector<float> scales, biases;
  std::vector<uint8_t> zeros;
};

Constants make_constants(const NodeSpec& spec, const Channels& channels, uint8_t flip) {
  const size_t total = channels.blocks.total(channels.count);
  const Tensor w = spec.constant(kW)->resident();
  const auto* weights = reinterpret_cast<const int8_t*>(w.raw());
  const size_t taps = w.bytes() / channels.count;
  const int32_t x_zero = zero_point(spec, kXZero);
  const ChannelScales scales(spec);
  Constants c{std::vector<int32_t>(total), std::vector<float>(total), std::vector<float>(total),
              std::vector<uint8_t>(channels.count, static_cast<uint8_t>(x_zero))};
  channels.for_each([&](size_t at, size_t i, size_t, size_t channel) {
    int32_t sum = 0, size = 0;
    for (size_t tap = 0; tap < taps; ++tap) {
      const int32_t weight = weights[channel * taps + tap];
      sum += weight;
      size += std::abs(weight);
    }
    const ChannelTerms terms = scales.terms(channel, size);
    c.starts[at + i] = terms.start - sum * (x_zero + flip);
    c.scales[at + i] = terms.scale;
    c.biases[at + i] = terms.bias;
  });
  return c;
}

class QuantizedDepthwiseKernel : public Kernel {
 public:
  QuantizedDepthwiseKernel(ConvParams p, std::shared_ptr<Buffer> weights, Constants constants,
                           int threads)
      : p_(std::move(p)),
        weights_(std::move(weights)),
        constants_(std::move(constants)),
        threads_(threads),
        function_(quantized_depthwise_function(p_.kernel[0], p_.strides[0])) {}

  void run(const KernelArgs& args) const override {
    const auto* x = static_cast<const uint8_t*>(args.inputs[kX]);
    auto* y = static_cast<uint8_t*>(args.outputs[0]);
    const auto run_row = [&](int64_t index, int64_t, const uint8_t* const* inputs) {
      QuantizedDepthwiseRow row = row_;
      row.rows = inputs;
      row.out = y + index * p_.output[1] * p_.in_channels;
      function_(row);
    };
    for_depthwise_rows(p_, {threads_, 1}, x, run_row);
  }
  void set_types(const NodeSpec& spec, uint8_t flip) {
    const bool is_signed = spec.outputs[0].dtype == DType::kInt8;
    const int32_t zero = zero_point(spec, kYZero) - (is_signed ? 0 : kFlip);
    row_ = {.rows = nullptr,
            .weights = weights_->data(),
            .starts = constants_.starts.data(),
            .scales = constants_.scales.data(),
            .biases = constants_.biases.data(),
            .zeros = constants_.zeros.data(),
            .out = nullptr,
            .channels = static_cast<size_t>(p_.in_channels),
            .width = p_.input[1],
            .out_width = p_.output[1],
            .pad = p_.pads_begin[1],
            .flip = flip,
            .flip_out = is_signed ? uint8_t{0} : kFlip,
            .zero_point = static_cast<int16_t>(zero)};
  }

 private:
  ConvParams p_;
  std::shared_ptr<Buffer> weights_;
  Constants constants_;
  int threads_;
  QuantizedDepthwiseFn function_;
  QuantizedDepthwiseRow row_{};
};

Compiled compile_quantized_depthwise(const NodeSpec& spec, const CompileContext& context) {
  ConvParams p = conv_params(spec.node->attributes, spec.inputs[kX].dims, spec.inputs[kW].dims);
  const Channels channels{quantized_depthwise_blocks(), static_cast<size_t>(p.in_channels)};
  const uint8_t flip = spec.inputs[kX].dtype == DType::kInt8 ? kFlip : uint8_t{0};
  Constants constants = make_constants(spec, channels, flip);
  const auto pack = [&](const Tensor& plain) {
    return pack_weights(plain, channels, static_cast<size_t>(p.kernel[0]));
  };
  auto weights =
      packed(context, *spec.constant(kW),
             cat("depthwise bytes ", channels.blocks.largest, channels.blocks.pairs), pack);
  auto kernel = std::make_unique<QuantizedDepthwiseKernel>(std::move(p), std::move(weights),
                                                           std::move(constants), context.threads);
  kernel->set_types(spec, flip);
  Compiled compiled;
  compiled.kernel = std::move(kernel);
  compiled.name = "native quantized depthwise";
  compiled.input_layouts.assign(spec.inputs.size(), kPlain);
  compiled.input_layouts[kX] = accept(spec.inputs[kX], kChannelsLast);
  compiled.output_layouts = {canonical(spec.outputs[0].dims, kChannelsLast)};
  compiled.reads.assign(spec.inputs.size(), false);
  compiled.reads[kX] = true;
  return compiled;
}

}  // namespace

const Family kQuantizedDepthwise = {"native quantized depthwise", supports_quantized_depthwise,
                                    compile_quantized_depthwise};

}  // namespace treadle::cpu
