// The gradient of a 3x3 convolution for its weights, by the transposed transforms: an outer product
// for each element of a tile instead of nine for each of its pixels.
#include <algorithm>
#include <array>
#include <cstring>

#include "backends/cpu/layout.h"
#include "backends/cpu/native/winograd.h"
#include "backends/cpu/native/winograd_tiling.h"
#include "backends/cpu/parallel.h"
#include "backends/cpu/simd/outer.h"
#include "backends/cpu/simd/winograd.h"

namespace treadle::cpu {
namespace {

constexpr size_t kY = 0, kX = 1;
constexpr size_t kMaxElements = 36, kMaxPixels = 16;
constexpr auto kTileRows = static_cast<int64_t>(kMostRows);
// Floats of the sums at hand, and of a block of tiles.
constexpr int64_t kSumFloats = 640 * 1024, kBlockFloats = 1024 * 1024;
// Between the rows of a block, so that they do not all fall into the same lines of a cache.
constexpr int64_t kGap = 16;

class WinogradWeightsKernel : public Kernel {
 public:
  WinogradWeightsKernel(const ConvParams& p, const Tiling& tiling, int threads)
      : p_(p),
        t_(tiling),
        transforms_(winograd_functions(static_cast<int>(tiling.out))),
        outer_(outer_functions()),
        threads_(threads) {
    panel_ = static_cast<int64_t>(outer_.columns);
    row_ = p.in_channels + kGap;
    const int64_t panels = p.out_channels / panel_;
    chunk_ = std::clamp<int64_t>(kSumFloats / panel_sums(), 1, panels);
    block_ = std::clamp<int64_t>(kBlockFloats / (t_.elements() * (row_ + chunk_ * panel_)),
                                 std::min<int64_t>(kFewestTiles, t_.count), t_.count);
    zeros_.resize(static_cast<size_t>(std::max(p.in_channels, p.out_channels)));
  }

  size_t scratch_bytes() const {
    const int64_t tiles = t_.elements() * block_ * (row_ + chunk_ * panel_);
    return static_cast<size_t>(byte_size(DType::kFloat, chunk_ * panel_sums() + tiles));
  }

  void run(const KernelArgs& args) const override {
    const int64_t panels = p_.out_channels / panel_;
    for (int64_t first = 0; first < panels; first += chunk_) {
      Work work;
      work.panel = first;
      work.panels = std::min(chunk_, panels - first);
      work.sums = static_cast<float*>(args.scratch);
      work.x = work.sums + chunk_ * panel_sums();
      work.y = work.x + t_.elements() * block_ * row_;
      std::fill_n(work.sums, work.panels * panel_sums(), 0.0F);
      for (work.tile = 0; work.tile < t_.count; work.tile += block_) {
        if (args.control != nullptr) args.control->poll();
        work.tiles = std::min(block_, t_.count - work.tile);
        transform(args, work, first == 0 || block_ < t_.count);
        parallel_for(threads_, t_.elements() * work.panels, 1, [&](int64_t begin, int64_t end) {
          for (int64_t i = begin; i < end; ++i) accumulate(work, i / work.panels, i % work.panels);
        });
      }
      write(work, static_cast<float*>(args.outputs[0]));
    }
  }

 private:
  static constexpr int64_t kFewestTiles = 16;

  // A block of tiles for a chunk of y's channels.
  struct Work {
    int64_t tile, tiles;
    int64_t panel, panels;
    float* sums;  // [panel, element, in, panel's columns]
    float* x;     // [element, tile, row]
    float* y;     // [panel, element, tile, panel's columns]
  };
  int64_t panel_sums() const { return t_.elements() * p_.in_channels * panel_; }

  void transform(const KernelArgs& args, const Work& work, bool x_too) const {
    parallel_for(threads_, work.tiles, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        if (x_too) transform_x(static_cast<const float*>(args.inputs[kX]), work, i);
        transform_y(static_cast<const float*>(args.inputs[kY]), work, i);
      }
    });
  }

  void transform_x(const float* x, const Work& work, int64_t i) const {
    const Tiling::Place at = t_.place(work.tile + i);
    const int64_t side = t_.side();
    std::array<const float*, kMaxElements> pixels;
    for (int64_t row = 0; row < side; ++row) {
      for (int64_t column = 0; column < side; ++column) {
        pixels[static_cast<size_t>(row * side + column)] = pixel(
            x, p_.input, p_.in_channels,
            {at.image, at.row - p_.pads_begin[0] + row, at.column - p_.pads_begin[1] + column});
      }
    }
    transforms_.input({.pixels = pixels.data(),
                       .channels = static_cast<size_t>(p_.in_channels),
                       .out = work.x + i * row_,
                       .stride = static_cast<size_t>(work.tiles * row_)});
  }

  void transform_y(const float* y, const Work& work, int64_t i) const {
    const Tiling::Place at = t_.place(work.tile + i);
    std::array<const float*, kMaxPixels> pixels;
    for (int64_t row = 0; row < t_.out; ++row) {
      for (int64_t column = 0; column < t_.out; ++column) {
        pixels[static_cast<size_t>(row * t_.out + column)] =
            pixel(y + work.panel * panel_, p_.output, p_.out_channels,
                  {at.image, at.row + row, at.column + column});
      }
    }
    transforms_.spread({.pixels = pixels.data(),
                        .channels = static_cast<size_t>(work.panels * panel_),
                        .out = work.y + i * panel_,
                        .stride = static_cast<size_t>(work.tiles * panel_),
                        .panel = static_cast<size_t>(panel_),
                        .panel_stride = static_cast<size_t>(t_.elements() * work.tiles * panel_)});
  }

  const float* pixel(const float* plane, const Dims& size, int64_t channels,
                     const Tiling::Place& at) const {
    const bool inside = at.row >= 0 && at.row < size[0] && at.column >= 0 && at.column < size[1];
    if (!inside) return zeros_.data();
    return plane + ((at.image * size[0] + at.row) * size[1] + at.column) * channels;
  }

  void accumulate(const Work& work, int64_t element, int64_t panel) const {
    const float* x = work.x + element * work.tiles * row_;
    const float* y = work.y + (panel * t_.elements() + element) * work.tiles * panel_;
    float* sums = work.sums + panel * panel_sums() + element * p_.in_channels * panel_;
    const OuterRun run{0, 0, static_cast<size_t>(work.tiles)};
    for (int64_t c = 0; c < p_.in_channels; c += kTileRows) {
      outer_.accumulate({.a = x + c,
                         .b = y,
                         .runs = &run,
                         .run_count = 1,
                         .a_step = static_cast<size_t>(row_),
                         .c = sums + c * panel_,
                         .rows = static_cast<size_t>(std::min(kTileRows, p_.in_channels - c)),
                         .narrow = false});
    }
  }

  void write(const Work& work, float* w) const {
    const auto lanes = static_cast<int64_t>(transforms_.lanes);
    const int64_t step = 9 * p_.in_channels;
    parallel_for(threads_, work.panels * p_.in_channels, 16, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t panel = i / p_.in_channels, c = i % p_.in_channels;
        for (int64_t v = 0; v < panel_; v += lanes) {
          transforms_.sums({.in = work.sums + panel * panel_sums() + c * panel_ + v,
                            .stride = static_cast<size_t>(p_.in_channels * panel_),
                            .w = w + ((work.panel + panel) * panel_ + v) * step + 9 * c,
                            .step = static_cast<size_t>(step)});
        }
      }
    });
  }

  ConvParams p_;
  Tiling t_;
  const WinogradFunctions& transforms_;
  const OuterFunctions& outer_;
  int threads_;
  int64_t panel_;  // columns of a panel
  int64_t row_;    // of x, with the gap
  int64_t chunk_;  // panels whose sums are at hand
  int64_t block_;  // tiles
  std::vector<float> zeros_;
};

ConvParams params_of(const NodeSpec& spec) {
  return conv_params(spec.node->attributes, spec.inputs[kX].dims, spec.outputs[0].dims);
}

Support supports_weights(const NodeSpec& spec) {
  for (const TensorSpec* t : {&spec.inputs[kY], &spec.inputs[kX], &spec.outputs[0]}) {
    if (t->dtype != DType::kFloat) return Support::no("not float");
    if (element_count(t->dims) == 0) return Support::no("nothing to compute");
  }
  if (spec.inputs[kX].dims.size() != 4) return Support::no("not two-dimensional");
  const ConvParams p = params_of(spec);
  if (p.out_channels % static_cast<int64_t>(outer_functions().columns) != 0)
    return Support::no("channels not of whole panels");
  return supports_tiling(p, Convolutions::kPlain);
}

bool weights_pay(const NodeSpec& spec) { return tiling_pays(params_of(spec), false); }

Compiled compile_weights(const NodeSpec& spec, const CompileContext& context) {
  TREADLE_CHECK(context.winograd, kUnsupported, "switched off");
  const ConvParams p = params_of(spec);
  const Tiling tiling = choose_tiling(p, false);
  auto kernel = std::make_unique<WinogradWeightsKernel>(p, tiling, context.threads);
  Compiled compiled;
  compiled.name = cat("native winograd ", tiling.out, "x", tiling.out);
  compiled.scratch_bytes = kernel->scratch_bytes();
  compiled.kernel = std::move(kernel);
  compiled.input_layouts = {accept(spec.inputs[kY], kChannelsLast),
                            accept(spec.inputs[kX], kChannelsLast), kPlain};
  compiled.reads = {true, true, false};
  return compiled;
}

}  // namespace

const Family kWinogradGradWeights = {"native winograd grad weights", supports_weights,
                                     compile_weights, weights_pay};

}  // namespace treadle::cpu
