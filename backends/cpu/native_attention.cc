#include "backends/cpu/native_attention.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "backends/cpu/parallel.h"
#include "backends/cpu/simd_gemm.h"
#include "backends/cpu/simd_rows.h"
#include "graph/ops/iterate.h"

namespace treadle::cpu {
namespace {

constexpr size_t kQ = 0, kK = 1, kV = 2, kMask = 3;
constexpr float kForbidden = -std::numeric_limits<float>::infinity();

// An operand as [batch, heads, rows, size]; a row is dense. Of rank 3 in ONNX the heads of a row
// lie beside each other.
struct Heads {
  int64_t batch = 0;
  int64_t heads = 0;
  int64_t rows = 0;
  int64_t size = 0;
  int64_t row_stride = 0;
  int64_t head_stride = 0;

  int64_t at(int64_t b, int64_t h) const { return b * heads * rows * size + h * head_stride; }
};

Heads heads_of(const Dims& dims, int64_t heads) {
  if (dims.size() == 4) return {dims[0], dims[1], dims[2], dims[3], dims[3], dims[2] * dims[3]};
  const int64_t size = dims[2] / heads;
  return {dims[0], heads, dims[1], size, dims[2], size};
}

struct Problem {
  Heads q, k, v, y;
  Dims mask;                  // strides of its rows over [batch, heads, queries, 1]; empty: none
  int64_t mask_columns = 0;   // keys beyond them are forbidden
  bool mask_is_bool = false;  // False forbids
  bool causal = false;
  float scale = 1;
  float softcap = 0;
};

Problem problem_of(const NodeSpec& spec) {
  const Attributes& a = spec.node->attributes;
  Problem p;
  p.q = heads_of(spec.inputs[kQ].dims, a.i("q_num_heads", 1));
  p.k = heads_of(spec.inputs[kK].dims, a.i("kv_num_heads", 1));
  p.v = heads_of(spec.inputs[kV].dims, a.i("kv_num_heads", 1));
  p.y = heads_of(spec.outputs[0].dims, a.i("q_num_heads", 1));
  if (spec.has(kMask)) {
    Dims rows = spec.inputs[kMask].dims;
    p.mask_columns = rows.back();
    rows.back() = 1;
    p.mask = broadcast_strides(rows, {p.q.batch, p.q.heads, p.q.rows, 1});
    p.mask_is_bool = spec.inputs[kMask].dtype == DType::kBool;
  }
  p.causal = a.i("is_causal", 0) != 0;
  p.scale = a.has("scale") ? a.f("scale", 1) : 1 / std::sqrt(static_cast<float>(p.q.size));
  p.softcap = a.f("softcap", 0);
  return p;
}

// In steps whose copies are inlined.
void copy_row(const float* from, int64_t n, float* to) {
  constexpr int64_t kStep = 8;
  int64_t i = 0;
  for (; i + kStep <= n; i += kStep) std::memcpy(to + i, from + i, kStep * sizeof(float));
  for (; i < n; ++i) to[i] = from[i];
}

class AttentionKernel : public Kernel {
 public:
  AttentionKernel(const Problem& problem, int threads)
      : p_(problem), gemm_(gemm_functions()), rows_(row_functions()), threads_(threads) {
    panel_ = static_cast<int64_t>(gemm_.panel);
    padded_keys_ = ceil_div(p_.k.rows, panel_) * panel_;
    key_panels_ = checked_mul(padded_keys_, p_.k.size);
    value_panels_ = checked_mul(ceil_div(p_.v.size, panel_) * panel_, p_.v.rows);
    const int64_t most =
        std::clamp<int64_t>(kTileScores / padded_keys_ / kRows * kRows, kRows, kMaxTileRows);
    tiles_ = ceil_div(p_.q.rows, most);
    tile_rows_ = ceil_div(ceil_div(p_.q.rows, tiles_), kRows) * kRows;
    tiles_ = ceil_div(p_.q.rows, tile_rows_);
    const int64_t work = tile_rows_ * padded_keys_ * (p_.q.size + p_.v.size);
    slots_ = std::clamp<int64_t>(tasks() * work / (16 * kParallelGrain), 1, threads);
  }

  size_t scratch_bytes() const {
    const int64_t packed =
        checked_mul(p_.k.batch * p_.k.heads, checked_add(key_panels_, value_panels_));
    const int64_t scores = checked_mul(slots_ * tile_rows_, padded_keys_);
    return static_cast<size_t>(byte_size(DType::kFloat, checked_add(packed, scores)));
  }

  void run(const KernelArgs& args) const override {
    auto* packed = static_cast<float*>(args.scratch);
    const int64_t kv_heads = p_.k.batch * p_.k.heads;
    const int64_t grain = std::max<int64_t>(1, kParallelGrain / (key_panels_ + value_panels_));
    parallel_for(threads_, kv_heads, grain, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) pack(args, i, packed);
    });
    float* scores = packed + kv_heads * (key_panels_ + value_panels_);
    parallel_for(threads_, slots_, 1, [&](int64_t begin, int64_t end) {
      for (int64_t slot = begin; slot < end; ++slot) {
        float* own = scores + slot * tile_rows_ * padded_keys_;
        const int64_t last = (slot + 1) * tasks() / slots_;
        for (int64_t t = slot * tasks() / slots_; t < last; ++t) attend(args, t, packed, own);
      }
    });
  }

 private:
  static constexpr int64_t kRows = 6;  // that the product's inner loop takes at once
  static constexpr int64_t kMaxTileRows = 16 * kRows;
  static constexpr int64_t kTileScores = 16 * 1024;  // floats

  int64_t tasks() const { return p_.q.batch * p_.q.heads * tiles_; }

  // Keys as columns, scaled, and values as rows, in the panels of simd_gemm.h.
  void pack(const KernelArgs& args, int64_t head, float* packed) const {
    const int64_t b = head / p_.k.heads, h = head % p_.k.heads;
    float* to = packed + head * (key_panels_ + value_panels_);
    const float* k = static_cast<const float*>(args.inputs[kK]) + p_.k.at(b, h);
    for (int64_t first = 0; first < p_.k.rows; first += panel_) {
      const int64_t columns = std::min(panel_, p_.k.rows - first);
      for (int64_t d = 0; d < p_.k.size; ++d, to += panel_) {
        const float* from = k + first * p_.k.row_stride + d;
        for (int64_t c = 0; c < columns; ++c) to[c] = p_.scale * from[c * p_.k.row_stride];
        std::fill(to + columns, to + panel_, 0.0f);
      }
    }
    const float* v = static_cast<const float*>(args.inputs[kV]) + p_.v.at(b, h);
    for (int64_t first = 0; first < p_.v.size; first += panel_) {
      const int64_t columns = std::min(panel_, p_.v.size - first);
      for (int64_t j = 0; j < p_.v.rows; ++j, to += panel_) {
        copy_row(v + j * p_.v.row_stride + first, columns, to);
        std::fill(to + columns, to + panel_, 0.0f);
      }
    }
  }

  void attend(const KernelArgs& args, int64_t task, const float* packed, float* scores) const {
    const int64_t first = task % tiles_ * tile_rows_;
    const int64_t b = task / tiles_ / p_.q.heads, h = task / tiles_ % p_.q.heads;
    const int64_t kv = b * p_.k.heads + h / (p_.q.heads / p_.k.heads);
    const float* keys = packed + kv * (key_panels_ + value_panels_);
    const int64_t rows = std::min(tile_rows_, p_.q.rows - first);
    // Nobody in the tile looks further.
    const int64_t reach = p_.causal ? std::min(p_.k.rows, first + rows) : p_.k.rows;
    GemmBlock product{
        .a = static_cast<const float*>(args.inputs[kQ]) + p_.q.at(b, h) + first * p_.q.row_stride,
        .a_stride = static_cast<size_t>(p_.q.row_stride),
        .panels = keys,
        .k = static_cast<size_t>(p_.k.size),
        .bias = nullptr,
        .y = scores,
        .y_stride = static_cast<size_t>(padded_keys_),
        .rows = static_cast<size_t>(rows),
        .columns = static_cast<size_t>(reach)};
    gemm_.multiply(product);
    float factors[kMaxTileRows];
    for (int64_t r = 0; r < rows; ++r) {
      float* row = scores + r * padded_keys_;
      constrain(row, reach, first + r, mask_row(args, b, h, first + r));
      std::fill(row + reach, row + padded_keys_, kForbidden);
      factors[r] = weigh(row, ceil_div(reach, panel_) * panel_);
    }
    float* y = static_cast<float*>(args.outputs[0]) + p_.y.at(b, h) + first * p_.y.row_stride;
    product.a = scores;
    product.a_stride = static_cast<size_t>(padded_keys_);
    product.k = static_cast<size_t>(reach);
    product.y_stride = static_cast<size_t>(p_.y.row_stride);
    for (int64_t c = 0; c < p_.v.size; c += panel_) {
      product.panels = keys + key_panels_ + c * p_.v.rows;
      product.y = y + c;
      product.columns = static_cast<size_t>(std::min(panel_, p_.v.size - c));
      gemm_.multiply(product);
    }
    for (int64_t r = 0; r < rows; ++r, y += p_.y.row_stride) {
      for (int64_t c = 0; c < p_.v.size; ++c) y[c] *= factors[r];
    }
  }

  const void* mask_row(const KernelArgs& args, int64_t b, int64_t h, int64_t i) const {
    if (p_.mask.empty()) return nullptr;
    const int64_t row = b * p_.mask[0] + h * p_.mask[1] + i * p_.mask[2];
    const auto bytes = static_cast<int64_t>(p_.mask_is_bool ? sizeof(bool) : sizeof(float));
    return static_cast<const std::byte*>(args.inputs[kMask]) + row * p_.mask_columns * bytes;
  }

  // Caps the scores of query `i`, adds its mask, forbids what causality forbids.
  void constrain(float* row, int64_t n, int64_t i, const void* mask) const {
    if (p_.softcap > 0) {
      for (int64_t j = 0; j < n; ++j) row[j] = std::tanh(row[j] / p_.softcap) * p_.softcap;
    }
    if (mask != nullptr) {
      const int64_t given = std::min(n, p_.mask_columns);
      if (p_.mask_is_bool) {
        const auto* allowed = static_cast<const uint8_t*>(mask);
        for (int64_t j = 0; j < given; ++j) row[j] = allowed[j] != 0 ? row[j] : kForbidden;
      } else {
        const auto* bias = static_cast<const float*>(mask);
        for (int64_t j = 0; j < given; ++j) row[j] += bias[j];
      }
      std::fill(row + given, row + n, kForbidden);
    }
    if (p_.causal && i + 1 < n) std::fill(row + i + 1, row + n, kForbidden);
  }

  // Softmax but for the factor that is returned: the results are fewer than the weights. Zeros
  // where everything is forbidden.
  float weigh(float* row, int64_t n) const {
    if (std::any_of(row, row + n, [](float x) { return x != kForbidden; }))
      return 1 / rows_.exponentiate(row, row, static_cast<size_t>(n));
    std::fill_n(row, n, 0.0f);
    return 0;
  }

  Problem p_;
  const GemmFunctions& gemm_;
  const RowFunctions& rows_;
  int threads_;
  int64_t panel_ = 0;
  int64_t padded_keys_ = 0;
  int64_t key_panels_ = 0;  // floats of a head
  int64_t value_panels_ = 0;
  int64_t tile_rows_ = 0;
  int64_t tiles_ = 0;  // a head
  int64_t slots_ = 1;  // threads that work at a time
};

bool fits(const Problem& p) {
  return p.k.batch == p.q.batch && p.v.batch == p.q.batch && p.v.heads == p.k.heads &&
         p.v.rows == p.k.rows && p.k.size == p.q.size && p.q.heads % p.k.heads == 0;
}

Support supports_shapes(const NodeSpec& spec) {
  for (size_t i : {kQ, kK, kV}) {
    const Dims& dims = spec.inputs[i].dims;
    if (element_count(dims) == 0) return Support::no("no elements");
    if (dims.size() == 4) continue;
    const int64_t heads = spec.node->attributes.i(i == kQ ? "q_num_heads" : "kv_num_heads", 0);
    if (dims.size() != 3 || heads <= 0 || dims[2] % heads != 0) return Support::no("heads");
  }
  const Problem p = problem_of(spec);
  if (!fits(p)) return Support::no("shapes that do not fit");
  if (!spec.has(kMask)) return {};
  Dims rows = spec.inputs[kMask].dims;
  if (rows.empty() || rows.back() > p.k.rows) return Support::no("mask that is too long");
  rows.back() = 1;
  const Dims all = {p.q.batch, p.q.heads, p.q.rows, 1};
  return rows.size() <= 4 && broadcast(rows, all) == all ? Support{}
                                                         : Support::no("mask that does not fit");
}

Support supports_attention(const NodeSpec& spec) {
  const Attributes& a = spec.node->attributes;
  for (size_t i : {kQ, kK, kV}) {
    if (spec.inputs[i].dtype != DType::kFloat) return Support::no("not float");
  }
  if (spec.has(kMask) && spec.inputs[kMask].dtype != DType::kFloat &&
      spec.inputs[kMask].dtype != DType::kBool)
    return Support::no("mask that is neither float nor bool");
  if (spec.has(4) || spec.has(5)) return Support::no("past keys and values");
  if (spec.has(6)) return Support::no("nonpad_kv_seqlen");
  for (size_t i = 1; i < spec.outputs.size(); ++i) {
    if (spec.outputs[i].present()) return Support::no("more outputs than Y");
  }
  if (a.i("left_window_size", -1) >= 0 || a.i("right_window_size", -1) >= 0)
    return Support::no("window");
  const auto precision = static_cast<DType>(a.i("softmax_precision", 0));
  if (precision != DType::kUndefined && precision != DType::kFloat)
    return Support::no("softmax_precision");
  return supports_shapes(spec);
}

Compiled compile_attention(const NodeSpec& spec, const CompileContext& context) {
  auto kernel = std::make_unique<AttentionKernel>(problem_of(spec), context.threads);
  Compiled compiled;
  compiled.name = "native attention";
  compiled.scratch_bytes = kernel->scratch_bytes();
  compiled.kernel = std::move(kernel);
  return compiled;
}

}  // namespace

const Family kNativeAttention{"native attention", supports_attention, compile_attention};

}  // namespace treadle::cpu
