// Operators that carry a state from step to step instead of attending to all steps:
// LinearAttention, CausalConvWithState.
#include "graph/ops/arithmetic.h"
#include "graph/ops/families.h"
#include "graph/ops/op.h"

namespace treadle {
namespace {

// ---- LinearAttention

struct Heads {
  int64_t query;
  int64_t kv;
};

Heads heads_of(const Attributes& a) {
  const Heads heads{a.i("q_num_heads", 0), a.i("kv_num_heads", 0)};
  TREADLE_CHECK(heads.kv > 0 && heads.query > 0 && heads.query % heads.kv == 0, kInvalidModel,
                "q_num_heads is ", heads.query, " and kv_num_heads ", heads.kv,
                ": expected a positive multiple");
  return heads;
}

void infer_linear_attention(InferContext& c) {
  if (!c.has(3)) c.set_dtype(1, c.dtype(0));
  const Heads heads = heads_of(c.attributes());
  const Shape& q = c.shape(0);
  const Shape& v = c.shape(2);
  TREADLE_CHECK(q.size() == 3 && v.size() == 3, kInvalidModel, "query of shape ", shape_text(q),
                " and value of shape ", shape_text(v), ", expected rank 3");
  const Dim size = Dim::floor_div(v[2], heads.kv);
  c.set_shape(0, {q[0], q[1], size * heads.query});
  c.set_shape(1, {q[0], heads.kv, Dim::floor_div(q[2], heads.query), size});
}

// Everything in double; the state is decayed by e^g and moved towards v, at the rate beta.
struct Recurrence {
  Heads heads;
  int64_t batch = 0;
  int64_t steps = 0;
  int64_t key = 0;    // size of a head's key and query
  int64_t value = 0;  // of its value
  bool gated = false;
  bool delta = false;
  double scale = 1;
  std::vector<double> q, k, v, decay, beta;
  int64_t decays = 0;  // a step: kv heads, or kv heads * key
  int64_t betas = 0;   // a step: 1 or kv heads
};

// The numbers of an input of rank 3 whose first dims are batch and steps.
std::vector<double> read_steps(const EvalContext& c, size_t input, const Recurrence& r) {
  const Tensor& t = c.input(input);
  TREADLE_CHECK(t.rank() == 3 && t.dim(0) == r.batch && t.dim(1) == r.steps, kInvalidArgument,
                "input '", c.node().op->input(input).name, "' has shape ", shape_text(t.dims()),
                ", expected [", r.batch, ", ", r.steps, ", …]");
  return t.to_doubles();
}

void read_rule(EvalContext& c, Recurrence& r) {
  const std::string rule = c.attributes().s("update_rule", "gated_delta");
  TREADLE_CHECK(rule == "linear" || rule == "gated" || rule == "delta" || rule == "gated_delta",
                kInvalidModel, "attribute update_rule is '", rule,
                "', expected linear, gated, delta or gated_delta");
  r.gated = rule == "gated" || rule == "gated_delta";
  r.delta = rule == "delta" || rule == "gated_delta";
  TREADLE_CHECK(c.has(4) == r.gated && c.has(5) == r.delta, kInvalidModel, "update_rule ", rule,
                r.gated ? " needs" : " takes no", " decay and", r.delta ? " needs" : " takes no",
                " beta");
  if (r.gated) {
    r.decay = read_steps(c, 4, r);
    r.decays = c.input(4).dim(2);
    TREADLE_CHECK(r.decays == r.heads.kv || r.decays == r.heads.kv * r.key, kInvalidArgument,
                  "decay has shape ", shape_text(c.input(4).dims()), ", expected a last dim of ",
                  r.heads.kv, " or ", r.heads.kv * r.key);
  }
  if (r.delta) {
    r.beta = read_steps(c, 5, r);
    r.betas = c.input(5).dim(2);
    TREADLE_CHECK(r.betas == r.heads.kv || r.betas == 1, kInvalidArgument, "beta has shape ",
                  shape_text(c.input(5).dims()), ", expected a last dim of ", r.heads.kv, " or 1");
  }
}

Recurrence read_recurrence(EvalContext& c) {
  Recurrence r;
  r.heads = heads_of(c.attributes());
  const Tensor& q = c.input(0);
  TREADLE_CHECK(q.rank() == 3, kInvalidArgument, "query has shape ", shape_text(q.dims()),
                ", expected rank 3");
  r.batch = q.dim(0);
  r.steps = q.dim(1);
  r.q = read_steps(c, 0, r);
  r.k = read_steps(c, 1, r);
  r.v = read_steps(c, 2, r);
  r.key = q.dim(2) / r.heads.query;
  r.value = c.input(2).dim(2) / r.heads.kv;
  TREADLE_CHECK(q.dim(2) == checked_mul(r.key, r.heads.query) &&
                    c.input(1).dim(2) == r.key * r.heads.kv &&
                    c.input(2).dim(2) == r.value * r.heads.kv,
                kInvalidArgument, "query, key and value of shapes ", shape_text(q.dims()), ", ",
                shape_text(c.input(1).dims()), ", ", shape_text(c.input(2).dims()),
                " do not split into ", r.heads.query, " and ", r.heads.kv, " heads");
  const auto scale = static_cast<double>(c.attributes().f("scale", 0));
  r.scale = scale != 0 ? scale : 1 / std::sqrt(static_cast<double>(r.key));
  read_rule(c, r);
  return r;
}

// One head of keys and values: its state [key, value], and the outputs of the queries that share
// it.
void run_head(const Recurrence& r, int64_t b, int64_t h, double* state, double* y) {
  const int64_t shared = r.heads.query / r.heads.kv;
  std::vector<double> change(static_cast<size_t>(r.value));
  for (int64_t t = 0; t < r.steps; ++t) {
    const int64_t step = b * r.steps + t;
    const double* q = r.q.data() + (step * r.heads.query + h * shared) * r.key;
    const double* k = r.k.data() + (step * r.heads.kv + h) * r.key;
    const double* v = r.v.data() + (step * r.heads.kv + h) * r.value;
    if (r.gated) {
      const bool each = r.decays != r.heads.kv;
      const double* g = r.decay.data() + step * r.decays + (each ? h * r.key : h);
      for (int64_t i = 0; i < r.key; ++i) {
        const double factor = std::exp(g[each ? i : 0]);
        for (int64_t j = 0; j < r.value; ++j) state[i * r.value + j] *= factor;
      }
    }
    std::copy_n(v, r.value, change.begin());
    if (r.delta) {
      for (int64_t i = 0; i < r.key; ++i) {
        for (int64_t j = 0; j < r.value; ++j)
          change[static_cast<size_t>(j)] -= state[i * r.value + j] * k[i];
      }
      const double rate = r.beta[static_cast<size_t>(step * r.betas + (r.betas == 1 ? 0 : h))];
      for (double& x : change) x *= rate;
    }
    for (int64_t i = 0; i < r.key; ++i) {
      for (int64_t j = 0; j < r.value; ++j)
        state[i * r.value + j] += k[i] * change[static_cast<size_t>(j)];
    }
    for (int64_t s = 0; s < shared; ++s) {
      double* out = y + (step * r.heads.query + h * shared + s) * r.value;
      for (int64_t j = 0; j < r.value; ++j) {
        double sum = 0;
        for (int64_t i = 0; i < r.key; ++i) sum += q[s * r.key + i] * state[i * r.value + j];
        out[j] = sum * r.scale;
      }
    }
  }
}

void put(Tensor& to, const std::vector<double>& from) {
  dispatch(to.dtype(), FloatTypes{}, [&]<class T>() {
    const auto data = to.data<T>();
    for (size_t i = 0; i < data.size(); ++i) data[i] = convert<T>(from[i]);
  });
}

void eval_linear_attention(EvalContext& c) {
  const Recurrence r = read_recurrence(c);
  const Dims state_dims{r.batch, r.heads.kv, r.key, r.value};
  Tensor& y = c.output(0, {r.batch, r.steps, checked_mul(r.heads.query, r.value)});
  const auto states = static_cast<size_t>(element_count(state_dims));
  std::vector<double> state(states);
  if (c.has(3)) {
    TREADLE_CHECK(c.input(3).dims() == state_dims, kInvalidArgument, "past_state has shape ",
                  shape_text(c.input(3).dims()), ", expected ", shape_text(state_dims));
    state = c.input(3).to_doubles();
  }
  std::vector<double> out(static_cast<size_t>(y.count()));
  for (int64_t b = 0; states != 0 && b < r.batch; ++b) {
    for (int64_t h = 0; h < r.heads.kv; ++h) {
      c.poll();
      run_head(r, b, h, state.data() + (b * r.heads.kv + h) * r.key * r.value, out.data());
    }
  }
  put(y, out);
  put(c.output(1, c.has(3) ? c.dtype(3) : c.dtype(0), state_dims), state);
}

// ---- CausalConvWithState

void infer_causal_conv(InferContext& c) {
  const Shape& x = c.shape(0);
  const Shape& w = c.shape(1);
  TREADLE_CHECK(x.size() == 3 && w.size() == 3, kInvalidModel, "input of shape ", shape_text(x),
                " and weight of shape ", shape_text(w), ", expected rank 3");
  TREADLE_CHECK(!w[2].known() || w[2].value() >= 1, kInvalidModel, "the weight has shape ",
                shape_text(w), ", expected at least one tap");
  c.set_shape(0, x);
  c.set_shape(1, {x[0], x[1], w[2] - 1});
}

template <class T>
void causal_conv(EvalContext& c, bool silu) {
  const Tensor& x = c.input(0);
  const Tensor& w = c.input(1);
  const int64_t channels = x.dim(1);
  const int64_t length = x.dim(2);
  const int64_t taps = w.dim(2);
  const int64_t before = taps - 1;
  Tensor& convolved = c.output(0, x.dims());
  Tensor& state = c.output(1, {x.dim(0), channels, before});
  if (convolved.count() == 0 && state.count() == 0) return;
  T* y = convolved.data<T>().data();
  T* present = state.data<T>().data();
  std::vector<T> line(static_cast<size_t>(checked_add(before, length)));
  for (int64_t row = 0; row < x.dim(0) * channels; ++row) {
    c.poll();
    const int64_t channel = row % channels;
    std::fill(line.begin(), line.end(), T{});
    if (c.has(3)) std::copy_n(c.input(3).data<T>().data() + row * before, before, line.begin());
    std::copy_n(x.data<T>().data() + row * length, length,
                line.begin() + static_cast<ptrdiff_t>(before));
    const T* weight = w.data<T>().data() + channel * taps;
    const double bias =
        c.has(2) ? static_cast<double>(c.input(2).data<T>()[static_cast<size_t>(channel)]) : 0;
    for (int64_t i = 0; i < length; ++i) {
      double sum = bias;
      for (int64_t k = 0; k < taps; ++k) {
        sum +=
            static_cast<double>(weight[k]) * static_cast<double>(line[static_cast<size_t>(i + k)]);
      }
      T& out = y[row * length + i];
      out = convert<T>(sum);
      if (silu) {
        const auto z = static_cast<double>(out);
        out = convert<T>(z / (1 + std::exp(-z)));
      }
    }
    std::copy_n(line.end() - static_cast<ptrdiff_t>(before), before, present + row * before);
  }
}

void eval_causal_conv(EvalContext& c) {
  const Dims& x = c.input(0).dims();
  const Dims& w = c.input(1).dims();
  TREADLE_CHECK(x.size() == 3 && w.size() == 3 && w[0] == x[1] && w[1] == 1 && w[2] >= 1,
                kInvalidArgument, "input of shape ", shape_text(x), " and weight of shape ",
                shape_text(w), ", expected [batch, channels, length] and [channels, 1, taps]");
  TREADLE_CHECK(!c.has(2) || c.input(2).dims() == Dims{x[1]}, kInvalidArgument,
                "the bias has shape ", shape_text(c.input(2).dims()), ", expected [", x[1], "]");
  const Dims past{x[0], x[1], w[2] - 1};
  TREADLE_CHECK(!c.has(3) || c.input(3).dims() == past, kInvalidArgument, "past_state has shape ",
                shape_text(c.input(3).dims()), ", expected ", shape_text(past));
  const std::string activation = c.attributes().s("activation", "none");
  TREADLE_CHECK(activation == "none" || activation == "silu" || activation == "swish",
                kInvalidModel, "attribute activation is '", activation,
                "', expected none, silu or swish");
  dispatch(c.dtype(0), FloatTypes{}, [&]<class T>() { causal_conv<T>(c, activation != "none"); });
}

constexpr OpDef kRows[] = {
    {.kind = "LinearAttention",
     .inputs = "query:T key:T value:T past_state?:S decay?:T beta?:T",
     .outputs = "output:T present_state:S",
     .types = "T=floats S=floats",
     .attributes = "chunk_size:i=64 kv_num_heads:i! q_num_heads:i! scale:f=0 "
                   "update_rule:s=gated_delta",
     .infer = infer_linear_attention,
     .eval = eval_linear_attention},
    {.kind = "CausalConvWithState",
     .inputs = "input:T weight:T bias?:T past_state?:T",
     .outputs = "output:T present_state:T",
     .types = "T=floats",
     .attributes = "activation:s=none",
     .infer = infer_causal_conv,
     .eval = eval_causal_conv},
};

}  // namespace

std::span<const OpDef> linear_attention_ops() { return kRows; }

}  // namespace treadle
