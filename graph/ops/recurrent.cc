// RNN, GRU and LSTM. Everything is computed in double and rounded to the outputs' type at the end.
#include "graph/ops/recurrent.h"

#include "graph/ops/expect.h"
#include "graph/ops/families.h"

namespace treadle {
namespace {

enum Input : size_t { kX, kW, kR, kB, kLengths, kInitialH, kInitialC, kPeepholes };

std::vector<double> doubles_or_zeros(const EvalContext& c, size_t input, const Dims& dims) {
  expect_shape(c, input, dims);
  if (c.has(input)) return c.input(input).to_doubles();
  return std::vector<double>(static_cast<size_t>(element_count(dims)));
}

std::vector<int64_t> sequence_lengths(const EvalContext& c, const RecurrentParams& p) {
  if (!c.has(kLengths)) return std::vector<int64_t>(static_cast<size_t>(p.batch), p.sequence);
  expect_shape(c, kLengths, {p.batch});
  std::vector<int64_t> lengths = c.input(kLengths).to_ints();
  for (int64_t length : lengths) {
    TREADLE_CHECK(length >= 0 && length <= p.sequence, kInvalidData, "sequence_lens has ", length,
                  ", expected 0 to ", p.sequence);
  }
  return lengths;
}

// X as rows (time, batch).
std::vector<double> time_major(const EvalContext& c, const RecurrentParams& p) {
  std::vector<double> x = c.input(kX).to_doubles();
  if (!p.batch_first) return x;
  std::vector<double> moved(x.size());
  for (int64_t b = 0; b < p.batch; ++b) {
    for (int64_t t = 0; t < p.sequence; ++t) {
      std::copy_n(x.begin() + (b * p.sequence + t) * p.input, p.input,
                  moved.begin() + (t * p.batch + b) * p.input);
    }
  }
  return moved;
}

template <class T>
void write(const double* from, int64_t count, T* to) {
  for (int64_t i = 0; i < count; ++i) to[i] = T(static_cast<Compute<T>>(from[i]));
}

// Puts one direction's states [batch, hidden] in their place in a state tensor.
void write_states(const RecurrentParams& p, int64_t direction, const std::vector<double>& states,
                  Tensor& to) {
  dispatch(to.dtype(), FloatTypes{}, [&]<class T>() {
    for (int64_t b = 0; b < p.batch; ++b) {
      const int64_t at = p.batch_first ? b * p.directions + direction : direction * p.batch + b;
      write(states.data() + b * p.hidden, p.hidden, to.data<T>().data() + at * p.hidden);
    }
  });
}

std::vector<double> read_states(const RecurrentParams& p, int64_t direction,
                                const std::vector<double>& all) {
  std::vector<double> states;
  for (int64_t b = 0; b < p.batch; ++b) {
    const auto from =
        all.begin() +
        (p.batch_first ? b * p.directions + direction : direction * p.batch + b) * p.hidden;
    states.insert(states.end(), from, from + p.hidden);
  }
  return states;
}

void write_hidden(const RecurrentParams& p, int64_t direction, int64_t t, int64_t b,
                  const double* h, Tensor& y) {
  const int64_t at = p.batch_first ? (b * p.sequence + t) * p.directions + direction
                                   : (t * p.directions + direction) * p.batch + b;
  dispatch(y.dtype(), FloatTypes{},
           [&]<class T>() { write(h, p.hidden, y.data<T>().data() + at * p.hidden); });
}

// Rows times the transposed weights of each direction, [directions, rows, columns] in the file.
class DenseProduct {
 public:
  DenseProduct(const Tensor& weights, int64_t rows, int64_t columns)
      : rows_(rows), columns_(columns) {
    const std::vector<double> from = weights.to_doubles();
    transposed_.resize(from.size());
    const int64_t matrix = rows * columns;
    for (int64_t d = 0; d < weights.dim(0); ++d) {
      for (int64_t r = 0; r < rows; ++r) {
        for (int64_t k = 0; k < columns; ++k) {
          transposed_[static_cast<size_t>(d * matrix + k * rows + r)] =
              from[static_cast<size_t>(d * matrix + r * columns + k)];
        }
      }
    }
  }

  void operator()(int64_t direction, const std::vector<double>& rows,
                  std::vector<double>& out) const {
    std::fill(out.begin(), out.end(), 0.0);
    const int64_t count = static_cast<int64_t>(out.size()) / std::max<int64_t>(rows_, 1);
    for (int64_t i = 0; i < count; ++i)
      add(direction, rows.data() + i * columns_, 0, rows_, out.data() + i * rows_);
  }

  // out[r - begin] += row · weights[r], for r in [begin, end).
  void add(int64_t direction, const double* row, int64_t begin, int64_t end, double* out) const {
    for (int64_t k = 0; k < columns_; ++k) {
      const double* weights = transposed_.data() + (direction * columns_ + k) * rows_ + begin;
      for (int64_t r = 0; r < end - begin; ++r) out[r] += row[k] * weights[r];
    }
  }

 private:
  int64_t rows_;
  int64_t columns_;
  std::vector<double> transposed_;
};

RecurrentParams read_params(const EvalContext& c, int64_t gates) {
  const Dims& r = c.input(kR).dims();
  TREADLE_CHECK(r.size() == 3, kInvalidModel, "R has shape ", shape_text(r), ", expected rank 3");
  RecurrentParams p = recurrent_params(c.attributes(), gates, c.input(kX).dims(), r[2]);
  const int64_t rows = checked_mul(gates, p.hidden);
  expect_shape(c, kW, {p.directions, rows, p.input});
  expect_shape(c, kR, {p.directions, rows, p.hidden});
  return p;
}

// Bias of the inputs' products, then of the states': [directions, 2 * gates * hidden].
std::vector<double> read_bias(const EvalContext& c, const RecurrentParams& p) {
  return doubles_or_zeros(c, kB, {p.directions, 2 * p.gates * p.hidden});
}

void run_dense(EvalContext& c, const RecurrentParams& p, const DenseProduct& state,
               const CellStep& step) {
  const DenseProduct input(c.input(kW), p.gates * p.hidden, p.input);
  run_recurrent(c, p, input, state, step);
}

void eval_rnn(EvalContext& c) {
  const RecurrentParams p = read_params(c, 1);
  const std::vector<double> bias = read_bias(c, p);
  const DenseProduct state(c.input(kR), p.hidden, p.hidden);
  run_dense(c, p, state, [&](int64_t d, const double* x, const double* r, double* h, double*) {
    const double* wb = bias.data() + d * 2 * p.hidden;
    for (int64_t k = 0; k < p.hidden; ++k)
      h[k] = p.activate(d, 0, x[k] + r[k] + wb[k] + wb[p.hidden + k]);
  });
}

void eval_gru(EvalContext& c) {
  const RecurrentParams p = read_params(c, 3);
  const std::vector<double> bias = read_bias(c, p);
  const bool linear_before_reset = c.attributes().i("linear_before_reset", 0) != 0;
  const DenseProduct state(c.input(kR), 3 * p.hidden, p.hidden);
  const int64_t n = p.hidden;
  std::vector<double> reset(static_cast<size_t>(n));
  std::vector<double> product(static_cast<size_t>(n));
  run_dense(c, p, state, [&](int64_t d, const double* x, const double* r, double* h, double*) {
    const double* wb = bias.data() + d * 6 * n;
    const double* rb = wb + 3 * n;
    for (int64_t k = 0; k < n; ++k)
      reset[k] = p.activate(d, 0, x[n + k] + r[n + k] + wb[n + k] + rb[n + k]);
    if (linear_before_reset) {
      for (int64_t k = 0; k < n; ++k) product[k] = reset[k] * (r[2 * n + k] + rb[2 * n + k]);
    } else {
      for (int64_t k = 0; k < n; ++k) reset[k] *= h[k];
      std::copy_n(rb + 2 * n, n, product.begin());
      state.add(d, reset.data(), 2 * n, 3 * n, product.data());
    }
    for (int64_t k = 0; k < n; ++k) {
      const double update = p.activate(d, 0, x[k] + r[k] + wb[k] + rb[k]);
      const double fresh = p.activate(d, 1, x[2 * n + k] + wb[2 * n + k] + product[k]);
      h[k] = (1 - update) * fresh + update * h[k];
    }
  });
}

void eval_lstm(EvalContext& c) {
  const RecurrentParams p = read_params(c, 4);
  run_dense(c, p, DenseProduct(c.input(kR), 4 * p.hidden, p.hidden), lstm_step(c, p));
}

template <int64_t kGates>
void infer_by_r(InferContext& c) {
  const Dim hidden = c.rank_known(kR) && c.rank(kR) == 3 ? c.shape(kR)[2] : Dim::unknown();
  infer_recurrent(c, kGates, hidden);
  const Dim rows = hidden * kGates;
  expect_shape(c, kW, {Dim::unknown(), rows, c.shape(kX)[2]});
  expect_shape(c, kR, {Dim::unknown(), rows, hidden});
}

constexpr OpDef kRows[] = {
    {.kind = "RNN",
     .inputs = "X:T W:T R:T B?:T sequence_lens?:int32 initial_h?:T",
     .outputs = "Y?:T Y_h?:T",
     .types = "T=floats",
     .attributes = "activation_alpha:fs activation_beta:fs activations:ss clip:f "
                   "direction:s=forward hidden_size:i "
                   "layout:i=0",
     .infer = infer_by_r<1>,
     .eval = eval_rnn},
    {.kind = "GRU",
     .inputs = "X:T W:T R:T B?:T sequence_lens?:int32 initial_h?:T",
     .outputs = "Y?:T Y_h?:T",
     .types = "T=floats",
     .attributes = "activation_alpha:fs activation_beta:fs activations:ss clip:f "
                   "direction:s=forward hidden_size:i "
                   "layout:i=0 linear_before_reset:i=0",
     .infer = infer_by_r<3>,
     .eval = eval_gru},
    {.kind = "LSTM",
     .inputs = "X:T W:T R:T B?:T sequence_lens?:int32 initial_h?:T initial_c?:T P?:T",
     .outputs = "Y?:T Y_h?:T Y_c?:T",
     .types = "T=floats",
     .attributes = "activation_alpha:fs activation_beta:fs activations:ss clip:f "
                   "direction:s=forward hidden_size:i "
                   "input_forget:i=0 layout:i=0",
     .infer = infer_by_r<4>,
     .eval = eval_lstm},
};

}  // namespace

void run_recurrent(EvalContext& c, const RecurrentParams& p, const GateProduct& input,
                   const GateProduct& state, const CellStep& step) {
  const DType dtype = c.dtype(kX);
  const int64_t width = p.gates * p.hidden;
  const std::vector<int64_t> lengths = sequence_lengths(c, p);
  const int64_t steps = lengths.empty() ? 0 : *std::max_element(lengths.begin(), lengths.end());
  std::vector<double> x = time_major(c, p);
  x.resize(static_cast<size_t>(steps * p.batch * p.input));
  const std::vector<double> initial_h = doubles_or_zeros(c, kInitialH, p.state_dims());
  const std::vector<double> initial_c = doubles_or_zeros(c, kInitialC, p.state_dims());
  // Steps beyond a sequence's length give zeros.
  Tensor unwanted;
  Tensor& y = c.wants(0) ? c.output(0, dtype, p.output_dims()) : unwanted;
  if (y.defined() && y.bytes() != 0) std::fill_n(y.raw(), y.bytes(), std::byte{0});
  std::vector<double> x_gates(static_cast<size_t>(steps * p.batch * width));
  std::vector<double> h_gates(static_cast<size_t>(p.batch * width));
  for (int64_t d = 0; d < p.directions; ++d) {
    std::vector<double> h = read_states(p, d, initial_h);
    std::vector<double> cell = read_states(p, d, initial_c);
    input(d, x, x_gates);
    for (int64_t s = 0; s < steps; ++s) {
      c.poll();
      state(d, h, h_gates);
      for (int64_t b = 0; b < p.batch; ++b) {
        const int64_t length = lengths[static_cast<size_t>(b)];
        if (s >= length) continue;
        const int64_t t = p.reverse(d) ? length - 1 - s : s;
        double* own = h.data() + b * p.hidden;
        step(d, x_gates.data() + (t * p.batch + b) * width, h_gates.data() + b * width, own,
             cell.data() + b * p.hidden);
        if (y.defined()) write_hidden(p, d, t, b, own, y);
      }
    }
    // As onnxruntime has it, the final state of an empty sequence is zero, not its initial state.
    for (int64_t b = 0; b < p.batch; ++b) {
      if (lengths[static_cast<size_t>(b)] != 0) continue;
      std::fill_n(h.begin() + b * p.hidden, p.hidden, 0.0);
      std::fill_n(cell.begin() + b * p.hidden, p.hidden, 0.0);
    }
    if (c.wants(1)) write_states(p, d, h, c.output(1, dtype, p.state_dims()));
    if (c.wants(2)) write_states(p, d, cell, c.output(2, dtype, p.state_dims()));
  }
}

CellStep lstm_step(const EvalContext& c, const RecurrentParams& p) {
  const bool coupled = c.attributes().i("input_forget", 0) != 0;
  return [p, coupled, bias = read_bias(c, p),
          peepholes = doubles_or_zeros(c, kPeepholes, {p.directions, 3 * p.hidden})](
             int64_t d, const double* x, const double* r, double* h, double* cell) {
    const int64_t n = p.hidden;
    const double* wb = bias.data() + d * 8 * n;
    const double* peep = peepholes.data() + d * 3 * n;
    const auto gate = [&](int64_t g, int64_t k) {
      const int64_t at = g * n + k;
      return x[at] + r[at] + wb[at] + wb[4 * n + at];
    };
    for (int64_t k = 0; k < n; ++k) {
      const double in = p.activate(d, 0, gate(0, k) + peep[k] * cell[k]);
      const double forget =
          coupled ? 1 - in : p.activate(d, 0, gate(2, k) + peep[2 * n + k] * cell[k]);
      cell[k] = forget * cell[k] + in * p.activate(d, 1, gate(3, k));
      h[k] = p.activate(d, 0, gate(1, k) + peep[n + k] * cell[k]) * p.activate(d, 2, cell[k]);
    }
  };
}

std::span<const OpDef> recurrent_ops() { return kRows; }

}  // namespace treadle
