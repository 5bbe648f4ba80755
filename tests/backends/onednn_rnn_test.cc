// Recurrent layers through oneDNN against the reference.
#include "backends/cpu/native/lstm.h"
#include "backends/cpu/onednn/rnn.h"
#include "tests/support/kernel_check.h"

namespace treadle::test {
namespace {

Value rnd(Dims dims, uint64_t seed, double size = 0.5) {
  return random_tensor(DType::kFloat, std::move(dims), seed, -size, size);
}

struct Layer {
  std::string op = "LSTM";
  std::string direction = "forward";
  int64_t batch = 1;
  bool states = false;
  bool bias = true;
};

KernelCase layer_case(const Layer& l) {
  const int64_t gates = l.op == "LSTM" ? 4 : 3, directions = l.direction == "bidirectional" ? 2 : 1;
  const int64_t sequence = 5, input = 7, hidden = 9;
  KernelCase c{
      .name = cat(l.direction, " batch ", l.batch),
      .op = l.op,
      .attributes = {{"direction", l.direction}, {"hidden_size", hidden}},
      .inputs = {rnd({sequence, l.batch, input}, 1), rnd({directions, gates * hidden, input}, 2),
                 rnd({directions, gates * hidden, hidden}, 3)},
      .constants = {1, 2, 3},
      .outputs = l.op == "LSTM" ? 3u : 2u};
  c.inputs.push_back(l.bias ? rnd({directions, 2 * gates * hidden}, 4) : Value{});
  c.inputs.emplace_back();
  if (!l.states) return c;
  c.inputs.push_back(rnd({directions, l.batch, hidden}, 5));
  if (l.op == "LSTM") c.inputs.push_back(rnd({directions, l.batch, hidden}, 6));
  return c;
}

TEST(OnednnRnn, Layers) {
  for (const char* op : {"LSTM", "GRU"}) {
    for (const char* direction : {"forward", "reverse", "bidirectional"}) {
      for (const int64_t batch : {1, 3}) {
        for (const bool states : {false, true}) {
          check_kernel(cpu::kOnednnRnn, layer_case({op, direction, batch, states, true}));
        }
      }
    }
    check_kernel(cpu::kOnednnRnn, layer_case({.op = op, .bias = false}));
  }
}

TEST(Lstm, Layers) {
  for (const char* direction : {"forward", "reverse", "bidirectional"}) {
    for (const int64_t batch : {1, 3}) {
      for (const bool states : {false, true}) {
        KernelCase c = layer_case({"LSTM", direction, batch, states, states});
        check_kernel(cpu::kLstm, c);
        c.outputs = 1;
        check_kernel(cpu::kLstm, c);
      }
    }
  }
}

// More steps than are projected at once.
TEST(Lstm, Chunks) {
  KernelCase c{.name = "long",
               .op = "LSTM",
               .attributes = {{"direction", "bidirectional"}, {"hidden_size", int64_t{256}}},
               .inputs = {rnd({75, 1, 4}, 1), rnd({2, 1024, 4}, 2), rnd({2, 1024, 256}, 3, 0.05)},
               .outputs = 3};
  check_kernel(cpu::kLstm, c);
}

// Threads with units of their own: as many for each, or not.
TEST(Lstm, Units) {
  for (const int64_t hidden : {64, 96}) {
    for (const int64_t batch : {1, 3}) {
      const KernelCase c{.name = cat(hidden, " ", batch),
                         .op = "LSTM",
                         .attributes = {{"direction", "bidirectional"}, {"hidden_size", hidden}},
                         .inputs = {rnd({9, batch, 5}, 1), rnd({2, 4 * hidden, 5}, 2),
                                    rnd({2, 4 * hidden, hidden}, 3, 0.1), rnd({2, 8 * hidden}, 4)},
                         .constants = {1, 2, 3},
                         .outputs = 3};
      check_kernel(cpu::kLstm, c);
    }
  }
}

TEST(OnednnRnn, LateReset) {
  KernelCase c = layer_case({.op = "GRU", .direction = "bidirectional", .batch = 2});
  c.attributes.set("linear_before_reset", int64_t{1});
  check_kernel(cpu::kOnednnRnn, c);
}

TEST(OnednnRnn, Reasons) {
  KernelCase c = layer_case({});
  c.attributes.set("clip", 1.0f);
  EXPECT_EQ(reason(cpu::kOnednnRnn, c), "clip");
  c = layer_case({});
  c.inputs[4] = i32({1}, {3});
  EXPECT_EQ(reason(cpu::kOnednnRnn, c), "sequence_lens");
  c = layer_case({});
  c.constants = {};
  EXPECT_EQ(reason(cpu::kOnednnRnn, c), "weights that are not constant");
}

}  // namespace
}  // namespace treadle::test
