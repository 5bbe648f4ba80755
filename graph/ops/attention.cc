// Attention: scaled dot product with masks, windows, grouped heads and caches.
#include <algorithm>

#include "graph/ops/arithmetic.h"
#include "graph/ops/cast.h"
#include "graph/ops/families.h"
#include "graph/ops/iterate.h"
#include "graph/ops/op.h"

namespace treadle {
namespace {

// What the attributes and inputs say, with every tensor as [batch, heads, sequence, size] in the
// wide type.
struct AttentionProblem {
  Tensor q;
  Tensor k;  // past and new
  Tensor v;
  Tensor mask;                 // additive, or undefined
  std::vector<int64_t> valid;  // nonpad_kv_seqlen, or empty
  int64_t past = 0;
  int64_t left = -1;
  int64_t right = -1;
  bool causal = false;
  double scale = 1;
  double softcap = 0;
  int64_t mode = 0;                     // which stage output 3 shows
  DType precision = DType::kUndefined;  // softmax_precision
  DType dtype = DType::kFloat;          // of Q

  int64_t batch() const { return q.dim(0); }
  int64_t heads() const { return q.dim(1); }
  int64_t queries() const { return q.dim(2); }
  int64_t keys() const { return k.dim(2); }
};

// [batch, sequence, heads * size] as [batch, heads, sequence, size], or back.
template <class C>
void swap_heads(const Tensor& from, Tensor& to,
                const Dims& split) {  // split: [batch, sequence, heads, size]
  const Dims plain = strides_of(split);
  const Dims order = {split[0], split[2], split[1], split[3]};
  const Dims swapped = strides_of(order);
  const bool outward = to.dims() == order;
  const Dims permuted = {plain[0], plain[2], plain[1], plain[3]};
  for_each_row<2>(order, {outward ? permuted : swapped, outward ? swapped : permuted},
                  [&](const Row<2>& row) {
                    const C* x = from.data<C>().data() + row.at[0];
                    C* y = to.data<C>().data() + row.at[1];
                    for (int64_t i = 0; i < row.count; ++i) y[i * row.step[1]] = x[i * row.step[0]];
                  });
}

template <class C>
Tensor with_heads(const Tensor& x, int64_t heads, std::string_view name) {
  Tensor wide = cast_tensor(x, dtype_of<C>);
  if (x.rank() == 4) return wide;
  TREADLE_CHECK(x.rank() == 3, kInvalidArgument, name, " has shape ", shape_text(x.dims()),
                ", expected rank 3 or 4");
  TREADLE_CHECK(heads > 0 && x.dim(2) % heads == 0, kInvalidModel, name, " of shape ",
                shape_text(x.dims()), " does not split into ", heads, " heads");
  const Dims split = {x.dim(0), x.dim(1), heads, x.dim(2) / heads};
  Tensor y(wide.dtype(), {split[0], split[2], split[1], split[3]});
  swap_heads<C>(wide, y, split);
  return y;
}

// Past and new keys or values, joined along the sequence.
template <class C>
Tensor with_past(EvalContext& c, size_t input, Tensor fresh) {
  if (!c.has(input)) return fresh;
  const Tensor past = cast_tensor(c.input(input), dtype_of<C>);
  TREADLE_CHECK(past.rank() == 4 && past.dim(0) == fresh.dim(0) && past.dim(1) == fresh.dim(1) &&
                    past.dim(3) == fresh.dim(3),
                kInvalidArgument, "a past of shape ", shape_text(past.dims()), " does not fit ",
                shape_text(fresh.dims()));
  Tensor all(dtype_of<C>,
             {past.dim(0), past.dim(1), checked_add(past.dim(2), fresh.dim(2)), past.dim(3)});
  const int64_t before = past.dim(2) * past.dim(3);
  const int64_t after = fresh.dim(2) * fresh.dim(3);
  C* to = all.data<C>().data();
  for (int64_t i = 0; i < past.dim(0) * past.dim(1); ++i) {
    to = std::copy_n(past.data<C>().data() + i * before, before, to);
    to = std::copy_n(fresh.data<C>().data() + i * after, after, to);
  }
  return all;
}

// A mask as numbers to add; False forbids.
template <class C>
Tensor additive_mask(const Tensor& mask) {
  if (mask.dtype() != DType::kBool) return cast_tensor(mask, dtype_of<C>);
  Tensor y(dtype_of<C>, mask.dims());
  map_unary<bool, C>(
      mask, y, [](bool allowed) { return allowed ? C{0} : -std::numeric_limits<C>::infinity(); });
  return y;
}

template <class C>
AttentionProblem read_problem(EvalContext& c) {
  const Attributes& a = c.attributes();
  AttentionProblem p;
  p.dtype = c.dtype(0);
  p.q = with_heads<C>(c.input(0), a.i("q_num_heads", 0), "Q");
  p.k = with_past<C>(c, 4, with_heads<C>(c.input(1), a.i("kv_num_heads", 0), "K"));
  p.v = with_past<C>(c, 5, with_heads<C>(c.input(2), a.i("kv_num_heads", 0), "V"));
  TREADLE_CHECK(c.has(4) == c.has(5), kInvalidModel,
                "past_key and past_value must be given together");
  TREADLE_CHECK(p.k.dim(0) == p.batch() && p.v.dim(0) == p.batch() && p.k.dim(1) == p.v.dim(1) &&
                    p.k.dim(2) == p.v.dim(2) && p.k.dim(3) == p.q.dim(3) && p.k.dim(1) > 0 &&
                    p.heads() % p.k.dim(1) == 0,
                kInvalidArgument,
                "Q, K and V as [batch, heads, sequence, size] do not fit: ", shape_text(p.q.dims()),
                ", ", shape_text(p.k.dims()), ", ", shape_text(p.v.dims()));
  if (c.has(4)) p.past = c.input(4).dim(2);
  if (c.has(3)) p.mask = additive_mask<C>(c.input(3));
  if (c.has(6)) {
    p.valid = c.input(6).to_ints();
    TREADLE_CHECK(static_cast<int64_t>(p.valid.size()) == p.batch(), kInvalidArgument,
                  "nonpad_kv_seqlen has ", p.valid.size(), " elements, expected ", p.batch());
  }
  p.left = a.i("left_window_size", -1);
  p.right = a.i("right_window_size", -1);
  TREADLE_CHECK(p.left >= -1 && p.right >= -1, kInvalidModel,
                "window sizes must be -1 or more, got ", p.left, " and ", p.right);
  p.causal = a.i("is_causal", 0) != 0;
  const auto size = static_cast<double>(p.q.dim(3));
  p.scale = a.has("scale") ? static_cast<double>(a.f("scale", 1)) : 1 / std::sqrt(size);
  p.softcap = static_cast<double>(a.f("softcap", 0));
  p.mode = a.i("qk_matmul_output_mode", 0);
  p.precision = static_cast<DType>(a.i("softmax_precision", 0));
  return p;
}

double rounded(double x, DType dtype) {
  switch (dtype) {
    case DType::kFloat: return static_cast<double>(static_cast<float>(x));
    case DType::kFloat16: return static_cast<double>(Float16(static_cast<float>(x)));
    case DType::kBfloat16: return static_cast<double>(Bfloat16(static_cast<float>(x)));
    default: return x;
  }
}

constexpr double kForbidden = -std::numeric_limits<double>::infinity();

// The additive bias of one query row: the mask, then causality, window and padding.
template <class C>
void fill_bias(const AttentionProblem& p, int64_t b, int64_t i, const C* mask,
               std::vector<double>& bias) {
  const int64_t valid = p.valid.empty() ? p.keys() : p.valid[static_cast<size_t>(b)];
  const int64_t offset = p.past > 0 || p.valid.empty() ? p.past : subtract(valid, p.queries());
  const int64_t position = add(i, offset);
  const int64_t given = p.mask.defined() ? p.mask.dim(p.mask.dims().size() - 1) : p.keys();
  for (int64_t j = 0; j < p.keys(); ++j) {
    const bool allowed = j < valid && j < given && (!p.causal || j <= position) &&
                         (p.left < 0 || subtract(position, j) <= p.left) &&
                         (p.right < 0 || subtract(j, position) <= p.right);
    bias[static_cast<size_t>(j)] = !allowed          ? kForbidden
                                   : mask != nullptr ? static_cast<double>(mask[j])
                                                     : 0;
  }
}

// Softmax in place; a row with nothing to attend becomes zeros.
void softmax_row(std::vector<double>& row, bool empty) {
  const double most = row.empty() ? 0 : *std::max_element(row.begin(), row.end());
  double sum = 0;
  for (double& x : row) {
    x = empty || most == kForbidden ? 0 : std::exp(x - most);
    sum += x;
  }
  if (sum == 0) return;
  for (double& x : row) x /= sum;
}

// The rows of one head: y[i] = softmax(q[i] k^T * scale + bias) v; `shown` gets the stage that
// output 3 asks for.
template <class C>
void attend(const AttentionProblem& p, int64_t b, int64_t h, C* y, C* shown) {
  const int64_t kv = b * p.k.dim(1) + h / (p.heads() / p.k.dim(1));
  const int64_t size = p.k.dim(3);
  const int64_t width = p.v.dim(3);
  const C* q = p.q.data<C>().data() + (b * p.heads() + h) * p.queries() * size;
  const C* k = p.k.data<C>().data() + kv * p.keys() * size;
  const C* v = p.v.data<C>().data() + kv * p.keys() * width;
  const bool masked = p.mask.defined();
  Dims rows = masked ? p.mask.dims() : Dims{};
  if (masked) rows.back() = 1;  // its columns may be fewer than the keys
  const Dims steps = broadcast_strides(rows, {p.batch(), p.heads(), p.queries(), 1});
  const int64_t columns = masked ? p.mask.dim(rows.size() - 1) : 0;
  const C* mask =
      masked ? p.mask.data<C>().data() + (b * steps[0] + h * steps[1]) * columns : nullptr;

  std::vector<double> row(static_cast<size_t>(p.keys()));
  std::vector<double> bias(row.size());
  std::vector<double> sums(static_cast<size_t>(width));
  auto show = [&](int64_t stage, int64_t i) {
    if (shown == nullptr || stage != p.mode) return;
    for (size_t j = 0; j < row.size(); ++j)
      shown[i * p.keys() + static_cast<int64_t>(j)] = static_cast<C>(row[j]);
  };
  for (int64_t i = 0; i < p.queries(); ++i) {
    fill_bias(p, b, i, masked ? mask + i * steps[2] * columns : nullptr, bias);
    for (int64_t j = 0; j < p.keys(); ++j) {
      double dot = 0;
      for (int64_t d = 0; d < size; ++d)
        dot += static_cast<double>(q[i * size + d]) * static_cast<double>(k[j * size + d]);
      row[static_cast<size_t>(j)] = dot * p.scale;
    }
    show(0, i);
    if (p.softcap > 0) {
      for (double& x : row) x = std::tanh(x / p.softcap) * p.softcap;
    }
    show(1, i);
    for (size_t j = 0; j < row.size(); ++j) row[j] += bias[j];
    show(2, i);
    for (double& x : row) x = rounded(x, p.precision);
    softmax_row(row, std::ranges::all_of(bias, [](double x) { return x == kForbidden; }));
    for (double& x : row) x = rounded(rounded(x, p.precision), p.dtype);
    show(3, i);
    std::fill(sums.begin(), sums.end(), 0.0);
    for (int64_t j = 0; j < p.keys(); ++j) {
      const double weight = row[static_cast<size_t>(j)];
      if (weight == 0) continue;
      for (int64_t d = 0; d < width; ++d)
        sums[static_cast<size_t>(d)] += weight * static_cast<double>(v[j * width + d]);
    }
    for (int64_t d = 0; d < width; ++d)
      y[i * width + d] = static_cast<C>(sums[static_cast<size_t>(d)]);
  }
}

void put(EvalContext& c, size_t output, const Tensor& wide, DType dtype) {
  if (c.wants(output))
    copy_elements(cast_tensor(wide, dtype), c.output(output, dtype, wide.dims()));
}

template <class C>
void run_attention(EvalContext& c) {
  const AttentionProblem p = read_problem<C>(c);
  const Dims all = {p.batch(), p.heads(), p.queries(), p.keys()};
  if (p.mask.defined()) {
    TREADLE_CHECK(p.mask.rank() >= 1 && p.mask.rank() <= 4, kInvalidArgument,
                  "attn_mask has shape ", shape_text(p.mask.dims()), ", expected rank 1 to 4");
    Dims rows = p.mask.dims();
    TREADLE_CHECK(rows.back() <= p.keys(), kInvalidArgument, "attn_mask has shape ",
                  shape_text(rows), ", but there are only ", p.keys(), " keys");
    rows.back() = 1;
    TREADLE_CHECK(broadcast(rows, all) == all, kInvalidArgument, "attn_mask of shape ",
                  shape_text(p.mask.dims()), " does not broadcast to ", shape_text(all));
  }
  Tensor y(dtype_of<C>, {p.batch(), p.heads(), p.queries(), p.v.dim(3)});
  Tensor shown = c.wants(3) ? Tensor(dtype_of<C>, all) : Tensor();
  for (int64_t b = 0; b < p.batch(); ++b) {
    for (int64_t h = 0; h < p.heads(); ++h) {
      c.poll();
      const int64_t at = (b * p.heads() + h) * p.queries();
      attend<C>(p, b, h, y.data<C>().data() + at * p.v.dim(3),
                shown.defined() ? shown.data<C>().data() + at * p.keys() : nullptr);
    }
  }
  if (c.input(0).rank() == 3) {
    Tensor merged(dtype_of<C>, {p.batch(), p.queries(), p.heads() * p.v.dim(3)});
    swap_heads<C>(y, merged, {p.batch(), p.queries(), p.heads(), p.v.dim(3)});
    y = merged;
  }
  copy_elements(cast_tensor(y, p.dtype), c.output(0, p.dtype, y.dims()));
  put(c, 1, p.k, p.dtype);
  put(c, 2, p.v, c.dtype(2));
  if (shown.defined()) put(c, 3, shown, p.dtype);
}

void eval_attention(EvalContext& c) {
  c.dtype(0) == DType::kDouble ? run_attention<double>(c) : run_attention<float>(c);
}

// [batch, heads, sequence, size] of an input.
Shape shape_with_heads(InferContext& c, size_t input, const char* attribute) {
  const Shape& x = c.shape(input);
  if (x.size() == 4) return x;
  const int64_t heads = c.attributes().i(attribute, 0);
  TREADLE_CHECK(x.size() == 3 && heads > 0, kInvalidModel, "input '",
                c.node().op->input(input).name, "' has shape ", shape_text(x), " and '", attribute,
                "' is ", heads, ": expected rank 4, or rank 3 and a number of heads");
  return {x[0], heads, x[1], Dim::floor_div(x[2], heads)};
}

void infer_attention(InferContext& c) {
  const Shape q = shape_with_heads(c, 0, "q_num_heads");
  Shape k = shape_with_heads(c, 1, "kv_num_heads");
  Shape v = shape_with_heads(c, 2, "kv_num_heads");
  for (auto& [past, present] : {std::pair<size_t, Shape*>{4, &k}, {5, &v}}) {
    if (!c.has(past)) continue;
    TREADLE_CHECK(c.rank(past) == 4, kInvalidModel, "a past has shape ", shape_text(c.shape(past)),
                  ", expected rank 4");
    (*present)[2] = (*present)[2] + c.shape(past)[2];
  }
  c.set_shape(0, c.rank(0) == 3 ? Shape{q[0], q[2], q[1] * v[3]} : Shape{q[0], q[1], q[2], v[3]});
  c.set_shape(1, k);
  c.set_shape(2, v);
  c.set_shape(3, {q[0], q[1], q[2], k[2]});
}

constexpr OpDef kRows[] = {
    {.kind = "Attention",
     .inputs = "Q:T1 K:T1 V:T2 attn_mask?:U past_key?:T1 past_value?:T2 nonpad_kv_seqlen?:int64",
     .outputs = "Y:T1 present_key?:T1 present_value?:T2 qk_matmul_output?:T1",
     .types = "T1=floats T2=floats U=numbers,bool",
     .attributes =
         "right_window_size:i=-1 left_window_size:i=-1 qk_matmul_output_mode:i=0 softcap:f=0 "
         "softmax_precision:i kv_num_heads:i q_num_heads:i scale:f is_causal:i=0",
     .infer = infer_attention,
     .eval = eval_attention},
};

}  // namespace

std::span<const OpDef> attention_ops() { return kRows; }

}  // namespace treadle
