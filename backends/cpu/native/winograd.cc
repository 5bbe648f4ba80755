#include "backends/cpu/native/winograd.h"

#include <cstring>

#include "backends/cpu/layout.h"
#include "backends/cpu/native/activation.h"
#include "backends/cpu/native/winograd_pack.h"
#include "backends/cpu/native/winograd_tiling.h"
#include "backends/cpu/parallel.h"
#include "backends/cpu/simd/gemm.h"
#include "backends/cpu/simd/winograd.h"

namespace treadle::cpu {
namespace {

constexpr size_t kX = 0, kW = 1, kB = 2, kZ = 3;
constexpr int64_t kMaxElements = 36;

class WinogradKernel : public Kernel {
 public:
  struct Parts {
    ConvParams conv;
    Tiling tiling;
    std::shared_ptr<Buffer> panels;  // of each element; null: packed in the run
    bool turned = false;             // the weights are of the Conv whose gradient this is
    std::shared_ptr<Buffer> zeros;   // as many as channels go in or out
    Bounds bounds;
    std::optional<Activation> activation;  // that is no bounds
    bool has_bias = false;
    bool has_residual = false;
    int threads = 1;
  };
  explicit WinogradKernel(Parts parts)
      : p_(std::move(parts)),
        matrices_(p_.conv),
        gemm_(gemm_functions()),
        transforms_(transforms_of(p_.tiling)) {
    const int64_t channels = p_.conv.in_channels + out_row();
    const auto number = static_cast<int64_t>(sizeof(float));
    blocks_ =
        blocks_of(p_.tiling, static_cast<int64_t>(gemm_.rows),
                  p_.tiling.elements() * channels * number, panel_floats() * number, p_.threads);
  }

  size_t scratch_bytes() const {
    const int64_t channels = p_.conv.in_channels + out_row();
    const int64_t tiles =
        checked_mul(blocks_.slots * blocks_.most * p_.tiling.elements(), channels);
    return static_cast<size_t>(
        byte_size(DType::kFloat, tiles + (p_.panels == nullptr ? panel_floats() : 0)));
  }

  void run(const KernelArgs& args) const override {
    if (p_.panels == nullptr) {
      parallel_for(p_.threads, matrices_.panels(), 1, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
          pack_window_panel(p_.conv, p_.tiling, p_.turned, args.inputs[kW], i, packed(args));
        }
      });
    }
    parallel_slots(p_.threads, blocks_.slots, {.n = blocks_.count},
                   [&](int64_t slot, int64_t begin, int64_t end) {
                     for (int64_t i = begin; i < end; ++i) run_block(args, slot, i);
                   });
  }

 private:
  struct Work {
    int64_t first;  // tile
    int64_t count;
    float* in;   // [element, tile, channel]
    float* out;  // [element, tile, out_row()]
  };

  // A tile's channels, in whole vectors.
  int64_t out_row() const {
    const auto lanes = static_cast<int64_t>(gemm_.lanes);
    return ceil_div(p_.conv.out_channels, lanes) * lanes;
  }
  int64_t panel_floats() const { return matrices_.floats(p_.tiling); }
  // Before the tiles.
  float* packed(const KernelArgs& args) const { return static_cast<float*>(args.scratch); }

  void run_block(const KernelArgs& args, int64_t slot, int64_t block) const {
    const int64_t ins = p_.tiling.elements() * blocks_.most * p_.conv.in_channels;
    const int64_t outs = p_.tiling.elements() * blocks_.most * out_row();
    const int64_t before = p_.panels == nullptr ? panel_floats() : 0;
    const float* panels =
        p_.panels == nullptr ? packed(args) : reinterpret_cast<const float*>(p_.panels->data());
    float* in = static_cast<float*>(args.scratch) + before + slot * (ins + outs);
    const int64_t first = p_.tiling.count * block / blocks_.count;
    const int64_t last = p_.tiling.count * (block + 1) / blocks_.count;
    const Work work{first, last - first, in, in + ins};
    for (int64_t i = 0; i < work.count; ++i) transform_input(args, work, i);
    multiply(work, panels);
    for (int64_t i = 0; i < work.count; ++i) transform_output(args, work, i);
  }

  void transform_input(const KernelArgs& args, const Work& work, int64_t i) const {
    const ConvParams& c = p_.conv;
    const Tiling::Place at = p_.tiling.place(work.first + i);
    const int64_t rows = p_.tiling.row_side(), columns = p_.tiling.column_side();
    const auto* x = static_cast<const float*>(args.inputs[kX]) +
                    at.image * c.input[0] * c.input[1] * c.in_channels;
    const float* pixels[kMaxElements];
    for (int64_t row = 0; row < rows; ++row) {
      const int64_t y = at.row - c.pads_begin[0] + row * p_.tiling.row_step;
      for (int64_t column = 0; column < columns; ++column) {
        const int64_t z = at.column - c.pads_begin[1] + column * p_.tiling.column_step;
        const bool inside = y >= 0 && y < c.input[0] && z >= 0 && z < c.input[1];
        pixels[row * columns + column] =
            inside ? x + (y * c.input[1] + z) * c.in_channels : zeros();
      }
    }
    transforms_.input({.pixels = pixels,
                       .channels = static_cast<size_t>(c.in_channels),
                       .out = work.in + i * c.in_channels,
                       .stride = static_cast<size_t>(work.count * c.in_channels)});
  }

  void multiply(const Work& work, const float* panels) const {
    for (int64_t e = 0; e < p_.tiling.elements(); ++e) {
      for (int64_t i = 0; i < matrices_.count; ++i) multiply(work, panels, e, i);
    }
  }

  // An element's i-th matrix.
  void multiply(const Work& work, const float* panels, int64_t e, int64_t i) const {
    const WindowMatrices& m = matrices_;
    const auto panels_at_once = 2 * static_cast<int64_t>(gemm_.panel);
    const int64_t columns = m.count == 1 ? out_row() : m.outs;
    for (int64_t column = 0; column < columns; column += panels_at_once) {
      gemm_.multiply({.a = work.in + e * work.count * p_.conv.in_channels + i * m.ins,
                      .a_stride = static_cast<size_t>(p_.conv.in_channels),
                      .panels = panels + ((e * m.count + i) * m.columns + column) * m.ins,
                      .k = static_cast<size_t>(m.ins),
                      .bias = nullptr,
                      .y = work.out + e * work.count * out_row() + i * m.outs + column,
                      .y_stride = static_cast<size_t>(out_row()),
                      .rows = static_cast<size_t>(work.count),
                      .columns = static_cast<size_t>(std::min(panels_at_once, columns - column))});
    }
  }

  void transform_output(const KernelArgs& args, const Work& work, int64_t i) const {
    const ConvParams& c = p_.conv;
    const Tiling::Place at = p_.tiling.place(work.first + i);
    const int64_t first =
        ((at.image * c.output[0] + at.row) * c.output[1] + at.column) * c.out_channels;
    const float* residual =
        p_.has_residual ? static_cast<const float*>(args.inputs[kZ]) + first : nullptr;
    WinogradOutput tile{
        .in = work.out + i * out_row(),
        .stride = static_cast<size_t>(work.count * out_row()),
        .bias = p_.has_bias ? static_cast<const float*>(args.inputs[kB]) : zeros(),
        .residual = residual,
        .out = static_cast<float*>(args.outputs[0]) + first,
        .row_stride = static_cast<size_t>(p_.tiling.row_step * c.output[1] * c.out_channels),
        .pixel_stride = static_cast<size_t>(p_.tiling.column_step * c.out_channels),
        .channels = static_cast<size_t>(c.out_channels),
        .rows = within(c.output[0] - at.row, p_.tiling.row_step, p_.tiling.rows),
        .columns = within(c.output[1] - at.column, p_.tiling.column_step, p_.tiling.columns),
        .low = p_.bounds.low,
        .high = p_.bounds.high};
    if (p_.tiling.columns == 1) {  // lines are walked along `columns`
      std::swap(tile.rows, tile.columns);
      std::swap(tile.row_stride, tile.pixel_stride);
    }
    transforms_.output(tile);
    for (size_t row = 0; p_.activation && row < tile.rows; ++row) {
      p_.activation->apply(tile.out + row * tile.row_stride, tile.columns, tile.channels,
                           tile.pixel_stride);
    }
  }
  // Of a tile's pixels, where so much of the output is left.
  static size_t within(int64_t left, int64_t step, int64_t pixels) {
    return static_cast<size_t>(std::clamp<int64_t>(ceil_div(left, step), 0, pixels));
  }

  const float* zeros() const { return reinterpret_cast<const float*>(p_.zeros->data()); }

  Parts p_;
  WindowMatrices matrices_;
  const GemmFunctions& gemm_;
  const WinogradFunctions& transforms_;
  TileBlocks blocks_;
};

ConvParams planes_of(const NodeSpec& spec) {
  return in_planes(conv_params(spec.node->attributes, spec.inputs[kX].dims, spec.inputs[kW].dims));
}

Support supports_winograd(const NodeSpec& spec) {
  if (Support s = supports_f32(spec); !s.ok) return s;
  const size_t rank = spec.inputs[kX].dims.size();
  if (rank != 3 && rank != 4) return Support::no("not of one or two dimensions");
  if (Support s = supports_tiling(planes_of(spec), Convolutions::kAll); !s.ok) return s;
  if (spec.has(kZ) && spec.inputs[kZ].dims != spec.outputs[0].dims)
    return Support::no("residual that is broadcast");
  return supports_activation(*spec.node);
}

bool winograd_pays(const NodeSpec& spec) {
  return tiling_pays(planes_of(spec), spec.constant(kW) == nullptr);
}

// Of a convolution of x, with everything but its weights and epilogue settled.
WinogradKernel::Parts parts_of(const ConvParams& p, const CompileContext& context, bool packs) {
  TREADLE_CHECK(context.winograd, kUnsupported, "switched off");
  WinogradKernel::Parts parts;
  parts.conv = p;
  parts.tiling = choose_tiling(p, packs);
  const int64_t channels = std::max(p.in_channels, p.out_channels);
  parts.zeros = Buffer::allocate(static_cast<size_t>(channels) * sizeof(float));
  std::memset(parts.zeros->data(), 0, parts.zeros->size());
  parts.threads = context.threads;
  return parts;
}

Compiled finish(const NodeSpec& spec, WinogradKernel::Parts parts) {
  const Tiling t = parts.tiling;
  const bool packs = parts.panels == nullptr;
  auto kernel = std::make_unique<WinogradKernel>(std::move(parts));
  Compiled compiled = channels_last_conv(spec, {});
  compiled.reads[kW] = packs;
  compiled.name = cat("native winograd ", t.rows, "x", t.columns);
  compiled.scratch_bytes = kernel->scratch_bytes();
  compiled.kernel = std::move(kernel);
  return compiled;
}

Compiled compile_winograd(const NodeSpec& spec, const CompileContext& context) {
  const Tensor* w = spec.constant(kW);
  const ConvParams p = planes_of(spec);
  WinogradKernel::Parts parts = parts_of(p, context, w == nullptr);
  const Tiling t = parts.tiling;
  if (w != nullptr) {
    const std::string key = cat("winograd ", t.rows, "x", t.columns, " in groups of ",
                                p.group_outputs(), " in panels of ", gemm_functions().panel);
    parts.panels = packed(context, *w, key, [&](const Tensor& plain) {
      return pack_windows(plain, p, t, context.threads);
    });
  }
  parts.activation = Activation::of(*spec.node);
  if (parts.activation->bounds()) {
    parts.bounds = *parts.activation->bounds();
    parts.activation.reset();
  }
  parts.has_bias = spec.has(kB);
  parts.has_residual = spec.has(kZ);
  Compiled compiled = finish(spec, std::move(parts));
  if (spec.has(kZ)) {
    compiled.input_layouts[kZ] = accept(spec.inputs[kZ], compiled.output_layouts[0]);
    compiled.in_place = {{kZ}};
  }
  return compiled;
}

// ---- ConvGradInput: a convolution of DY by the windows turned, from out to in

ConvParams turned(const NodeSpec& spec) {
  ConvParams p = conv_params(spec.node->attributes, spec.outputs[0].dims, spec.inputs[kW].dims);
  std::swap(p.input, p.output);
  std::swap(p.in_channels, p.out_channels);
  for (size_t i = 0; i < p.rank(); ++i) p.pads_begin[i] = p.extent(i) - 1 - p.pads_begin[i];
  return p;
}

Support supports_grad_input(const NodeSpec& spec) {
  for (const TensorSpec* t : {&spec.inputs[kX], &spec.inputs[kW], &spec.outputs[0]}) {
    if (t->dtype != DType::kFloat) return Support::no("not float");
    if (element_count(t->dims) == 0) return Support::no("nothing to compute");
  }
  if (spec.inputs[kX].dims.size() != 4) return Support::no("not two-dimensional");
  const ConvParams p = turned(spec);
  if (std::ranges::any_of(p.pads_begin, [](int64_t pad) { return pad < 0; }))
    return Support::no("pads of whole windows");
  return supports_tiling(p, Convolutions::kPlain);
}

bool grad_input_pays(const NodeSpec& spec) { return tiling_pays(turned(spec), true); }

Compiled compile_grad_input(const NodeSpec& spec, const CompileContext& context) {
  WinogradKernel::Parts parts = parts_of(turned(spec), context, true);
  parts.turned = true;
  Compiled compiled = finish(spec, std::move(parts));
  compiled.reads[2] = false;  // the shape
  return compiled;
}

}  // namespace

const Family kWinograd = {"native winograd", supports_winograd, compile_winograd, winograd_pays};
const Family kWinogradGradInput = {"native winograd grad input", supports_grad_input,
                                   compile_grad_input, grad_input_pays};

}  // namespace treadle::cpu
