#include "backends/cpu/native/channels.h"

#include <algorithm>

#include "backends/cpu/layout.h"
#include "backends/cpu/native/view.h"
#include "backends/cpu/parallel.h"
#include "backends/cpu/simd/channels.h"
#include "backends/cpu/simd/rows.h"
#include "graph/ops/axes.h"

namespace treadle::cpu {
namespace {

// A tensor whose channels lie innermost, as planes of rows of `lanes` channels; plane i is of block
// i % blocks.
struct ChannelView {
  int64_t planes = 1;
  int64_t blocks = 1;
  int64_t rows = 1;
  int64_t lanes = 1;
  int64_t channels = 1;
  double count = 0;  // elements a channel
};

ChannelView view_channels(const Dims& dims, Layout layout) {
  ChannelView v;
  v.channels = dims.size() > 1 ? dims[1] : 1;
  v.count = static_cast<double>(element_count(dims) / v.channels);
  if (layout == kBlocked16) {
    const Dims physical = physical_dims(dims, layout);
    v.blocks = physical[1];
    v.planes = physical[0] * v.blocks;
    v.lanes = physical.back();
    v.rows = static_cast<int64_t>(v.count) / dims[0];
  } else {
    v.lanes = v.channels;
    v.rows = static_cast<int64_t>(v.count);
  }
  return v;
}

// Plain has the channels innermost only where nothing comes after them.
Layout channels_layout(const TensorSpec& spec) {
  return spec.layout == kPlain && canonical(spec.dims, kChannelsLast) != kPlain ? kChannelsLast
                                                                                : spec.layout;
}

// Walks over the columns of all planes in pieces, one after another in a thread.
class ChannelKernel : public Kernel {
 public:
  ChannelKernel(const ChannelView& view, int threads) : v_(view), threads_(threads) {
    const int64_t parts = std::max<int64_t>(1, threads / v_.blocks);
    piece_ = ceil_div(ceil_div(v_.lanes, parts), kLine) * kLine;
    pieces_ = ceil_div(v_.lanes, piece_);
  }

 protected:
  // f(x offset of the first plane, first channel, channels of the piece).
  template <class F>
  void for_pieces(const F& f) const {
    const int64_t work = v_.planes / v_.blocks * v_.rows * piece_;
    const int64_t grain = std::max<int64_t>(1, kParallelGrain / std::max<int64_t>(work, 1));
    parallel_for(threads_, v_.blocks * pieces_, grain, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t at = i % pieces_ * piece_;
        const int64_t block = i / pieces_;
        const int64_t channel = block * v_.lanes + at;
        f(block * v_.rows * v_.lanes + at, channel,
          std::min({piece_, v_.lanes - at, v_.channels - channel}));
      }
    });
  }
  // g(offset) for each plane of the piece.
  template <class G>
  void for_planes(int64_t offset, const G& g) const {
    const int64_t step = v_.blocks * v_.rows * v_.lanes;
    for (int64_t n = 0; n < v_.planes / v_.blocks; ++n) g(offset + n * step);
  }
  ChannelRows rows_at(const float* x, int64_t count) const {
    return {.x = x,
            .other = nullptr,
            .centre = nullptr,
            .rows = static_cast<size_t>(v_.rows),
            .stride = static_cast<size_t>(v_.lanes),
            .count = static_cast<size_t>(count)};
  }
  // Of the scratch: two doubles and a float a channel.
  struct Sums {
    double* first;
    double* second;
    float* centre;
  };
  Sums sums_at(const KernelArgs& args, int64_t channel) const {
    auto* first = static_cast<double*>(args.scratch);
    auto* centre = reinterpret_cast<float*>(first + 2 * v_.channels);
    return {first + channel, first + v_.channels + channel, centre + channel};
  }

  static constexpr int64_t kLine = 16;
  ChannelView v_;
  int threads_;
  int64_t piece_;
  int64_t pieces_;
};

size_t sums_bytes(const ChannelView& v) {
  return static_cast<size_t>(v.channels) * (2 * sizeof(double) + sizeof(float));
}

// Sums of the differences from near the mean, so that little cancels.
class StatisticsKernel : public ChannelKernel {
 public:
  using ChannelKernel::ChannelKernel;
  void run(const KernelArgs& args) const override {
    const auto* x = static_cast<const float*>(args.inputs[0]);
    auto* mean = static_cast<float*>(args.outputs[0]);
    auto* variance = static_cast<float*>(args.outputs[1]);
    for_pieces([&](int64_t offset, int64_t channel, int64_t count) {
      const Sums sums = sums_at(args, channel);
      std::fill_n(sums.first, count, 0.0);
      std::fill_n(sums.second, count, 0.0);
      guess_mean(x + offset, count, sums.centre);
      for_planes(offset, [&](int64_t at) {
        ChannelRows rows = rows_at(x + at, count);
        rows.centre = sums.centre;
        functions_.moments(rows, sums.first, sums.second);
      });
      for (int64_t i = 0; i < count; ++i) {
        const double away = sums.first[i] / v_.count;
        mean[channel + i] = static_cast<float>(static_cast<double>(sums.centre[i]) + away);
        if (variance == nullptr) continue;
        const double spread = sums.second[i] / v_.count - away * away;
        variance[channel + i] = static_cast<float>(spread < 0 ? 0 : spread);
      }
    });
  }

 private:
  static constexpr int64_t kSample = 256;  // rows

  void guess_mean(const float* x, int64_t count, float* centre) const {
    const int64_t rows = std::min(v_.rows, kSample);
    row_functions().reduce_columns(RowOp::kSum,
                                   {.x = x,
                                    .rows = static_cast<size_t>(rows),
                                    .stride = static_cast<size_t>(v_.lanes),
                                    .count = static_cast<size_t>(count)},
                                   centre);
    for (int64_t i = 0; i < count; ++i) centre[i] /= static_cast<float>(rows);
  }
  const ChannelFunctions& functions_ = channel_functions();
};

class SumsKernel : public ChannelKernel {
 public:
  using ChannelKernel::ChannelKernel;
  void run(const KernelArgs& args) const override {
    const auto* dy = static_cast<const float*>(args.inputs[0]);
    const auto* x = static_cast<const float*>(args.inputs[1]);
    const auto* mean = static_cast<const float*>(args.inputs[2]);
    for_pieces([&](int64_t offset, int64_t channel, int64_t count) {
      const Sums sums = sums_at(args, channel);
      std::fill_n(sums.first, count, 0.0);
      std::fill_n(sums.second, count, 0.0);
      for_planes(offset, [&](int64_t at) {
        ChannelRows rows = rows_at(x + at, count);
        rows.other = dy + at;
        rows.centre = mean + channel;
        functions_.products(rows, sums.first, sums.second);
      });
      put(args.outputs[0], sums.first, channel, count);
      put(args.outputs[1], sums.second, channel, count);
    });
  }

 private:
  static void put(void* output, const double* sums, int64_t channel, int64_t count) {
    if (output == nullptr) return;
    auto* to = static_cast<float*>(output) + channel;
    for (int64_t i = 0; i < count; ++i) to[i] = static_cast<float>(sums[i]);
  }
  const ChannelFunctions& functions_ = channel_functions();
};

// ReduceSum over all axes but 1.
class SumKernel : public ChannelKernel {
 public:
  using ChannelKernel::ChannelKernel;
  void run(const KernelArgs& args) const override {
    const auto* x = static_cast<const float*>(args.inputs[0]);
    auto* y = static_cast<float*>(args.outputs[0]);
    for_pieces([&](int64_t offset, int64_t channel, int64_t count) {
      const Sums sums = sums_at(args, channel);
      std::fill_n(sums.first, count, 0.0);
      for_planes(offset, [&](int64_t at) {
        for (int64_t row = 0; row < v_.rows; row += kChunk) {
          row_functions().reduce_columns(
              RowOp::kSum,
              {.x = x + at + row * v_.lanes,
               .rows = static_cast<size_t>(std::min(kChunk, v_.rows - row)),
               .stride = static_cast<size_t>(v_.lanes),
               .count = static_cast<size_t>(count)},
              sums.centre);
          for (int64_t i = 0; i < count; ++i) sums.first[i] += static_cast<double>(sums.centre[i]);
        }
      });
      for (int64_t i = 0; i < count; ++i) y[channel + i] = static_cast<float>(sums.first[i]);
    });
  }

 private:
  static constexpr int64_t kChunk = 256;  // rows whose sum is taken in floats
};

Support supports_channels(const NodeSpec& spec) {
  for (const TensorSpec& in : spec.inputs) {
    if (in.dtype != DType::kFloat) return Support::no("not float");
  }
  const Dims& dims = spec.inputs[0].dims;
  if (element_count(dims) == 0) return Support::no("nothing to sum");
  if (dims.size() > 5) return Support::no(cat("rank ", dims.size()));
  return {};
}

template <class K>
Compiled compile_channels(const NodeSpec& spec, const CompileContext& context, Layout layout) {
  const ChannelView view = view_channels(spec.inputs[0].dims, layout);
  Compiled compiled;
  compiled.kernel = std::make_unique<K>(view, context.threads);
  compiled.scratch_bytes = sums_bytes(view);
  return compiled;
}

Compiled compile_statistics(const NodeSpec& spec, const CompileContext& context) {
  const Layout layout = channels_layout(spec.inputs[0]);
  Compiled compiled = compile_channels<StatisticsKernel>(spec, context, layout);
  compiled.name = "native batch_statistics";
  compiled.input_layouts = {layout};
  return compiled;
}

Compiled compile_sums(const NodeSpec& spec, const CompileContext& context) {
  const Layout layout = std::max(channels_layout(spec.inputs[0]), channels_layout(spec.inputs[1]));
  Compiled compiled = compile_channels<SumsKernel>(spec, context, layout);
  compiled.name = "native batch_sums";
  compiled.input_layouts = {accept(spec.inputs[0], layout), accept(spec.inputs[1], layout), kPlain};
  return compiled;
}

Support supports_channel_sum(const NodeSpec& spec) {
  const Dims& dims = spec.inputs[0].dims;
  if (spec.inputs[0].dtype != DType::kFloat) return Support::no("not float");
  if (dims.size() < 3 || dims.size() > 5) return Support::no(cat("rank ", dims.size()));
  if (element_count(dims) == 0) return Support::no("nothing to sum");
  const Tensor* axes = spec.constant(1);
  if (axes == nullptr) return Support::no("axes of the run");
  const std::vector<bool> mask = axis_mask(axes->to_ints(), static_cast<int64_t>(dims.size()));
  const bool all = std::count(mask.begin(), mask.end(), false) == 1 && !mask[1];
  return all ? Support{} : Support::no("not all axes but 1");
}

Compiled compile_channel_sum(const NodeSpec& spec, const CompileContext& context) {
  const Layout layout = channels_layout(spec.inputs[0]);
  Compiled compiled = compile_channels<SumKernel>(spec, context, layout);
  compiled.name = "native channel_sum";
  compiled.input_layouts = {layout, kPlain};
  compiled.reads = {true, false};
  return compiled;
}

}  // namespace

const Family kNativeChannelSum{"native channel_sum", supports_channel_sum, compile_channel_sum};
const Family kNativeBatchStatistics{"native batch_statistics", supports_channels,
                                    compile_statistics};
const Family kNativeBatchSums{"native batch_sums", supports_channels, compile_sums};

}  // namespace treadle::cpu
