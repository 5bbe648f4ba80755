// com.microsoft's DynamicQuantizeLSTM: an LSTM whose weights are 8-bit and whose inputs and states
// are quantized to uint8 at each product.
#include "graph/ops/expect.h"
#include "graph/ops/families.h"
#include "graph/ops/quantize.h"
#include "graph/ops/recurrent.h"

namespace treadle {
namespace {

enum Input : size_t { kX = 0, kW = 1, kR = 2, kWScale = 8, kWZero = 9, kRScale = 10, kRZero = 11 };

// Weights [directions, rows, columns]; scale and zero point of one value a direction, or one a
// column.
class QuantizedProduct {
 public:
  QuantizedProduct(const EvalContext& c, size_t weights, size_t scale, size_t zero_point) {
    const Dims& dims = c.input(weights).dims();
    rows_ = dims[1];
    columns_ = dims[2];
    weights_ = quant_values(c.input(weights));
    scales_ = by_column(c, scale, dims);
    const std::vector<double> zeros = by_column(c, zero_point, dims);
    for (int64_t i = 0; i < static_cast<int64_t>(weights_.size()); ++i) {
      weights_[i] -= zeros[i / (rows_ * columns_) * columns_ + i % columns_];
    }
  }

  void operator()(int64_t direction, const std::vector<double>& rows,
                  std::vector<double>& out) const {
    double low = 0;
    double high = 0;
    for (const double v : rows) {
      low = std::min(low, v);
      high = std::max(high, v);
    }
    const DynamicScale q = dynamic_scale(static_cast<float>(low), static_cast<float>(high));
    std::fill(out.begin(), out.end(), 0.0);
    double* to = out.data();
    for (size_t at = 0; at + static_cast<size_t>(rows_) <= rows.size() && rows_ > 0;
         at += static_cast<size_t>(rows_)) {
      for (int64_t k = 0; k < rows_; ++k) {
        const double scaled =
            static_cast<double>(static_cast<float>(rows[at + static_cast<size_t>(k)]) / q.scale);
        const double value = round_and_saturate(scaled, q.zero_point, {0, 255}) - q.zero_point;
        const double* weights = weights_.data() + (direction * rows_ + k) * columns_;
        for (int64_t j = 0; j < columns_; ++j) to[j] += value * weights[j];
      }
      for (int64_t j = 0; j < columns_; ++j) {
        to[j] *=
            static_cast<double>(q.scale * static_cast<float>(scales_[direction * columns_ + j]));
      }
      to += columns_;
    }
  }

 private:
  static std::vector<double> by_column(const EvalContext& c, size_t input, const Dims& weights) {
    const Tensor& t = c.input(input);
    const bool each_column = t.dims() == Dims{weights[0], weights[2]};
    TREADLE_CHECK(each_column || t.count() == weights[0], kInvalidModel, "input '",
                  c.node().op->input(input).name, "' has shape ", shape_text(t.dims()),
                  " for weights of shape ", shape_text(weights));
    const std::vector<double> values = quant_values(t);
    if (each_column) return values;
    std::vector<double> spread;
    for (const double v : values) spread.insert(spread.end(), static_cast<size_t>(weights[2]), v);
    return spread;
  }

  int64_t rows_ = 0;
  int64_t columns_ = 0;
  std::vector<double> weights_;
  std::vector<double> scales_;
};

void infer_lstm(InferContext& c) {
  infer_recurrent(c, 4, c.rank_known(kR) && c.rank(kR) == 3 ? c.shape(kR)[1] : Dim::unknown());
}

void eval_lstm(EvalContext& c) {
  const Dims& r = c.input(kR).dims();
  TREADLE_CHECK(r.size() == 3, kInvalidModel, "R has shape ", shape_text(r), ", expected rank 3");
  const RecurrentParams p = recurrent_params(c.attributes(), 4, c.input(kX).dims(), r[1]);
  expect_shape(c, kW, {p.directions, p.input, checked_mul(4, p.hidden)});
  expect_shape(c, kR, {p.directions, p.hidden, checked_mul(4, p.hidden)});
  run_recurrent(c, p, QuantizedProduct(c, kW, kWScale, kWZero),
                QuantizedProduct(c, kR, kRScale, kRZero), lstm_step(c, p));
}

constexpr OpDef kRows[] = {
    {.kind = "DynamicQuantizeLSTM",
     .inputs = "X:float W:T2 R:T2 B?:float sequence_lens?:int32 initial_h?:float initial_c?:float "
               "P?:float "
               "W_scale:float W_zero_point:T2 R_scale:float R_zero_point:T2",
     .outputs = "Y?:float Y_h?:float Y_c?:float",
     .types = "T2=uint8,int8",
     .attributes = "activation_alpha:fs activation_beta:fs activations:ss clip:f "
                   "direction:s=forward hidden_size:i "
                   "input_forget:i=0",
     .infer = infer_lstm,
     .eval = eval_lstm,
     .domain = "com.microsoft"},
};

}  // namespace

std::span<const OpDef> quantized_lstm_ops() { return kRows; }

}  // namespace treadle
