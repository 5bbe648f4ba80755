#include "backends/cpu/native_product.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "backends/cpu/native_lower.h"
#include "backends/cpu/parallel.h"
#include "backends/cpu/simd_product.h"

namespace treadle::cpu {
namespace {

constexpr int64_t kDepth = 256;      // rows of b that are packed at a time
constexpr int64_t kShallow = 16;     // up to so many are read where they lie
constexpr size_t kWidestPanel = 32;  // of any instruction set

// y[m, n] = alpha · a · b; elements (i, k) and (k, j) lie at i·a_row + k·a_step and
// k·b_row + j·b_column.
struct Product {
  int64_t m = 0, n = 0, k = 0;
  int64_t a_row = 0, a_step = 0;
  int64_t b_row = 0, b_column = 0;
  float alpha = 1;
};

// Of two matrices, each perhaps transposed.
Product product_of(const Attributes& attributes, const Dims& a, const Dims& b) {
  const bool ta = attributes.i("transA", 0) != 0, tb = attributes.i("transB", 0) != 0;
  Product p;
  p.m = a[ta ? 1 : 0];
  p.k = a[ta ? 0 : 1];
  p.n = b[tb ? 0 : 1];
  p.a_row = ta ? 1 : p.k;
  p.a_step = ta ? p.m : 1;
  p.b_row = tb ? 1 : p.n;
  p.b_column = tb ? p.k : 1;
  p.alpha = attributes.f("alpha", 1);
  return p;
}

struct Operands {
  const float* a;
  const float* b;
  float* y;
  float scale;
  bool add;  // to what y holds
};

class Multiplier {
 public:
  Multiplier(const Product& product, int threads)
      : p_(product), functions_(product_functions()), threads_(threads) {
    panel_ = static_cast<int64_t>(functions_.panel);
    grain_ = std::max<int64_t>(1, 16 * kParallelGrain / std::max<int64_t>(1, p_.m * panel_ * p_.k));
  }
  const Product& product() const { return p_; }

  // Calls after(first column, end) when these columns are done.
  template <class F>
  void run(const Operands& o, const F& after) const {
    parallel_for(threads_, ceil_div(p_.n, panel_), grain_, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) run_panel(o, i * panel_);
      after(begin * panel_, std::min(end * panel_, p_.n));
    });
  }

 private:
  void run_panel(const Operands& o, int64_t column) const {
    alignas(64) float packed[kDepth * kWidestPanel];
    const int64_t columns = std::min(panel_, p_.n - column);
    const bool lies_well = p_.b_column == 1 && p_.k <= kShallow && columns == panel_;
    for (int64_t k = 0; k < p_.k; k += kDepth) {
      const int64_t depth = std::min(kDepth, p_.k - k);
      const float* b = o.b + k * p_.b_row + column * p_.b_column;
      if (!lies_well) {
        functions_.pack({.from = b,
                         .row = static_cast<size_t>(p_.b_row),
                         .column = static_cast<size_t>(p_.b_column),
                         .k = static_cast<size_t>(depth),
                         .columns = static_cast<size_t>(columns)},
                        packed);
      }
      functions_.multiply({.a = o.a + k * p_.a_step,
                           .a_row = static_cast<size_t>(p_.a_row),
                           .a_step = static_cast<size_t>(p_.a_step),
                           .b = lies_well ? b : packed,
                           .b_step = static_cast<size_t>(lies_well ? p_.b_row : panel_),
                           .k = static_cast<size_t>(depth),
                           .y = o.y + column,
                           .y_row = static_cast<size_t>(p_.n),
                           .rows = static_cast<size_t>(p_.m),
                           .columns = static_cast<size_t>(columns),
                           .scale = o.scale,
                           .add = o.add || k > 0});
    }
  }

  Product p_;
  const ProductFunctions& functions_;
  int threads_;
  int64_t panel_ = 0;
  int64_t grain_ = 1;
};

bool all_floats(const NodeSpec& spec, size_t inputs) {
  for (size_t i = 0; i < inputs; ++i) {
    if (spec.has(i) && spec.inputs[i].dtype != DType::kFloat) return false;
  }
  return spec.outputs[0].dtype == DType::kFloat;
}

bool are_matrices(const NodeSpec& spec, size_t a) {
  const auto fits = [](const Dims& d) { return d.size() == 2 && element_count(d) > 0; };
  return fits(spec.inputs[a].dims) && fits(spec.inputs[a + 1].dims);
}

// ---- Gemm, MatMul and what is fused with them

constexpr size_t kA = 0, kB = 1, kBias = 2, kZ = 3;
// Above this many multiplications, or elements of b, oneDNN's blocking for the caches wins.
constexpr int64_t kMostWork = 1 << 20;
constexpr int64_t kMostElements = 1 << 18;

class ProductKernel : public Kernel {
 public:
  ProductKernel(Multiplier multiplier, bool bias, Tape epilogue)
      : multiplier_(std::move(multiplier)),
        bias_(bias),
        epilogue_(std::move(epilogue)),
        tape_(tape_function()) {}

  void run(const KernelArgs& args) const override {
    const Product& p = multiplier_.product();
    auto* y = static_cast<float*>(args.outputs[0]);
    if (bias_) {
      const auto* bias = static_cast<const float*>(args.inputs[kBias]);
      for (int64_t i = 0; i < p.m; ++i) std::copy_n(bias, p.n, y + i * p.n);
    }
    const Operands operands{static_cast<const float*>(args.inputs[kA]),
                            static_cast<const float*>(args.inputs[kB]), y, p.alpha, bias_};
    multiplier_.run(operands, [&](int64_t begin, int64_t end) {
      if (epilogue_.code.empty()) return;
      for (int64_t i = 0; i < p.m; ++i) finish(y + i * p.n + begin, end - begin);
    });
  }

 private:
  void finish(float* y, int64_t count) const {
    alignas(64) float storage[kMaxRegisters][kTile];
    std::array<float*, kMaxRegisters> registers;
    for (size_t i = 0; i < epilogue_.registers; ++i) registers[i] = storage[i];
    const auto tile = std::min<int64_t>(count, kTile);
    for (size_t i = 0; i < epilogue_.splats.size(); ++i) {
      std::fill_n(storage[epilogue_.sources.size() + i], tile, epilogue_.splats[i]);
    }
    for (int64_t at = 0; at < count; at += tile) {
      registers[0] = registers[epilogue_.result(0)] = y + at;
      tape_(epilogue_.code.data(), epilogue_.code.size(), registers.data(),
            static_cast<size_t>(std::min(tile, count - at)));
    }
  }

  Multiplier multiplier_;
  bool bias_;
  Tape epilogue_;
  TapeFn tape_;
};

Support supports_product(const NodeSpec& spec) {
  if (!all_floats(spec, spec.inputs.size())) return Support::no("not float");
  if (!are_matrices(spec, kA)) return Support::no("rank");
  if (spec.constant(kB) != nullptr) return Support::no("a right side that is better packed once");
  if (spec.has(kZ)) return Support::no("residual");
  const Attributes& attributes = spec.node->attributes;
  const Product p = product_of(attributes, spec.inputs[kA].dims, spec.inputs[kB].dims);
  if (p.n * p.k > kMostElements || p.m * p.n * p.k > kMostWork) return Support::no("large");
  if (spec.has(kBias)) {
    const Dims& dims = spec.inputs[kBias].dims;
    if (dims.empty() || dims.back() != p.n || element_count(dims) != p.n) {
      return Support::no("bias that is not one a column");
    }
    if (attributes.f("beta", 1) != 1) return Support::no("beta");
  }
  return lower_epilogue(*spec.node, false) ? Support{} : Support::no("activation");
}

Compiled compile_product(const NodeSpec& spec, const CompileContext& context) {
  const Product p = product_of(spec.node->attributes, spec.inputs[kA].dims, spec.inputs[kB].dims);
  Compiled compiled;
  compiled.name = "native product";
  compiled.kernel = std::make_unique<ProductKernel>(Multiplier(p, context.threads), spec.has(kBias),
                                                    *lower_epilogue(*spec.node, false));
  return compiled;
}

// ---- GemmUpdate: y = on ? w - rate · alpha · a · b : w

constexpr size_t kW = 0, kLeft = 1, kRight = 2, kRate = 3, kOn = 4;

class UpdateKernel : public Kernel {
 public:
  UpdateKernel(Multiplier multiplier, bool conditional)
      : multiplier_(std::move(multiplier)), conditional_(conditional) {}

  void run(const KernelArgs& args) const override {
    const Product& p = multiplier_.product();
    auto* y = static_cast<float*>(args.outputs[0]);
    if (args.inputs[kW] != y) {
      std::memcpy(y, args.inputs[kW], static_cast<size_t>(p.m * p.n) * sizeof(float));
    }
    if (conditional_ && !*static_cast<const bool*>(args.inputs[kOn])) return;
    const float rate = *static_cast<const float*>(args.inputs[kRate]);
    multiplier_.run({static_cast<const float*>(args.inputs[kLeft]),
                     static_cast<const float*>(args.inputs[kRight]), y, -rate * p.alpha, true},
                    [](int64_t, int64_t) {});
  }

 private:
  Multiplier multiplier_;
  bool conditional_;
};

Support supports_update(const NodeSpec& spec) {
  if (!all_floats(spec, kOn)) return Support::no("not float");
  if (!are_matrices(spec, kLeft) || spec.inputs[kW].dims != spec.outputs[0].dims) {
    return Support::no("rank");
  }
  return {};
}

Compiled compile_update(const NodeSpec& spec, const CompileContext& context) {
  const Product p =
      product_of(spec.node->attributes, spec.inputs[kLeft].dims, spec.inputs[kRight].dims);
  Compiled compiled;
  compiled.name = "native gemm update";
  compiled.in_place = {{kW}};
  compiled.kernel = std::make_unique<UpdateKernel>(Multiplier(p, context.threads), spec.has(kOn));
  return compiled;
}

}  // namespace

const Family kNativeProduct{"native product", supports_product, compile_product};
const Family kNativeGemmUpdate{"native gemm update", supports_update, compile_update};

}  // namespace treadle::cpu
