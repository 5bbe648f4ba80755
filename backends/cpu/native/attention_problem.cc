#include "backends/cpu/native/attention_problem.h"

#include <algorithm>
#include <cmath>

#include "graph/ops/fused_attention.h"

namespace treadle::cpu {
namespace {

bool is_fused(const NodeSpec& spec) { return spec.node->is("FusedAttention", "treadle"); }

Heads whole(const Dims& dims) {
  const int64_t head = dims[2] * dims[3];
  return {dims[0], dims[1], dims[2], dims[3], dims[1] * head, head, dims[3]};
}

Heads in_rows(const Dims& dims, const HeadColumns& columns, bool turned) {
  Heads h{dims[0], columns.heads, dims[1], columns.size, dims[1] * dims[2], columns.size, dims[2]};
  if (turned) {
    std::swap(h.batch, h.rows);
    h.batch_stride = dims[2];
    h.row_stride = dims[1] * dims[2];
  }
  h.start = columns.start;
  return h;
}

// The columns of input `i`, of rank 3, that are its heads; no heads where they do not fit.
HeadColumns columns_of(const NodeSpec& spec, size_t i) {
  const Attributes& a = spec.node->attributes;
  const int64_t width = spec.inputs[i].dims[2];
  if (is_fused(spec)) {
    const HeadColumns columns = head_columns(a, i);
    return columns.end() <= width ? columns : HeadColumns{};
  }
  const int64_t heads = a.i(i == kQ ? "q_num_heads" : "kv_num_heads", 0);
  return heads > 0 && width % heads == 0 ? HeadColumns{0, heads, width / heads} : HeadColumns{};
}

Heads heads_of(const NodeSpec& spec, size_t i) {
  const Dims& dims = spec.inputs[i].dims;
  const bool turned = is_fused(spec) && sequence_first(spec.node->attributes);
  return dims.size() == 4 ? whole(dims) : in_rows(dims, columns_of(spec, i), turned);
}

Heads results_of(const NodeSpec& spec, const Heads& q, int64_t size) {
  const Dims& dims = spec.outputs[0].dims;
  const bool turned = is_fused(spec) && sequence_first(spec.node->attributes);
  return dims.size() == 4 ? whole(dims) : in_rows(dims, {0, q.heads, size}, turned);
}

Rows rows_of(const NodeSpec& spec, size_t input) {
  Rows r;
  r.input = input;
  r.now = heads_of(spec, input);
  if (spec.has(input + kPast)) r.past = whole(spec.inputs[input + kPast].dims);
  r.kept = input < spec.outputs.size() && spec.outputs[input].present();
  return r;
}

bool same_heads(const Heads& a, const Heads& b) { return a.batch == b.batch && a.heads == b.heads; }

bool fits(const Rows& r) {
  return r.past.batch == 0 || (same_heads(r.past, r.now) && r.past.size == r.now.size);
}

bool fits(const AttentionProblem& p) {
  return p.k.now.batch == p.q.batch && same_heads(p.k.now, p.v.now) && fits(p.k) && fits(p.v) &&
         p.k.count() == p.v.count() && p.k.past.rows == p.v.past.rows && p.k.size() == p.q.size &&
         p.q.heads % p.k.now.heads == 0;
}

Support supports_shapes(const NodeSpec& spec) {
  for (size_t i : {kQ, kK, kV}) {
    const Dims& dims = spec.inputs[i].dims;
    if (element_count(dims) == 0) return Support::no("no elements");
    if (dims.size() == 4) continue;
    if (dims.size() != 3 || columns_of(spec, i).heads == 0) return Support::no("heads");
  }
  for (size_t i : {kK + kPast, kV + kPast}) {
    if (spec.has(i) != spec.has(kK + kPast)) return Support::no("half a past");
    if (spec.has(i) && spec.inputs[i].dims.size() != 4) return Support::no("a past's rank");
  }
  const AttentionProblem p = attention_problem(spec);
  if (!fits(p)) return Support::no("shapes that do not fit");
  if (p.padded && spec.inputs[kValid].dims != Dims{p.q.batch})
    return Support::no("nonpad_kv_seqlen that does not fit");
  if (!spec.has(kMask)) return {};
  Dims rows = spec.inputs[kMask].dims;
  if (rows.empty() || rows.back() > p.k.count()) return Support::no("mask that is too long");
  rows.back() = 1;
  const Dims all = {p.q.batch, p.q.heads, p.q.rows, 1};
  return rows.size() <= 4 && broadcast(rows, all) == all ? Support{}
                                                         : Support::no("mask that does not fit");
}

}  // namespace

AttentionProblem attention_problem(const NodeSpec& spec) {
  const Attributes& a = spec.node->attributes;
  AttentionProblem p;
  p.q = heads_of(spec, kQ);
  p.k = rows_of(spec, kK);
  p.v = rows_of(spec, kV);
  p.y = results_of(spec, p.q, p.v.size());
  if (spec.has(kMask)) {
    Dims rows = spec.inputs[kMask].dims;
    p.mask_columns = rows.back();
    rows.back() = 1;
    p.mask = broadcast_strides(rows, {p.q.batch, p.q.heads, p.q.rows, 1});
    p.mask_is_bool = spec.inputs[kMask].dtype == DType::kBool;
  }
  p.causal = a.i("is_causal", 0) != 0;
  p.padded = spec.has(kValid);
  p.left = std::min(a.i("left_window_size", -1), kFar);
  p.right = std::min(a.i("right_window_size", -1), kFar);
  p.scale = a.has("scale") ? a.f("scale", 1) : 1 / std::sqrt(static_cast<float>(p.q.size));
  p.softcap = a.f("softcap", 0);
  return p;
}

Range visible(const AttentionProblem& p, int64_t valid, int64_t i) {
  const int64_t past = p.k.past.rows;
  const int64_t position = i + (past > 0 || !p.padded ? past : valid - p.q.rows);
  int64_t end = p.k.count();
  if (p.padded) end = std::min(end, valid);
  if (!p.mask.empty()) end = std::min(end, p.mask_columns);
  if (p.causal) end = std::min(end, position + 1);
  if (p.right >= 0) end = std::min(end, position + p.right + 1);
  end = std::max<int64_t>(end, 0);
  const int64_t begin = p.left >= 0 ? std::max<int64_t>(position - p.left, 0) : 0;
  return {std::min(begin, end), end};
}

Support supports_attention(const NodeSpec& spec) {
  const Attributes& a = spec.node->attributes;
  const DType dtype = spec.inputs[kQ].dtype;
  if (dtype == DType::kDouble) return Support::no("double");
  if (spec.inputs[kV].dtype != dtype) return Support::no("values of another type");
  if (spec.has(kMask) && spec.inputs[kMask].dtype != dtype &&
      spec.inputs[kMask].dtype != DType::kBool)
    return Support::no("mask that is neither of Q's type nor bool");
  if (spec.outputs.size() > 3 && spec.outputs[3].present()) return Support::no("qk_matmul_output");
  if (a.i("left_window_size", -1) < -1 || a.i("right_window_size", -1) < -1)
    return Support::no("window below -1");
  const auto precision = static_cast<DType>(a.i("softmax_precision", 0));
  if (precision != DType::kUndefined && precision != DType::kFloat)
    return Support::no("softmax_precision");
  return supports_shapes(spec);
}

}  // namespace treadle::cpu
