#include "backends/cpu/native/gemm.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "backends/cpu/layout.h"
#include "backends/cpu/native/activation.h"
#include "backends/cpu/native/panels.h"
#include "backends/cpu/parallel.h"
#include "backends/cpu/simd/gemm.h"
#include "backends/cpu/simd/simd.h"
#include "graph/ops/conv_params.h"

namespace treadle::cpu {
namespace {

constexpr size_t kA = 0, kB = 1, kBias = 2, kZ = 3;

// y[m, n] = scale · a[m, k] · b + bias_scale · bias; b's element (k, n) lies at k · row + n ·
// column.
struct Product {
  int64_t m = 1;
  int64_t n = 1;
  int64_t k = 1;
  int64_t row = 1;
  int64_t column = 1;
  float scale = 1;
  float bias_scale = 1;
};

bool is_conv(const Node& node) { return node.op->kind == "Conv" || node.op->kind == "FusedConv"; }
bool is_gemm(const Node& node) { return node.op->kind == "Gemm" || node.op->kind == "FusedGemm"; }

bool all_are(const std::vector<int64_t>& values, int64_t x) {
  return std::all_of(values.begin(), values.end(), [x](int64_t v) { return v == x; });
}

// A convolution of windows of one pixel: its rows are the pixels.
std::optional<Product> pixel_product(const NodeSpec& spec) {
  const Dims& x = spec.inputs[kA].dims;
  const Dims& w = spec.inputs[kB].dims;
  const Attributes& attributes = spec.node->attributes;
  if (x.size() < 3 || x.size() > 5 || x.size() != w.size() || attributes.i("group", 1) != 1)
    return std::nullopt;
  if (!all_are(Dims(w.begin() + 2, w.end()), 1)) return std::nullopt;
  const ConvParams p = conv_params(attributes, x, w);
  if (!all_are(p.pads_begin, 0) || p.input != p.output) return std::nullopt;
  if (!all_are(p.strides, 1) && !all_are(p.input, 1)) return std::nullopt;
  const int64_t pixels = element_count(spec.outputs[0].dims) / std::max<int64_t>(w[0], 1);
  return Product{.m = pixels, .n = w[0], .k = x[1], .row = 1, .column = x[1]};
}

std::optional<Product> product_of(const NodeSpec& spec) {
  if (is_conv(*spec.node)) return pixel_product(spec);
  const Attributes& attributes = spec.node->attributes;
  const Dims& a = spec.inputs[kA].dims;
  const Dims& b = spec.inputs[kB].dims;
  if (attributes.i("transA", 0) != 0 || a.empty() || b.size() != 2) return std::nullopt;
  Product p;
  p.k = a.back();
  const bool transposed = attributes.i("transB", 0) != 0;
  p.n = b[transposed ? 0 : 1];
  p.m = p.n == 0 ? 0 : element_count(spec.outputs[0].dims) / p.n;
  p.row = transposed ? 1 : p.n;
  p.column = transposed ? p.k : 1;
  p.scale = attributes.f("alpha", 1);
  p.bias_scale = is_gemm(*spec.node) ? attributes.f("beta", 1) : 1;
  return p;
}

class GemmKernel : public Kernel {
 public:
  struct Parts {
    Product product;
    Panels panels;
    std::vector<float> bias;  // empty: input 2, or none
    bool bias_input = false;
    bool residual = false;  // input 3
    Activation activation;
    int threads = 1;
  };
  explicit GemmKernel(Parts parts) : parts_(std::move(parts)), functions_(gemm_functions()) {
    const Product& p = parts_.product;
    const auto panel = static_cast<int64_t>(functions_.panel);
    const auto most = static_cast<int64_t>(functions_.rows);
    // A piece is some rows by a stretch of columns; the epilogue runs over it while it is in L1.
    // Stretches are about equal, and so are pieces of rows, of which each thread has as many. The
    // panels of a stretch stay in L2, a part of their depth at a time where they are deep, and rows
    // in L3, which all stretches read.
    depth_ = ceil_div(p.k, ceil_div(p.k, kMostDepth));
    const int64_t widest =
        std::clamp(kPanelFloats / depth_, 2 * panel, static_cast<int64_t>(kTile));
    across_ = ceil_div(p.n, widest);
    columns_ = ceil_div(ceil_div(p.n, across_), panel) * panel;
    blocks_ = ceil_div(p.m, std::max(kRowFloats / p.k, most));
    const int64_t rows = ceil_div(p.m, blocks_);
    down_ = ceil_div(rows, most);
    if (down_ > 1) down_ = std::min(rows, ceil_div(down_, parts_.threads) * parts_.threads);
    if (parts_.threads > 1 && down_ == 1) columns_ = std::min(columns_, 4 * panel);
    across_ = ceil_div(p.n, columns_);
    grain_ = std::max<int64_t>(
        1, 16 * kParallelGrain / std::max<int64_t>(1, ceil_div(rows, down_) * columns_ * p.k));
  }

  void run(const KernelArgs& args) const override {
    // Column by column, so that a thread reads few panels.
    parallel_for(parts_.threads, blocks_ * across_ * down_, grain_,
                 [&](int64_t begin, int64_t end) {
                   for (int64_t i = begin; i < end;) {
                     const int64_t first = i % down_, last = std::min(down_, first + end - i);
                     run_stretch(args, i / down_, first, last);
                     i += last - first;
                   }
                 });
  }

 private:
  // Pieces of rows from `first` to `last`, of a stretch of a block.
  void run_stretch(const KernelArgs& args, int64_t stretch, int64_t first, int64_t last) const {
    const int64_t column = stretch % across_ * columns_, block = stretch / across_ * down_;
    for (int64_t k = 0; k < parts_.product.k; k += depth_) {
      for (int64_t i = first; i < last; ++i) run_piece(args, column, k, block + i);
    }
  }

  void run_piece(const KernelArgs& args, int64_t column, int64_t k, int64_t i) const {
    const Product& p = parts_.product;
    const auto panel = static_cast<int64_t>(functions_.panel);
    const float* bias = parts_.bias.empty() ? nullptr : parts_.bias.data();
    if (parts_.bias_input) bias = static_cast<const float*>(args.inputs[kBias]);
    const int64_t pieces = blocks_ * down_;
    const int64_t row = p.m * i / pieces, end = p.m * (i + 1) / pieces;
    const int64_t at = row * p.n + column;
    float* y = static_cast<float*>(args.outputs[0]) + at;
    GemmBlock block{.a = static_cast<const float*>(args.inputs[kA]) + row * p.k + k,
                    .a_stride = static_cast<size_t>(p.k),
                    .panels = parts_.panels.at(column * p.k + k * panel),
                    .k = static_cast<size_t>(std::min(depth_, p.k - k)),
                    .depth = static_cast<size_t>(p.k),
                    .bias = bias == nullptr || k > 0 ? nullptr : bias + column,
                    .plus = k > 0 ? y : nullptr,
                    .y = y,
                    .y_stride = static_cast<size_t>(p.n),
                    .rows = static_cast<size_t>(end - row),
                    .columns = static_cast<size_t>(std::min(columns_, p.n - column)),
                    .form = parts_.panels.form};
    fetch_next(block, column, k, i);
    if (k == 0 && parts_.residual) block.plus = static_cast<const float*>(args.inputs[kZ]) + at;
    const bool last = k + depth_ >= p.k;
    const std::optional<Bounds>& bounds = parts_.activation.bounds();
    if (last && bounds) {
      block.low = bounds->low;
      block.high = bounds->high;
    }
    functions_.multiply(block);
    if (last && !bounds) activate(block);
  }

  // Each piece of rows fetches its share of the panels that come after these. A part of the depth
  // of neighbouring panels lies p.k rows apart.
  void fetch_next(GemmBlock& block, int64_t column, int64_t k, int64_t i) const {
    const Product& p = parts_.product;
    const bool deeper = k + depth_ < p.k;
    if (!deeper && column + columns_ >= p.n) return;
    const auto panel = static_cast<int64_t>(functions_.panel);
    const int64_t part = depth_ * panel, numbers = columns_ / panel * part;
    const int64_t from = numbers * (i % down_) / down_;
    const int64_t start = deeper ? column * p.k + (k + depth_) * panel : (column + columns_) * p.k;
    const int64_t at = start + from / part * panel * p.k + from % part;
    const int64_t count = std::min(numbers / down_, part - from % part);
    if (at + count > parts_.panels.count()) return;
    block.next = parts_.panels.at(at);
    block.next_lines = static_cast<size_t>(parts_.panels.at(at + count) - block.next) / kLine;
  }

  void activate(const GemmBlock& block) const {
    if (block.columns == block.y_stride)
      return parts_.activation.apply(block.y, block.rows * block.columns);
    for (size_t r = 0; r < block.rows; ++r)
      parts_.activation.apply(block.y + r * block.y_stride, block.columns);
  }

  Parts parts_;
  const GemmFunctions& functions_;
  static constexpr int64_t kPanelFloats = 1 << 16, kMostDepth = 1536;
  static constexpr int64_t kRowFloats = 1 << 21;
  static constexpr size_t kLine = 64;  // bytes
  int64_t depth_ = 1;
  int64_t blocks_ = 1;                // of rows
  int64_t down_ = 1;                  // pieces of rows of a block
  int64_t across_ = 1, columns_ = 0;  // stretches, and how wide
  int64_t grain_ = 1;
};

bool one_per_column(const NodeSpec& spec, int64_t n) {
  const Dims& dims = spec.inputs[kBias].dims;
  return element_count(dims) == n && !dims.empty() && (is_conv(*spec.node) || dims.back() == n);
}

// Where there are no vectors, oneDNN's products win beyond so many rows or multiplications.
constexpr int64_t kFewRows = 8;
constexpr double kSmallWork = 1 << 16;

// Whether reading the panels takes longer than widening their numbers: of one row and two always,
// of few more where no cache holds them.
bool reads_dominate(const Product& p) {
  constexpr int64_t kUncached = 1 << 20;  // numbers
  return p.m <= 2 || (p.m <= static_cast<int64_t>(kNarrowRows) && p.k * p.n >= kUncached);
}

Support supports_gemm(const NodeSpec& spec) {
  for (const TensorSpec& in : spec.inputs) {
    if (in.present() && in.dtype != DType::kFloat) return Support::no("not float");
  }
  if (spec.constant(kB) == nullptr) return Support::no("a right side that is not constant");
  const std::optional<Product> p = product_of(spec);
  if (!p || p->m == 0 || p->n == 0 || p->k == 0) return Support::no("shape");
  if (spec.has(kBias) && !one_per_column(spec, p->n))
    return Support::no("bias that is not one a column");
  if (spec.has(kBias) && p->bias_scale != 1 && spec.constant(kBias) == nullptr) {
    return Support::no("beta with a bias that is not constant");
  }
  if (spec.has(kZ) && spec.inputs[kZ].dims != spec.outputs[0].dims)
    return Support::no("broadcast residual");
  return supports_activation(*spec.node);
}

bool gemm_pays(const NodeSpec& spec) {
  const Product p = *product_of(spec);
  const double work = static_cast<double>(p.m) * static_cast<double>(p.k * p.n);
  return simd_target() != "scalar" || p.m <= kFewRows || work <= kSmallWork;
}

Panels pack(const NodeSpec& spec, const Product& p, const CompileContext& context) {
  const Tensor& b = *spec.constant(kB);
  const PanelSource matrix{.n = p.n, .k = p.k, .row = p.row, .column = p.column, .scale = p.scale};
  return reads_dominate(p) ? narrow_panels(b, matrix, context)
                           : Panels{packed_panels(b, matrix, context)};
}

// Empty where the run reads the bias, or there is none.
std::vector<float> scaled_bias(const NodeSpec& spec, const Product& p) {
  if (!spec.has(kBias)) return {};
  if (p.bias_scale == 0) return std::vector<float>(static_cast<size_t>(p.n));
  const Tensor* bias = spec.constant(kBias);
  if (bias == nullptr) return {};
  const Tensor plain = bias->resident();
  std::vector<float> scaled;
  for (float x : plain.data<float>()) scaled.push_back(p.bias_scale * x);
  return scaled;
}

Compiled compile_gemm(const NodeSpec& spec, const CompileContext& context) {
  const Product p = *product_of(spec);
  GemmKernel::Parts parts{.product = p,
                          .panels = pack(spec, p, context),
                          .bias = scaled_bias(spec, p),
                          .residual = spec.has(kZ),
                          .activation = *Activation::of(*spec.node),
                          .threads = context.threads};
  parts.bias_input = spec.has(kBias) && parts.bias.empty();
  Compiled compiled;
  compiled.name = "native gemm";
  compiled.reads.assign(spec.inputs.size(), true);
  compiled.reads[kB] = false;
  if (spec.has(kBias)) compiled.reads[kBias] = parts.bias_input;
  compiled.input_layouts.assign(spec.inputs.size(), kPlain);
  const Layout rows = is_conv(*spec.node) ? kChannelsLast : kPlain;
  compiled.input_layouts[kA] = accept(spec.inputs[kA], rows);
  if (spec.has(kZ)) compiled.input_layouts[kZ] = accept(spec.inputs[kZ], rows);
  compiled.output_layouts = {canonical(spec.outputs[0].dims, rows)};
  compiled.kernel = std::make_unique<GemmKernel>(std::move(parts));
  return compiled;
}

}  // namespace

const Family kNativeGemm{"native gemm", supports_gemm, compile_gemm, gemm_pays};

}  // namespace treadle::cpu
