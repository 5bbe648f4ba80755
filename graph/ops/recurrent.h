// What RNN, GRU and LSTM read from attributes and shapes, resolved once; and the loop over time
// that they share.
#pragma once

#include <functional>
#include <optional>

#include "graph/ops/op.h"

namespace treadle {

struct Activation {
  enum class Kind : uint8_t {
    kAffine,
    kElu,
    kHardSigmoid,
    kLeakyRelu,
    kRelu,
    kScaledTanh,
    kSigmoid,
    kSoftplus,
    kSoftsign,
    kTanh,
    kThresholdedRelu
  };
  Kind kind = Kind::kTanh;
  double alpha = 0;
  double beta = 0;
  double operator()(double x) const;
};

struct RecurrentParams {
  int64_t sequence = 0;
  int64_t batch = 0;
  int64_t input = 0;  // features of x
  int64_t hidden = 0;
  int64_t gates = 1;  // 1 RNN, 3 GRU (z r h), 4 LSTM (i o f c)
  int64_t directions = 1;
  bool reverse_first = false;  // direction "reverse"; of two directions the second runs backwards
  bool batch_first =
      false;  // layout 1: X [batch, sequence, input], Y [batch, sequence, directions, hidden]
  std::optional<double> clip;  // of what activations are given
  // Directions times 1 (RNN: f), 2 (GRU: f g) or 3 (LSTM: f g h).
  std::vector<Activation> activations;

  bool reverse(int64_t direction) const { return direction == 1 || reverse_first; }
  // Activation `index` of a direction, the clip before it.
  double activate(int64_t direction, size_t index, double x) const;
  Dims output_dims() const;  // of Y
  Dims state_dims() const;   // of Y_h, Y_c and the initial states
};

// `gates` as above; x and the hidden size (from R's dims). kInvalidModel where attributes and
// shapes do not fit.
RecurrentParams recurrent_params(const Attributes& attributes, int64_t gates, const Dims& x,
                                 int64_t hidden);
// Sets the shapes of Y, Y_h and Y_c, and checks inputs 3 to 7 and how many directions W and R have;
// `hidden` is the hidden size where attribute hidden_size is absent.
void infer_recurrent(InferContext& c, int64_t gates, const Dim& hidden);

// Rows of inputs (or states) times a direction's weights: count rows of gates*hidden sums, written
// to `out`.
using GateProduct = std::function<void(int64_t direction, const std::vector<double>& rows,
                                       std::vector<double>& out)>;
// One time step of one batch entry: the products' rows; updates h (and c, for LSTM) in place.
using CellStep = std::function<void(int64_t direction, const double* x_gates, const double* h_gates,
                                    double* h, double* c)>;

// Runs all directions over time and writes the wanted outputs. Inputs of the node: X, W, R, B,
// sequence_lens, initial_h, initial_c, as in LSTM.
void run_recurrent(EvalContext& c, const RecurrentParams& p, const GateProduct& input,
                   const GateProduct& state, const CellStep& step);
// The step of LSTM, with bias B and peepholes P (inputs 3 and 7 where present).
CellStep lstm_step(const EvalContext& c, const RecurrentParams& p);

}  // namespace treadle
