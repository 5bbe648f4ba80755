#include "backends/cpu/native/thin_conv.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "backends/cpu/layout.h"
#include "backends/cpu/native/lines.h"
#include "backends/cpu/native/panel_product.h"
#include "backends/cpu/parallel.h"
#include "graph/ops/conv_params.h"

namespace treadle::cpu {
namespace {

constexpr size_t kX = 0, kW = 1, kB = 2, kZ = 3;

// The lines that a row of outputs reads are laid side by side, [column, line, channel], padding
// with them: then a window is a piece, and the next begins a few columns further.
class ThinConv : public Kernel {
 public:
  static constexpr int64_t kMostLines = 16, kMostChannels = 4;

  ThinConv(const ConvParams& p, PanelProduct product, int threads, bool has_bias)
      : p_(p), product_(std::move(product)), threads_(threads), has_bias_(has_bias) {
    column_ = p_.in_channels * p_.kernel[0];
    columns_ = (p_.output[1] - 1) * p_.strides[1] + p_.kernel[1];
    rows_ = p_.batch * p_.output[0];
    constexpr int64_t kMultiplications = 16 * kParallelGrain;  // that are worth a thread
    const int64_t of_row = p_.output[1] * p_.out_channels * column_ * p_.kernel[1];
    slots_ =
        std::clamp<int64_t>(rows_ / std::max<int64_t>(1, kMultiplications / of_row), 1, threads_);
  }

  size_t scratch_bytes() const { return static_cast<size_t>(checked_mul(slots_, slot_bytes())); }

  void run(const KernelArgs& args) const override {
    const auto* x = static_cast<const float*>(args.inputs[kX]);
    auto* y = static_cast<float*>(args.outputs[0]);
    auto* scratch = static_cast<std::byte*>(args.scratch);
    const auto* bias = has_bias_ ? static_cast<const float*>(args.inputs[kB]) : nullptr;
    const int64_t line = p_.output[1] * p_.out_channels;
    parallel_slots(threads_, slots_, {.n = rows_}, [&](int64_t slot, int64_t begin, int64_t end) {
      auto* lines = reinterpret_cast<float*>(scratch + slot * slot_bytes());
      for (int64_t row = begin; row < end; ++row) {
        lay_lines(x, row, lines);
        product_.run({.a = lines, .bias = bias, .y = y + row * line});
      }
    });
  }

 private:
  int64_t slot_bytes() const {
    return whole_lines(byte_size(DType::kFloat, checked_mul(columns_, column_) + kMostChannels));
  }

  void lay_lines(const float* x, int64_t row, float* to) const {
    static constexpr float kZeros[kMostChannels] = {};
    const int64_t height = p_.kernel[0], width = p_.input[1];
    const int64_t top = row % p_.output[0] * p_.strides[0] - p_.pads_begin[0];
    const float* image = x + row / p_.output[0] * p_.input[0] * width * p_.in_channels;
    Line lines[kMostLines];
    for (int64_t k = 0; k < height; ++k) {
      const int64_t i = top + k * p_.dilations[0];
      const bool inside = i >= 0 && i < p_.input[0];
      lines[k] =
          inside ? Line{image + i * width * p_.in_channels, p_.in_channels} : Line{kZeros, 0};
    }
    const int64_t pad = std::min(p_.pads_begin[1], columns_);
    const int64_t end = std::max(pad, std::min(columns_, pad + width));
    std::fill(to, to + pad * column_, 0.0F);
    // The last pixels have too little behind them.
    const int64_t whole = width - ceil_div(kMostChannels, p_.in_channels) + 1;
    const int64_t exact = std::max(pad, std::min(end, pad + whole));
    lay_columns(lines, exact - pad, to + pad * column_);
    for (int64_t i = exact; i < end; ++i) {
      for (int64_t k = 0; k < height; ++k) {
        std::copy_n(lines[k].pixel(i - pad), p_.in_channels, to + i * column_ + k * p_.in_channels);
      }
    }
    std::fill(to + end * column_, to + columns_ * column_, 0.0F);
  }

  struct Line {
    const float* first;
    int64_t step;  // to the next pixel
    const float* pixel(int64_t i) const { return first + i * step; }
  };
  // Pixels of each line, and something behind the last: what comes there is written later.
  void lay_columns(const Line* lines, int64_t count, float* to) const {
    switch (p_.kernel[0]) {
      case 3: return lay_columns_of<3>(lines, count, to);
      case 5: return lay_columns_of<5>(lines, count, to);
      case 7: return lay_columns_of<7>(lines, count, to);
      default: return lay_columns_of<0>(lines, count, to);
    }
  }
  // `kLines`: how many, where the compiler knows.
  template <int64_t kLines>
  void lay_columns_of(const Line* lines, int64_t count, float* to) const {
    const int64_t height = kLines == 0 ? p_.kernel[0] : kLines, channels = p_.in_channels;
    std::array<Line, kMostLines> at;
    std::copy_n(lines, height, at.begin());
    for (int64_t i = 0; i < count; ++i) {
      for (int64_t k = 0; k < height; ++k, to += channels) {
        Line& line = at[static_cast<size_t>(k)];
        std::memcpy(to, line.first, kMostChannels * sizeof(float));
        line.first += line.step;
      }
    }
  }

  ConvParams p_;
  PanelProduct product_;  // of a row of outputs
  int threads_;
  bool has_bias_;
  int64_t column_;   // floats of a column
  int64_t columns_;  // that a row of outputs reads
  int64_t rows_, slots_;
};

ConvParams params_of(const NodeSpec& spec) {
  return conv_params(spec.node->attributes, spec.inputs[kX].dims, spec.inputs[kW].dims);
}

Support supports_thin(const NodeSpec& spec) {
  if (Support s = supports_f32(spec); !s.ok) return s;
  if (spec.constant(kW) == nullptr) return Support::no("weights of the run");
  if (spec.inputs[kX].dims.size() != 4) return Support::no("not two-dimensional");
  if (spec.has(kZ)) return Support::no("residual");
  const ConvParams p = params_of(spec);
  if (p.group != 1) return Support::no("groups");
  if (p.dilations[1] != 1) return Support::no("dilations");
  if (p.in_channels > ThinConv::kMostChannels) return Support::no("many channels");
  if (p.kernel[0] > ThinConv::kMostLines || p.kernel[1] > ThinConv::kMostLines)
    return Support::no("large windows");
  if (p.out_channels < static_cast<int64_t>(gemm_functions().lanes))
    return Support::no("few outputs");
  return supports_activation(*spec.node);
}

// Measured beside oneDNN: for fewer outputs laying the lines takes as long as multiplying, and of
// larger windows there is more to lay.
bool thin_pays(const NodeSpec& spec) {
  constexpr int64_t kLeastOutputs = 48, kMostTaps = 9;
  const ConvParams p = params_of(spec);
  return p.out_channels >= kLeastOutputs && p.kernel[0] * p.kernel[1] <= kMostTaps;
}

// [M, C, lines, columns] becomes [M, columns, lines, C].
Tensor windows_by_columns(const Tensor& w) {
  const Tensor plain = w.clone();
  const int64_t channels = w.dim(1), lines = w.dim(2), columns = w.dim(3);
  Tensor turned(DType::kFloat, {w.dim(0), columns, lines, channels});
  const float* from = plain.data<float>().data();
  float* to = turned.data<float>().data();
  for (int64_t m = 0; m < w.dim(0); ++m, from += channels * lines * columns) {
    for (int64_t i = 0; i < columns * lines * channels; ++i) {
      const int64_t c = i % channels, k = i / channels % lines, x = i / channels / lines;
      *to++ = from[(c * lines + k) * columns + x];
    }
  }
  return turned;
}

Panels pack(const Tensor& w, const CompileContext& context) {
  const int64_t k = element_count(w.dims()) / w.dim(0);
  const PanelSource matrix{.n = w.dim(0), .k = k, .row = 1, .column = k};
  const std::string key = cat("columns of windows in panels of ", gemm_functions().panel);
  return {packed(context, w, key, [&](const Tensor& plain) {
    return packed_panels(windows_by_columns(plain), matrix, {}).numbers;
  })};
}

Compiled compile_thin(const NodeSpec& spec, const CompileContext& context) {
  const ConvParams p = params_of(spec);
  const int64_t column = p.in_channels * p.kernel[0];
  PanelProduct product({.m = p.output[1],
                        .n = p.out_channels,
                        .k = column * p.kernel[1],
                        .a_stride = column * p.strides[1]},
                       pack(*spec.constant(kW), context), Activation::of(*spec.node), 1);
  auto kernel = std::make_unique<ThinConv>(p, std::move(product), context.threads, spec.has(kB));
  Compiled compiled = channels_last_conv(spec, {kW});
  compiled.name = "native thin";
  compiled.scratch_bytes = kernel->scratch_bytes();
  compiled.kernel = std::move(kernel);
  return compiled;
}

}  // namespace

const Family kThinConv = {"native thin", supports_thin, compile_thin, thin_pays};

}  // namespace treadle::cpu
