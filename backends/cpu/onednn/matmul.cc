#include "backends/cpu/onednn/matmul.h"

#include <algorithm>

#include "backends/cpu/onednn/onednn.h"
#include "backends/cpu/onednn/post_ops.h"
#include "backends/cpu/product.h"

namespace treadle::cpu {
namespace {

using dnnl::algorithm;
using InnerProduct = dnnl::inner_product_forward;

constexpr size_t kA = 0, kB = 1, kBias = 2, kZ = 3;
constexpr size_t kMaxRank = 12;  // oneDNN's

DnnlDesc desc_of(const Matrix& m) { return describe(DType::kFloat, m.dims, m.strides); }

bool is_gemm(const Node& node) { return node.op->kind == "Gemm" || node.op->kind == "FusedGemm"; }

Support supports_matmul(const NodeSpec& spec) {
  if (Support s = supports_f32(spec); !s.ok) return s;
  if (Support s = supports_epilogue(*spec.node); !s.ok) return s;
  if (std::max(spec.inputs[kA].dims.size(), spec.inputs[kB].dims.size()) > kMaxRank)
    return Support::no("rank");
  if (spec.has(kZ) && spec.inputs[kZ].dims != spec.outputs[0].dims)
    return Support::no("residual that is broadcast");
  if (spec.has(kBias) && spec.inputs[kBias].dims.size() > spec.outputs[0].dims.size())
    return Support::no("bias rank");
  if (spec.has(kBias) && !is_gemm(*spec.node) &&
      element_count(spec.inputs[kBias].dims) != spec.outputs[0].dims.back()) {
    return Support::no("bias that is not one a column");
  }
  return {};
}

// The addend: the primitive's bias where it is one value a column and unscaled; else a binary
// post-operation.
struct Addend {
  bool bias = false;
  bool binary = false;
  Dims dims;  // as many as y has
};

Addend addend_of(const NodeSpec& spec, const Product& p) {
  if (!spec.has(kBias) || p.addend_scale == 0) return {};
  const Dims& given = spec.inputs[kBias].dims;
  const bool per_column = !given.empty() && given.back() == p.n() && element_count(given) == p.n();
  Addend a;
  a.dims.assign(p.y.size(), 1);
  if (per_column) {
    a.dims.back() = p.n();
  } else {
    std::copy_backward(given.begin(), given.end(), a.dims.end());
  }
  a.bias = per_column && p.scale == 1 && p.addend_scale == 1;
  a.binary = !a.bias;
  return a;
}

struct Attributed {
  dnnl::primitive_attr attributes;
  int addend_index = 0;  // of the binary post-operation
};

// scale·ab + beta·c = beta·(scale/beta·ab + c).
Attributed attributed(const NodeSpec& spec, const Product& p, const Addend& addend) {
  dnnl::post_ops ops;
  Attributed out;
  const float inner = addend.binary ? p.scale / p.addend_scale : p.scale;
  if (inner != 1) ops.append_eltwise(algorithm::eltwise_linear, inner, 0);
  if (addend.binary) {
    out.addend_index = ops.len();
    ops.append_binary(algorithm::binary_add,
                      describe(DType::kFloat, addend.dims, strides_of(addend.dims)));
    if (p.addend_scale != 1) ops.append_eltwise(algorithm::eltwise_linear, p.addend_scale, 0);
  }
  if (spec.has(kZ)) ops.append_sum();
  append_activation(ops, epilogue_of(*spec.node));
  out.attributes = user_scratch_attributes();
  out.attributes.set_post_ops(ops);
  return out;
}

// One primitive, its descriptors and how `b` is described to be packed.
struct Chosen {
  dnnl::primitive primitive;
  dnnl::primitive_desc pd;
  DnnlDesc b_plain;
  DnnlDesc bias;
};

// `b`: the layout of the right side, perhaps any.
void choose_matmul(const Product& p, const Addend& addend, const dnnl::primitive_attr& attributes,
                   const DnnlDesc& b, Chosen& out) {
  out.bias =
      addend.bias ? describe(DType::kFloat, addend.dims, strides_of(addend.dims)) : DnnlDesc();
  out.b_plain = desc_of(p.b);
  const dnnl::matmul::primitive_desc pd(engine(), desc_of(p.a), b, out.bias,
                                        describe(DType::kFloat, p.y, strides_of(p.y)), attributes);
  out.primitive = dnnl::matmul(pd);
  out.pd = pd;
}

bool choose_inner_product(const Product& p, const Addend& addend,
                          const dnnl::primitive_attr& attributes, const DnnlDesc* packed,
                          Chosen& out) {
  if (p.a.strides.back() != 1) return false;
  const Dims weights = {p.n(), p.k()};
  out.bias = addend.bias ? describe(DType::kFloat, {p.n()}, DnnlTag::a) : DnnlDesc();
  const InnerProduct::primitive_desc pd(
      engine(), dnnl::prop_kind::forward_inference, desc_of(p.a),
      packed != nullptr ? *packed : any_layout(DType::kFloat, weights), out.bias,
      describe(DType::kFloat, p.y, strides_of(p.y)), attributes, true);
  if (!pd || is_slow(pd.impl_info_str())) return false;
  out.primitive = InnerProduct(pd);
  out.b_plain = describe(DType::kFloat, weights, {p.b.strides[1], p.b.strides[0]});
  out.pd = pd;
  return true;
}

// Of two matrices, the right one constant. oneDNN's matrix product is the faster one, but where it
// does not pack (AVX2) its inner product does. `packed`: how the right side is packed already.
bool choose_packed(const Product& p, const Addend& addend, const dnnl::primitive_attr& attributes,
                   const DnnlDesc* packed, Chosen& out) {
  if (packed == nullptr || packed->get_dims() == p.b.dims) {
    choose_matmul(p, addend, attributes,
                  packed != nullptr ? *packed : any_layout(DType::kFloat, p.b.dims), out);
    if (!is_slow(out.pd.impl_info_str())) return true;
  }
  return choose_inner_product(p, addend, attributes, packed, out);
}

// The rows that each thread takes, where oneDNN's own blocks of rows would leave threads idle: 197
// rows on two threads are 128 and 69. Few rows are better shared by columns, as oneDNN does.
std::vector<int64_t> shares(int64_t rows, int threads) {
  constexpr int64_t kBlock = 64, kFewest = 48, kMost = 512;
  const int64_t share = rows / threads;
  if (threads == 1 || rows % kBlock == 0 || share < kFewest || share > kMost) return {};
  std::vector<int64_t> each;
  for (int t = 0; t < threads; ++t) each.push_back(rows * (t + 1) / threads - rows * t / threads);
  return each;
}

// One product for each thread's rows, over the same packed weights; none where that is of no
// use.
std::vector<Chosen> choose_shared(const Product& p, const Addend& addend,
                                  const dnnl::primitive_attr& attributes, int threads) {
  if (addend.binary && addend.dims.front() != 1) return {};
  const ThreadScope alone(1);
  std::vector<Chosen> parts;
  for (const int64_t rows : shares(p.m(), threads)) {
    Product part = p;
    part.a.dims.front() = part.y.front() = rows;
    Chosen chosen;
    DnnlDesc packed;
    if (!parts.empty()) packed = parts.front().pd.query_md(dnnl::query::weights_md);
    if (!choose_packed(part, addend, attributes, parts.empty() ? nullptr : &packed, chosen))
      return {};
    parts.push_back(std::move(chosen));
  }
  return parts;
}

std::vector<Chosen> choose(const Product& p, const Addend& addend,
                           const dnnl::primitive_attr& attributes, bool packs, int threads) {
  std::vector<Chosen> parts;
  if (packs && p.y.size() == 2) parts = choose_shared(p, addend, attributes, threads);
  if (!parts.empty()) return parts;
  Chosen whole;
  if (!packs || p.y.size() != 2 || !choose_packed(p, addend, attributes, nullptr, whole))
    choose_matmul(p, addend, attributes, packs ? any_layout(DType::kFloat, p.b.dims) : desc_of(p.b),
                  whole);
  parts.push_back(std::move(whole));
  return parts;
}

Compiled compile_matmul(const NodeSpec& spec, const CompileContext& context) {
  const ThreadScope threads(context.threads);
  const Product p = product_of(spec.node->attributes, spec.inputs[kA].dims, spec.inputs[kB].dims);
  const Tensor* constant = spec.constant(kB);
  const Addend addend = addend_of(spec, p);
  return dnnl_guard("matrix product", [&] {
    const Attributed attr = attributed(spec, p, addend);
    const std::vector<Chosen> parts =
        choose(p, addend, attr.attributes, constant != nullptr, context.threads);
    KernelBuilder builder;
    const DnnlDesc b_wanted = parts.front().pd.query_md(dnnl::query::weights_md);
    const Operand b = constant != nullptr
                          ? builder.add_packed(context, *constant, parts.front().b_plain, b_wanted)
                          : Operand::input(kB);
    size_t a_at = 0, y_at = 0;
    for (const Chosen& c : parts) {
      const DnnlDesc a = c.pd.query_md(dnnl::query::src_md), y = c.pd.query_md(dnnl::query::dst_md);
      std::vector<Argument> arguments = {{DNNL_ARG_SRC, a, Operand::input(kA, a_at)},
                                         {DNNL_ARG_WEIGHTS, b_wanted, b},
                                         {DNNL_ARG_DST, y, Operand::output(0, y_at)}};
      if (addend.bias) arguments.push_back({DNNL_ARG_BIAS, c.bias, Operand::input(kBias)});
      if (addend.binary) {
        arguments.push_back({DNNL_ARG_ATTR_MULTIPLE_POST_OP(attr.addend_index) | DNNL_ARG_SRC_1,
                             describe(DType::kFloat, addend.dims, strides_of(addend.dims)),
                             Operand::input(kBias)});
      }
      builder.add(c.primitive, c.pd, std::move(arguments));
      a_at += a.get_size();
      y_at += y.get_size();
    }
    if (spec.has(kZ))
      builder.copy_first(kZ, static_cast<size_t>(element_count(p.y)) * sizeof(float));
    const bool shared = parts.size() > 1;
    Compiled compiled =
        builder.finish(cat(parts.front().pd.impl_info_str(), shared ? " by rows" : ""),
                       shared ? context.threads : 1);
    compiled.reads.assign(spec.inputs.size(), true);
    compiled.reads[kB] = constant == nullptr;
    if (spec.has(kZ)) compiled.in_place = {{kZ}};
    return compiled;
  });
}

}  // namespace

const Family kOnednnMatMul = {"onednn matmul", supports_matmul, compile_matmul};

}  // namespace treadle::cpu
