#include "backends/cpu/native/lstm.h"

#include <algorithm>
#include <cstring>

#include "backends/cpu/native/panel_product.h"
#include "backends/cpu/parallel.h"
#include "backends/cpu/recurrent.h"
#include "backends/cpu/simd/tape.h"
#include "graph/ops/recurrent.h"

namespace treadle::cpu {
namespace {

constexpr size_t kX = 0, kW = 1, kR = 2, kB = 3, kInitialH = 5, kInitialC = 6;
constexpr size_t kY = 0, kYh = 1, kYc = 2;
constexpr int64_t kGates = 4;              // i o f c
constexpr int64_t kFewRows = 32;           // several threads do larger batches faster by oneDNN
constexpr int64_t kChunkFloats = 1 << 16;  // of projected gates: they stay in L2

bool lstm_pays(const NodeSpec& spec) { return spec.inputs[kX].dims[1] <= kFewRows; }

// Of each direction, of input and state together.
std::vector<float> summed_bias(const NodeSpec& spec, const RecurrentParams& p) {
  if (!spec.has(kB)) return {};
  const int64_t outputs = kGates * p.hidden;
  const std::vector<double> both = spec.constant(kB)->to_doubles();
  std::vector<float> sums;
  for (int64_t d = 0; d < p.directions; ++d) {
    const double* from = both.data() + d * 2 * outputs;
    for (int64_t i = 0; i < outputs; ++i)
      sums.push_back(static_cast<float>(from[i] + from[outputs + i]));
  }
  return sums;
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
    PanelProduct project;  // of a whole chunk of steps
    PanelProduct rest;     // of the last, shorter one
    PanelProduct step;
  };
  struct Facts {
    int64_t chunk;   // steps projected at once
    size_t outputs;  // of the node
    bool initial;    // states are given
    int threads;
    std::vector<float> bias;  // of each direction; empty: none
  };
  LstmKernel(const RecurrentParams& p, Facts facts, std::vector<Direction> directions)
      : p_(p),
        facts_(std::move(facts)),
        directions_(std::move(directions)),
        tape_(tape_function()),
        gemm_(gemm_functions()),
        cell_{instruction(TapeOp::kSigmoid, kI, kI), instruction(TapeOp::kSigmoid, kO, kO),
              instruction(TapeOp::kSigmoid, kF, kF), instruction(TapeOp::kTanh, kG, kG),
              instruction(TapeOp::kMul, kC, kC, kF), instruction(TapeOp::kMulAdd, kC, kI, kG, kC),
              instruction(TapeOp::kTanh, kH, kC),    instruction(TapeOp::kMul, kH, kH, kO)} {}

  // Scratch: projected gates, states h of two steps and c.
  size_t gate_floats() const { return static_cast<size_t>(facts_.chunk * row_floats() * kGates); }
  size_t scratch_bytes() const {
    return aligned(gate_floats()) + 3 * aligned(static_cast<size_t>(row_floats()));
  }

  void run(const KernelArgs& args) const override {
    for (int64_t d = 0; d < p_.directions; ++d) run_direction(args, d);
  }

 private:
  struct Buffers {
    float* gates;
    float* h[2];  // where Y is not wanted
    float* c;
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
    for (float*& h : b.h) {
      h = reinterpret_cast<float*>(at);
      at += aligned(static_cast<size_t>(row_floats()));
    }
    b.c = reinterpret_cast<float*>(at);
    if (facts_.outputs > kYc && args.outputs[kYc] != nullptr)
      b.c = output(args, kYc, d * row_floats());
    return b;
  }

  void run_direction(const KernelArgs& args, int64_t d) const {
    const Buffers buffers = place(args, d);
    const size_t bytes = static_cast<size_t>(row_floats()) * sizeof(float);
    const float* h = nullptr;
    if (facts_.initial) {
      h = static_cast<const float*>(args.inputs[kInitialH]) + d * row_floats();
      std::memcpy(buffers.c, static_cast<const float*>(args.inputs[kInitialC]) + d * row_floats(),
                  bytes);
    } else {
      std::memset(buffers.c, 0, bytes);
    }
    const int64_t chunks = (p_.sequence + facts_.chunk - 1) / facts_.chunk;
    for (int64_t i = 0; i < chunks; ++i) {
      if (args.control != nullptr) args.control->poll();
      h = run_chunk(args, buffers, d, p_.reverse(d) ? chunks - 1 - i : i, h);
    }
    if (facts_.outputs > kYh && args.outputs[kYh] != nullptr)
      std::memcpy(output(args, kYh, d * row_floats()), h, bytes);
  }

  // Steps of one chunk; the last state.
  const float* run_chunk(const KernelArgs& args, const Buffers& b, int64_t d, int64_t chunk,
                         const float* h) const {
    const Direction& direction = directions_[static_cast<size_t>(d)];
    const int64_t first = chunk * facts_.chunk, steps = std::min(facts_.chunk, p_.sequence - first);
    const PanelProduct& project = steps == facts_.chunk ? direction.project : direction.rest;
    const int64_t gates = kGates * p_.hidden;
    project.run({.a = static_cast<const float*>(args.inputs[kX]) + first * p_.batch * p_.input,
                 .bias = facts_.bias.empty() ? nullptr : facts_.bias.data() + d * gates,
                 .y = b.gates});
    const auto step_of = [&](int64_t k) { return p_.reverse(d) ? steps - 1 - k : k; };
    const int64_t other = h == b.h[0] ? 1 : 0;  // than where the last state lies
    const auto out_of = [&](int64_t k) {
      float* y = output(args, kY, ((first + step_of(k)) * p_.directions + d) * row_floats());
      return y == nullptr ? b.h[(k + other) % 2] : y;
    };
    const auto gates_of = [&](int64_t k) { return b.gates + step_of(k) * p_.batch * gates; };
    if (by_units()) {
      parallel_steps(facts_.threads, steps, [&](int64_t thread, int64_t team, int64_t k) {
        const int64_t panel = static_cast<int64_t>(gemm_.panel), units = p_.hidden / panel;
        const Units part{units * thread / team * panel, units * (thread + 1) / team * panel};
        const Step step{k == 0 ? h : out_of(k - 1), gates_of(k), b.c, out_of(k), k % 2 != 0};
        run_units(direction.step.panels(), step, part);
      });
      return out_of(steps - 1);
    }
    for (int64_t k = 0; k < steps; ++k) {
      float* y = gates_of(k);
      if (h != nullptr) direction.step.run({.a = h, .plus = y, .y = y, .backward = k % 2 != 0});
      h = run_cells({h, y, b.c, out_of(k)}, {0, p_.hidden});
    }
    return h;
  }

  struct Step {
    const float* h;  // of the step before; null: zeros
    float* gates;
    float* c;
    float* out;  // the next h
    bool backward = false;
  };
  struct Units {
    int64_t begin, end;
  };

  // Threads have cells of their own where panels do not lie across gates.
  bool by_units() const {
    const auto panel = static_cast<int64_t>(gemm_.panel);
    return facts_.threads > 1 && p_.hidden % panel == 0 && p_.hidden / panel >= facts_.threads;
  }

  // Products and cells of some units. Every second step begins with what the last ended with.
  void run_units(const Panels& panels, const Step& s, const Units& units) const {
    for (int64_t i = 0; s.h != nullptr && i < kGates; ++i) {
      const int64_t column = (s.backward ? kGates - 1 - i : i) * p_.hidden + units.begin;
      gemm_.multiply({.a = s.h,
                      .a_stride = static_cast<size_t>(p_.hidden),
                      .panels = panels.at(column * p_.hidden),
                      .k = static_cast<size_t>(p_.hidden),
                      .plus = s.gates + column,
                      .y = s.gates + column,
                      .y_stride = static_cast<size_t>(kGates * p_.hidden),
                      .rows = static_cast<size_t>(p_.batch),
                      .columns = static_cast<size_t>(units.end - units.begin),
                      .form = panels.form});
    }
    run_cells(s, units);
  }

  const float* run_cells(const Step& s, const Units& units) const {
    for (int64_t row = 0; row < p_.batch; ++row) {
      run_cell(s.gates + row * kGates * p_.hidden, s.c + row * p_.hidden, s.out + row * p_.hidden,
               units);
    }
    return s.out;
  }

  void run_cell(float* gates, float* c, float* h, const Units& units) const {
    const auto n = static_cast<size_t>(p_.hidden), end = static_cast<size_t>(units.end);
    for (auto at = static_cast<size_t>(units.begin); at < end; at += kTile) {
      const size_t part = std::min(kTile, end - at);
      float* const registers[] = {gates + at,         gates + n + at, gates + 2 * n + at,
                                  gates + 3 * n + at, c + at,         h + at};
      tape_(cell_, std::size(cell_), registers, part);
    }
  }

  RecurrentParams p_;
  Facts facts_;
  std::vector<Direction> directions_;
  TapeFn tape_;
  const GemmFunctions& gemm_;
  TapeInstr cell_[8];
};

// x[rows, columns] . weights[direction]ᵀ, of one of the node's inputs.
PanelProduct product_of(const NodeSpec& spec, size_t weights, int64_t direction, int64_t rows,
                        const CompileContext& context) {
  const Tensor& w = *spec.constant(weights);
  const int64_t outputs = w.dim(1), columns = w.dim(2);
  const PanelSource source{
      .n = outputs, .k = columns, .row = 1, .column = columns, .at = direction * outputs * columns};
  return {{rows, outputs, columns}, packed_panels(w, source, context), {}, context.threads};
}

Compiled compile_lstm(const NodeSpec& spec, const CompileContext& context) {
  const RecurrentParams p = recurrent_params(spec.node->attributes, kGates, spec.inputs[kX].dims,
                                             spec.inputs[kR].dims.back());
  const int64_t chunk =
      std::clamp<int64_t>(kChunkFloats / (p.batch * kGates * p.hidden), 1, p.sequence);
  const int64_t rest = p.sequence % chunk == 0 ? chunk : p.sequence % chunk;
  std::vector<LstmKernel::Direction> directions;
  for (int64_t d = 0; d < p.directions; ++d) {
    directions.push_back({product_of(spec, kW, d, chunk * p.batch, context),
                          product_of(spec, kW, d, rest * p.batch, context),
                          product_of(spec, kR, d, p.batch, context)});
  }
  Compiled compiled;
  compiled.name = "native lstm";
  LstmKernel::Facts facts{chunk, spec.outputs.size(), spec.has(kInitialH), context.threads,
                          summed_bias(spec, p)};
  auto kernel = std::make_unique<LstmKernel>(p, std::move(facts), std::move(directions));
  compiled.scratch_bytes = kernel->scratch_bytes();
  compiled.kernel = std::move(kernel);
  compiled.reads.assign(spec.inputs.size(), false);
  for (const size_t i : {kX, kInitialH, kInitialC}) {
    if (spec.has(i)) compiled.reads[i] = true;
  }
  return compiled;
}

}  // namespace

const Family kLstm = {"native lstm", supports_recurrent, compile_lstm, lstm_pays};

}  // namespace treadle::cpu
