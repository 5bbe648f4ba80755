#include "backends/cpu/native/product.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "backends/cpu/native/activation.h"
#include "backends/cpu/native/blocked_product.h"

namespace treadle::cpu {
namespace {

bool all_floats(const NodeSpec& spec, size_t inputs) {
  for (size_t i = 0; i < inputs; ++i) {
    if (spec.has(i) && spec.inputs[i].dtype != DType::kFloat) return false;
  }
  return spec.outputs[0].dtype == DType::kFloat;
}

bool has_elements(const NodeSpec& spec, size_t a) {
  return element_count(spec.inputs[a].dims) > 0 && element_count(spec.inputs[a + 1].dims) > 0;
}

Product product_at(const NodeSpec& spec, size_t a) {
  return product_of(spec.node->attributes, spec.inputs[a].dims, spec.inputs[a + 1].dims);
}

// ---- Gemm, MatMul and what is fused with them

constexpr size_t kA = 0, kB = 1, kBias = 2, kZ = 3;

class ProductKernel : public Kernel {
 public:
  struct Parts {
    BlockedProduct product;
    float scale = 1;
    bool bias = false;
    bool residual = false;
    Activation activation;
  };
  explicit ProductKernel(Parts parts) : parts_(std::move(parts)) {}

  void run(const KernelArgs& args) const override {
    using Block = BlockedProduct::Block;
    auto* y = static_cast<float*>(args.outputs[0]);
    const BlockedProduct::Operands operands{static_cast<const float*>(args.inputs[kA]),
                                            static_cast<const float*>(args.inputs[kB]),
                                            y,
                                            parts_.scale,
                                            parts_.bias || parts_.residual,
                                            static_cast<float*>(args.scratch),
                                            args.control};
    parts_.product.run(
        operands, [&](const Block& block) { start(args, block, y + block.at); },
        [&](const Block& block) { finish(block, y + block.at); });
  }

 private:
  // y = residual + bias
  void start(const KernelArgs& args, const BlockedProduct::Block& block, float* y) const {
    const float* z = nullptr;
    if (parts_.residual) z = static_cast<const float*>(args.inputs[kZ]) + block.at;
    const float* bias = nullptr;
    if (parts_.bias) bias = static_cast<const float*>(args.inputs[kBias]) + block.column;
    for (int64_t i = 0; i < block.rows; ++i, y += parts_.product.n()) {
      if (z != nullptr && z != y) std::copy_n(z, block.columns, y);
      if (z == nullptr && bias != nullptr) std::copy_n(bias, block.columns, y);
      if (z == nullptr) continue;
      for (int64_t j = 0; bias != nullptr && j < block.columns; ++j) y[j] += bias[j];
      z += parts_.product.n();
    }
  }

  void finish(const BlockedProduct::Block& block, float* y) const {
    const auto n = static_cast<size_t>(parts_.product.n());
    const auto columns = static_cast<size_t>(block.columns);
    parts_.activation.apply(y, static_cast<size_t>(block.rows), columns, n);
  }

  Parts parts_;
};

// Above this many multiplications, or elements of b, oneDNN's blocking for the caches wins. Below,
// they are level, but its first kernel takes 10 MB and 10 ms.
constexpr int64_t kMostWork = 1 << 25;
constexpr int64_t kMostElements = 1 << 20;
constexpr int64_t kMostProducts = 1 << 12;  // each one's place is held

int64_t count_of(const Product& p) { return element_count(p.y) / (p.m() * p.n()); }

bool product_pays(const NodeSpec& spec) {
  const Product p = product_at(spec, kA);
  return p.n() * p.k() <= kMostElements &&
         product_work(count_of(p), p.m(), p.n(), p.k()) <= kMostWork;
}

Support supports_product(const NodeSpec& spec) {
  if (!all_floats(spec, spec.inputs.size())) return Support::no("not float");
  if (!has_elements(spec, kA)) return Support::no("empty");
  if (spec.constant(kB) != nullptr) return Support::no("a right side that is better packed once");
  const Product p = product_at(spec, kA);
  if (count_of(p) > kMostProducts) return Support::no("many products");
  if (spec.has(kBias)) {
    const Dims& dims = spec.inputs[kBias].dims;
    if (dims.empty() || dims.back() != p.n() || element_count(dims) != p.n())
      return Support::no("bias that is not one a column");
    if (p.addend_scale != 1) return Support::no("beta");
  }
  if (spec.has(kZ) && spec.inputs[kZ].dims != spec.outputs[0].dims)
    return Support::no("broadcast residual");
  return supports_activation(*spec.node);
}

Compiled compile_product(const NodeSpec& spec, const CompileContext& context) {
  const Product p = product_at(spec, kA);
  ProductKernel::Parts parts{BlockedProduct(p, context.threads), p.scale, spec.has(kBias),
                             spec.has(kZ), *Activation::of(*spec.node)};
  Compiled compiled;
  compiled.name = "native product";
  compiled.scratch_bytes = parts.product.scratch_bytes();
  if (parts.residual) compiled.in_place = {{kZ}};
  compiled.kernel = std::make_unique<ProductKernel>(std::move(parts));
  return compiled;
}

// ---- GemmUpdate: y = on ? w - rate · alpha · a · b : w

constexpr size_t kW = 0, kLeft = 1, kRight = 2, kRate = 3, kOn = 4;

class UpdateKernel : public Kernel {
 public:
  UpdateKernel(const Product& p, bool conditional, int threads)
      : product_(p, threads),
        scale_(p.scale),
        bytes_(static_cast<size_t>(p.m() * p.n()) * sizeof(float)),
        conditional_(conditional) {}
  size_t scratch_bytes() const { return product_.scratch_bytes(); }

  void run(const KernelArgs& args) const override {
    auto* y = static_cast<float*>(args.outputs[0]);
    if (args.inputs[kW] != y) std::memcpy(y, args.inputs[kW], bytes_);
    if (conditional_ && !*static_cast<const bool*>(args.inputs[kOn])) return;
    const float rate = *static_cast<const float*>(args.inputs[kRate]);
    const auto nothing = [](const BlockedProduct::Block&) {};
    product_.run({static_cast<const float*>(args.inputs[kLeft]),
                  static_cast<const float*>(args.inputs[kRight]), y, -rate * scale_, true,
                  static_cast<float*>(args.scratch), args.control},
                 nothing, nothing);
  }

 private:
  BlockedProduct product_;
  float scale_;
  size_t bytes_;
  bool conditional_;
};

Support supports_update(const NodeSpec& spec) {
  if (!all_floats(spec, kOn)) return Support::no("not float");
  const auto is_matrix = [&](size_t i) { return spec.inputs[i].dims.size() == 2; };
  if (!is_matrix(kLeft) || !is_matrix(kRight) || !has_elements(spec, kLeft) ||
      spec.inputs[kW].dims != spec.outputs[0].dims) {
    return Support::no("rank");
  }
  return {};
}

Compiled compile_update(const NodeSpec& spec, const CompileContext& context) {
  auto kernel =
      std::make_unique<UpdateKernel>(product_at(spec, kLeft), spec.has(kOn), context.threads);
  Compiled compiled;
  compiled.name = "native gemm update";
  compiled.in_place = {{kW}};
  compiled.scratch_bytes = kernel->scratch_bytes();
  compiled.kernel = std::move(kernel);
  return compiled;
}

}  // namespace

const Family kNativeProduct{"native product", supports_product, compile_product, product_pays};
const Family kNativeGemmUpdate{"native gemm update", supports_update, compile_update};

}  // namespace treadle::cpu
