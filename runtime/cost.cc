// Multiply-adds of the operators that have many: what inspect and profile
// count.
#include <algorithm>

#include "graph/ops/fused_attention.h"
#include "runtime/describe.h"

namespace treadle {
namespace {

int64_t count(const TensorSpec& t) { return element_count(t.dims); }

// Outputs times the weights that each of them meets: W is [M, C/group,
// kernel…].
int64_t conv(const NodeSpec& s, size_t weights) {
  const Dims& w = s.inputs[weights].dims;
  return w.empty() || w[0] == 0 ? 0
                                : capped_mul(count(s.outputs[0]), count(s.inputs[weights]) / w[0]);
}

// Each input pixel meets all windows of one.
int64_t expanded_depthwise(const NodeSpec& s) {
  const Dims& e = s.inputs[1].dims;
  return capped_add(conv(s, 3), e.empty() ? 0 : capped_mul(count(s.inputs[0]), e[0]));
}

// W is [C, M/group, kernel…]: each input meets W[c].
int64_t conv_transpose(const NodeSpec& s) {
  const Dims& w = s.inputs[1].dims;
  return w.empty() || w[0] == 0 ? 0 : capped_mul(count(s.inputs[0]), count(s.inputs[1]) / w[0]);
}

// As many as the convolution has whose gradient it is: its outputs, which come first, times the
// weights that each of them meets.
int64_t conv_gradient(const NodeSpec& s, const TensorSpec& weights) {
  const Dims& w = weights.dims;
  return w.empty() || w[0] == 0 ? 0 : capped_mul(count(s.inputs[0]), count(weights) / w[0]);
}

int64_t gemm(const NodeSpec& s, bool trans_a, size_t first = 0) {
  const Dims& a = s.inputs[first].dims;
  if (a.empty()) return 0;
  return capped_mul(count(s.outputs[0]), trans_a && a.size() > 1 ? a[a.size() - 2] : a.back());
}

// Input and recurrent weights, once a step and batch row.
int64_t recurrent(const NodeSpec& s) {
  const Dims& x = s.inputs[0].dims;
  if (x.size() < 2) return 0;
  const int64_t weights = capped_add(count(s.inputs[1]), count(s.inputs[2]));
  return capped_mul(capped_mul(x[0], x[1]), weights);
}

// Each query meets each key, each result each value; of rank 3 the heads lie in the rows.
int64_t attention(const NodeSpec& s) {
  const Dims& k = s.inputs[1].dims;
  if (k.size() != 3 && k.size() != 4) return 0;
  return capped_mul(capped_add(count(s.inputs[0]), count(s.outputs[0])), k[k.size() - 2]);
}

// Of rank 3 the heads may be some of the columns.
int64_t fused_attention(const NodeSpec& s) {
  const auto of = [&](size_t i, int64_t rank4, int64_t rank3) {
    const Dims& dims = s.inputs[i].dims;
    return dims[static_cast<size_t>(dims.size() == 4 ? rank4 : rank3)];
  };
  const Attributes& a = s.node->attributes;
  const auto size = [&](size_t i) {
    return s.inputs[i].dims.size() == 4 ? s.inputs[i].dims[3] : head_columns(a, i).size;
  };
  const int64_t keys = of(1, 2, sequence_first(a) ? 0 : 1);
  const int64_t results = count(s.outputs[0]) / std::max<int64_t>(size(2), 1);
  return capped_mul(capped_mul(results, capped_add(size(1), size(2))), keys);
}

}  // namespace

int64_t multiply_adds(const NodeSpec& s) {
  const std::string& kind = s.node->op->kind;
  if (kind == "Conv" || kind == "FusedConv" || kind == "ConvInteger" || kind == "QuantizedConv")
    return conv(s, 1);
  if (kind == "ExpandedDepthwise") return expanded_depthwise(s);
  if (kind == "QLinearConv") return conv(s, 3);
  if (kind == "ConvTranspose") return conv_transpose(s);
  if (kind == "MatMul" || kind == "MatMulInteger" || kind == "QLinearMatMul" ||
      kind == "QuantizedMatMul")
    return gemm(s, false);
  if (kind == "Gemm" || kind == "FusedGemm" || kind == "FusedMatMul") {
    return gemm(s, s.node->attributes.i("transA", 0) != 0);
  }
  if (kind == "GemmUpdate") return gemm(s, s.node->attributes.i("transA", 0) != 0, 1);
  if (kind == "ConvGradInput") return conv_gradient(s, s.inputs[1]);
  if (kind == "ConvGradWeights") return conv_gradient(s, s.outputs[0]);
  if (kind == "LSTM" || kind == "GRU" || kind == "RNN") return recurrent(s);
  if (kind == "Attention") return attention(s);
  if (kind == "FusedAttention") return fused_attention(s);
  return 0;
}

}  // namespace treadle
