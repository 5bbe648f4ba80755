#include "backends/cpu/native/gemm.h"

#include <algorithm>

#include "backends/cpu/layout.h"
#include "backends/cpu/native/panel_product.h"
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
  struct Bias {
    std::vector<float> constant;
    bool input = false;  // or none
  };
  GemmKernel(PanelProduct product, Bias bias, bool residual)
      : product_(std::move(product)), bias_(std::move(bias)), residual_(residual) {}

  void run(const KernelArgs& args) const override {
    const float* bias = bias_.constant.empty() ? nullptr : bias_.constant.data();
    if (bias_.input) bias = static_cast<const float*>(args.inputs[kBias]);
    product_.run({.a = static_cast<const float*>(args.inputs[kA]),
                  .bias = bias,
                  .plus = residual_ ? static_cast<const float*>(args.inputs[kZ]) : nullptr,
                  .y = static_cast<float*>(args.outputs[0])});
  }

 private:
  PanelProduct product_;
  Bias bias_;
  bool residual_;
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
  return reads_dominate(p) ? narrow_panels(b, matrix, context) : packed_panels(b, matrix, context);
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
  PanelProduct product({p.m, p.n, p.k}, pack(spec, p, context), Activation::of(*spec.node),
                       context.threads);
  GemmKernel::Bias bias{scaled_bias(spec, p)};
  bias.input = spec.has(kBias) && bias.constant.empty();
  Compiled compiled;
  compiled.name = "native gemm";
  compiled.reads.assign(spec.inputs.size(), true);
  compiled.reads[kB] = false;
  if (spec.has(kBias)) compiled.reads[kBias] = bias.input;
  compiled.input_layouts.assign(spec.inputs.size(), kPlain);
  const Layout rows = is_conv(*spec.node) ? kChannelsLast : kPlain;
  compiled.input_layouts[kA] = accept(spec.inputs[kA], rows);
  if (spec.has(kZ)) compiled.input_layouts[kZ] = accept(spec.inputs[kZ], rows);
  compiled.output_layouts = {canonical(spec.outputs[0].dims, rows)};
  compiled.kernel = std::make_unique<GemmKernel>(std::move(product), std::move(bias), spec.has(kZ));
  return compiled;
}

}  // namespace

const Family kNativeGemm{"native gemm", supports_gemm, compile_gemm, gemm_pays};

}  // namespace treadle::cpu
