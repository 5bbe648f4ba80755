#include "backends/cpu/onednn/lstm.h"

#include <algorithm>
#include <cstring>

#include "backends/cpu/native/panels.h"
#include "backends/cpu/onednn/onednn.h"
#include "backends/cpu/onednn/rnn.h"
#include "backends/cpu/parallel.h"
#include "backends/cpu/simd/gemm.h"
#include "backends/cpu/simd/tape.h"
#include "graph/ops/recurrent.h"

namespace treadle::cpu {
namespace {

using InnerProduct = dnnl::inner_product_forward;

constexpr size_t kX = 0, kW = 1, kR = 2, kB = 3, kInitialH = 5, kInitialC = 6;
constexpr size_t kY = 0, kYh = 1, kYc = 2;
constexpr int64_t kGates = 4;              // i o f c
constexpr int64_t kFewRows = 4;            // batches above are oneDNN's
constexpr int64_t kChunkFloats = 1 << 16;  // of projected gates: they stay in L2

Support supports_lstm(const NodeSpec& spec) { return kOnednnRnn.supports(spec); }
bool lstm_pays(const NodeSpec& spec) { return spec.inputs[kX].dims[1] <= kFewRows; }

// gates[rows, 4·hidden] = (or +=, without bias) x[rows, columns] · weights[direction]ᵀ.
struct ProductSpec {
  int64_t rows;
  int64_t columns;
  int64_t outputs;
  size_t direction;
  size_t weights;  // input of the node
  bool accumulate;
};

std::shared_ptr<Buffer> summed_bias(const Tensor& b, size_t direction, size_t outputs) {
  const Tensor aligned = b.clone();
  const float* from = aligned.data<float>().data() + direction * 2 * outputs;
  std::shared_ptr<Buffer> out = Buffer::allocate(outputs * sizeof(float));
  auto* to = reinterpret_cast<float*>(out->data());
  for (size_t i = 0; i < outputs; ++i) to[i] = from[i] + from[outputs + i];
  return out;
}

Compiled make_product(const NodeSpec& spec, const ProductSpec& s, const CompileContext& context) {
  const DnnlDesc x = describe({DType::kFloat, {s.rows, s.columns}});
  const DnnlDesc y = describe({DType::kFloat, {s.rows, s.outputs}});
  const DnnlDesc plain = describe({DType::kFloat, {s.outputs, s.columns}});
  const bool bias = !s.accumulate && spec.has(kB);
  const DnnlDesc bias_desc = bias ? describe({DType::kFloat, {s.outputs}}) : DnnlDesc();
  dnnl::post_ops ops;
  if (s.accumulate) ops.append_sum();
  dnnl::primitive_attr attributes = user_scratch_attributes();
  attributes.set_post_ops(ops);
  const InnerProduct::primitive_desc pd(engine(), dnnl::prop_kind::forward_inference, x,
                                        any_layout(DType::kFloat, {s.outputs, s.columns}),
                                        bias_desc, y, attributes);
  KernelBuilder builder;
  const Tensor& w = *spec.constant(s.weights);
  const size_t part = w.bytes() / static_cast<size_t>(w.dim(0)) * s.direction;
  std::vector<Argument> arguments = {{DNNL_ARG_SRC, x, Operand::input(0)},
                                     {DNNL_ARG_DST, y, Operand::output(0)}};
  arguments.push_back(
      {DNNL_ARG_WEIGHTS, pd.weights_desc(),
       builder.add_made(context, w, cat("direction ", s.direction, layout_key(pd.weights_desc())),
                        [&](const Tensor& all) {
                          return reordered(plain, pd.weights_desc(), all.raw() + part);
                        })});
  if (bias) {
    const Tensor& b = *spec.constant(kB);
    arguments.push_back(
        {DNNL_ARG_BIAS, bias_desc,
         builder.add_made(context, b, cat("summed ", s.direction), [&](const Tensor& all) {
           return summed_bias(all, s.direction, static_cast<size_t>(s.outputs));
         })});
  }
  builder.add(InnerProduct(pd), pd, std::move(arguments));
  return builder.finish(pd.impl_info_str());
}

// gates += h · weights[direction]ᵀ row by row, where oneDNN's matrix-vector products are slow.
class StepKernel : public Kernel {
 public:
  StepKernel(const ProductSpec& s, std::shared_ptr<Buffer> panels, int threads)
      : s_(s), panels_(std::move(panels)), gemm_(gemm_functions()), threads_(threads) {}
  void run(const KernelArgs& args) const override {
    const auto* h = static_cast<const float*>(args.inputs[0]);
    auto* gates = static_cast<float*>(args.outputs[0]);
    const auto* panels = reinterpret_cast<const float*>(panels_->data());
    const int64_t unit = 8 * static_cast<int64_t>(gemm_.panel);
    const int64_t grain = std::max<int64_t>(1, 4 * kParallelGrain / (unit * s_.columns));
    parallel_for(threads_, ceil_div(s_.outputs, unit), grain, [&](int64_t begin, int64_t end) {
      const int64_t at = begin * unit;
      const int64_t count = std::min(s_.outputs, end * unit) - at;
      for (int64_t row = 0; row < s_.rows; ++row) {
        float* y = gates + row * s_.outputs + at;
        gemm_.multiply({.a = h + row * s_.columns,
                        .a_stride = static_cast<size_t>(s_.columns),
                        .panels = panels + at * s_.columns,
                        .k = static_cast<size_t>(s_.columns),
                        .bias = y,
                        .y = y,
                        .y_stride = static_cast<size_t>(s_.outputs),
                        .rows = 1,
                        .columns = static_cast<size_t>(count)});
      }
    });
  }

 private:
  ProductSpec s_;
  std::shared_ptr<Buffer> panels_;
  const GemmFunctions& gemm_;
  int threads_;
};

constexpr int64_t kVectorRows = 2;

Compiled make_step(const NodeSpec& spec, const ProductSpec& s, const CompileContext& context) {
  if (s.rows > kVectorRows) return make_product(spec, s, context);
  const auto at = static_cast<int64_t>(s.direction) * s.outputs * s.columns;
  auto panels = packed_panels(
      *spec.constant(s.weights),
      {.n = s.outputs, .k = s.columns, .row = 1, .column = s.columns, .at = at}, context);
  Compiled compiled;
  compiled.name = "native gemm";
  compiled.kernel = std::make_unique<StepKernel>(s, std::move(panels), context.threads);
  return compiled;
}

// The cell, over rows of `hidden`: registers i, o, f, g (the candidate), c, h.
constexpr uint16_t kI = 0, kO = 1, kF = 2, kG = 3, kC = 4, kH = 5;
TapeInstr instruction(TapeOp op, uint16_t out, uint16_t a, uint16_t b = 0, uint16_t c = 0) {
  TapeInstr t{};
  t.op = op;
  t.out = out;
  t.a = a;
  t.b = b;
  t.c = c;
  return t;
}

class LstmKernel : public Kernel {
 public:
  struct Direction {
    Compiled project;  // of a whole chunk of steps
    Compiled rest;     // of the last, shorter one
    Compiled step;
  };
  struct Facts {
    int64_t chunk;   // steps projected at once
    size_t outputs;  // of the node
    bool initial;    // states are given
  };
  LstmKernel(const RecurrentParams& p, const Facts& facts, std::vector<Direction> directions)
      : p_(p),
        chunk_(facts.chunk),
        outputs_(facts.outputs),
        initial_(facts.initial),
        directions_(std::move(directions)),
        tape_(tape_function()),
        cell_{instruction(TapeOp::kSigmoid, kI, kI), instruction(TapeOp::kSigmoid, kO, kO),
              instruction(TapeOp::kSigmoid, kF, kF), instruction(TapeOp::kTanh, kG, kG),
              instruction(TapeOp::kMul, kC, kC, kF), instruction(TapeOp::kMulAdd, kC, kI, kG, kC),
              instruction(TapeOp::kTanh, kH, kC),    instruction(TapeOp::kMul, kH, kH, kO)} {}

  // Scratch: projected gates, state h and c, then that of the products.
  size_t gate_floats() const { return static_cast<size_t>(chunk_ * row_floats() * kGates); }
  size_t scratch_bytes() const {
    size_t products = 0;
    for (const Direction& d : directions_) {
      products =
          std::max({products, d.project.scratch_bytes, d.rest.scratch_bytes, d.step.scratch_bytes});
    }
    return aligned(gate_floats()) + 2 * aligned(static_cast<size_t>(row_floats())) + products;
  }

  void run(const KernelArgs& args) const override {
    for (int64_t d = 0; d < p_.directions; ++d) run_direction(args, d);
  }

 private:
  struct Buffers {
    float* gates;
    float* h;  // where Y is not wanted
    float* c;
    void* products;
  };
  int64_t row_floats() const { return p_.batch * p_.hidden; }
  static size_t aligned(size_t floats) {
    return (floats * sizeof(float) + kAlignment - 1) / kAlignment * kAlignment;
  }
  static float* output(const KernelArgs& args, size_t i, int64_t offset) {
    return args.outputs[i] == nullptr ? nullptr : static_cast<float*>(args.outputs[i]) + offset;
  }

  Buffers place(const KernelArgs& args, int64_t d) const {
    auto* at = static_cast<std::byte*>(args.scratch);
    Buffers b{};
    b.gates = reinterpret_cast<float*>(at);
    at += aligned(gate_floats());
    b.h = reinterpret_cast<float*>(at);
    at += aligned(static_cast<size_t>(row_floats()));
    b.c = reinterpret_cast<float*>(at);
    b.products = at + aligned(static_cast<size_t>(row_floats()));
    if (outputs_ > kYc && args.outputs[kYc] != nullptr) b.c = output(args, kYc, d * row_floats());
    return b;
  }

  void run_direction(const KernelArgs& args, int64_t d) const {
    const Buffers buffers = place(args, d);
    const size_t bytes = static_cast<size_t>(row_floats()) * sizeof(float);
    const float* h = nullptr;
    if (initial_) {
      h = static_cast<const float*>(args.inputs[kInitialH]) + d * row_floats();
      std::memcpy(buffers.c, static_cast<const float*>(args.inputs[kInitialC]) + d * row_floats(),
                  bytes);
    } else {
      std::memset(buffers.c, 0, bytes);
    }
    const int64_t chunks = (p_.sequence + chunk_ - 1) / chunk_;
    for (int64_t i = 0; i < chunks; ++i) {
      if (args.control != nullptr) args.control->poll();
      h = run_chunk(args, buffers, d, p_.reverse(d) ? chunks - 1 - i : i, h);
    }
    if (outputs_ > kYh && args.outputs[kYh] != nullptr)
      std::memcpy(output(args, kYh, d * row_floats()), h, bytes);
  }

  // Steps of one chunk; the last state.
  const float* run_chunk(const KernelArgs& args, const Buffers& b, int64_t d, int64_t chunk,
                         const float* h) const {
    const Direction& direction = directions_[static_cast<size_t>(d)];
    const int64_t first = chunk * chunk_, steps = std::min(chunk_, p_.sequence - first);
    const Compiled& project = steps == chunk_ ? direction.project : direction.rest;
    multiply(project, static_cast<const float*>(args.inputs[kX]) + first * p_.batch * p_.input,
             b.gates, b);
    for (int64_t k = 0; k < steps; ++k) {
      const int64_t step = p_.reverse(d) ? steps - 1 - k : k;
      float* gates = b.gates + step * row_floats() * kGates;
      if (h != nullptr) multiply(direction.step, h, gates, b);
      float* out = output(args, kY, ((first + step) * p_.directions + d) * row_floats());
      if (out == nullptr) out = b.h;
      for (int64_t row = 0; row < p_.batch; ++row) {
        run_cell(gates + row * kGates * p_.hidden, b.c + row * p_.hidden, out + row * p_.hidden);
      }
      h = out;
    }
    return h;
  }

  static void multiply(const Compiled& product, const float* x, float* y, const Buffers& b) {
    const void* inputs[] = {x};
    void* outputs[] = {y};
    product.kernel->run({inputs, outputs, b.products, nullptr});
  }

  void run_cell(float* gates, float* c, float* h) const {
    const auto n = static_cast<size_t>(p_.hidden);
    for (size_t at = 0; at < n; at += kTile) {
      const size_t part = std::min(kTile, n - at);
      float* const registers[] = {gates + at,         gates + n + at, gates + 2 * n + at,
                                  gates + 3 * n + at, c + at,         h + at};
      tape_(cell_, std::size(cell_), registers, part);
    }
  }

  RecurrentParams p_;
  int64_t chunk_;
  size_t outputs_;
  bool initial_;
  std::vector<Direction> directions_;
  TapeFn tape_;
  TapeInstr cell_[8];
};

Compiled compile_lstm(const NodeSpec& spec, const CompileContext& context) {
  const ThreadScope threads(context.threads);
  const RecurrentParams p = recurrent_params(spec.node->attributes, kGates, spec.inputs[kX].dims,
                                             spec.inputs[kR].dims.back());
  const int64_t outputs = kGates * p.hidden;
  const int64_t chunk = std::clamp<int64_t>(kChunkFloats / (p.batch * outputs), 1, p.sequence);
  std::vector<LstmKernel::Direction> directions;
  dnnl_guard("LSTM", [&] {
    for (size_t d = 0; d < static_cast<size_t>(p.directions); ++d) {
      LstmKernel::Direction direction;
      direction.project =
          make_product(spec, {chunk * p.batch, p.input, outputs, d, kW, false}, context);
      if (const int64_t rest = p.sequence % chunk; rest != 0) {
        direction.rest =
            make_product(spec, {rest * p.batch, p.input, outputs, d, kW, false}, context);
      }
      direction.step = make_step(spec, {p.batch, p.hidden, outputs, d, kR, true}, context);
      directions.push_back(std::move(direction));
    }
  });
  Compiled compiled;
  compiled.name = "lstm of " + directions[0].step.name;
  const LstmKernel::Facts facts{chunk, spec.outputs.size(), spec.has(kInitialH)};
  auto kernel = std::make_unique<LstmKernel>(p, facts, std::move(directions));
  compiled.scratch_bytes = kernel->scratch_bytes();
  compiled.kernel = std::move(kernel);
  compiled.reads.assign(spec.inputs.size(), false);
  for (const size_t i : {kX, kInitialH, kInitialC}) {
    if (spec.has(i)) compiled.reads[i] = true;
  }
  return compiled;
}

}  // namespace

const Family kLstm = {"native lstm", supports_lstm, compile_lstm, lstm_pays};

}  // namespace treadle::cpu
