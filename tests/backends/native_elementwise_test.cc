#include "backends/cpu/native/elementwise.h"

#include <limits>

#include "backends/cpu/simd/lookup.h"
#include "backends/cpu/simd/simd.h"
#include "graph/ops/op.h"
#include "graph/text.h"
#include "tests/support/kernel_check.h"

namespace treadle::test {
namespace {

using cpu::kBlocked16;
using cpu::kChannelsLast;

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

void check_on_all_targets(const KernelCase& c) {
  for (const std::string& target : cpu::simd_targets()) {
    SCOPED_TRACE(target);
    cpu::set_simd_target(target);
    check_kernel(cpu::kNativeElementwise, c);
  }
  cpu::set_simd_target("");
}

KernelCase unary(const std::string& op, Tensor x, Attributes attributes = {}) {
  return {.name = cat("of ", shape_text(x.dims())),
          .op = op,
          .attributes = std::move(attributes),
          .inputs = {std::move(x)},
          .constants = {},
          .rtol = 2e-6,
          .atol = 1e-6};
}

TEST(NativeElementwise, UnaryOperatorsAtOddSizes) {
  for (const char* op : {"Relu",      "Sigmoid",     "Tanh",      "Erf",      "Gelu",
                         "HardSwish", "HardSigmoid", "Swish",     "Exp",      "Neg",
                         "Abs",       "Sign",        "Floor",     "Ceil",     "Round",
                         "LeakyRelu", "Elu",         "Selu",      "Celu",     "ThresholdedRelu",
                         "Softplus",  "Softsign",    "Mish",      "Identity", "Sin",
                         "Cos",       "Atan",        "Reciprocal"}) {
    for (const int64_t n : {0, 1, 17, 521}) {
      check_on_all_targets(unary(op, random_tensor(DType::kFloat, {n}, 1, -6, 6)));
    }
  }
  check_on_all_targets(unary("Gelu", random_tensor(DType::kFloat, {70001}, 1, -6, 6)));
  for (const char* op : {"Log", "Sqrt"})
    check_on_all_targets(unary(op, random_tensor(DType::kFloat, {77}, 1, 0, 100)));
  check_on_all_targets(unary("Gelu", random_tensor(DType::kFloat, {77}, 1, -9, 9),
                             {{"approximate", std::string("tanh")}}));
}

TEST(NativeElementwise, FunctionsAtTheirEdges) {
  const Tensor x = f32({24}, {0.0f,  -0.0f,   1e-40f, -1e-40f, 1e-6f, -1e-6f, 1.0f,  -1.0f,
                              3.9f,  -3.9f,   4.1f,   -4.1f,   20.0f, -20.0f, 88.7f, -87.5f,
                              90.0f, -103.0f, 200.0f, -200.0f, kInf,  -kInf,  kNan,  3e38f});
  for (const char* op :
       {"Exp", "Log", "Tanh", "Sigmoid", "Erf", "Sqrt", "Abs", "Neg", "Sign", "Relu", "Floor",
        "Round", "Softplus", "IsNaN", "Reciprocal", "HardSigmoid"}) {
    KernelCase c = unary(op, x);
    c.atol = 1e-7;
    check_on_all_targets(c);
  }
}

TEST(NativeElementwise, NanPassesThrough) {
  const Tensor a = f32({6}, {kNan, 1, kNan, kInf, -kInf, 2});
  const Tensor b = f32({6}, {1, kNan, kNan, kNan, 1, 2});
  for (const char* op : {"Max", "Min", "Add", "Less", "Equal", "GreaterOrEqual"}) {
    check_on_all_targets({.name = "nan", .op = op, .inputs = {a, b}, .constants = {}});
  }
  check_on_all_targets({.name = "nan",
                        .op = "Cast",
                        .attributes = {{"to", static_cast<int64_t>(DType::kBool)}},
                        .inputs = {a},
                        .constants = {}});
}

TEST(NativeElementwise, ExpOverItsWholeRange) {
  Tensor x(DType::kFloat, {4000});
  for (size_t i = 0; i < 4000; ++i) x.data<float>()[i] = -100.0f + 0.047f * static_cast<float>(i);
  for (const char* op : {"Exp", "Tanh", "Erf", "Sigmoid"}) {
    KernelCase c = unary(op, x);
    c.atol = 2e-7;
    check_on_all_targets(c);
  }
}

TEST(NativeElementwise, BinaryOperatorsBroadcast) {
  struct Shapes {
    Dims a;
    Dims b;
  };
  const Shapes shapes[] = {{{3, 17}, {3, 17}},
                           {{64, 10}, {10}},
                           {{2, 5, 7, 7}, {5, 1, 1}},
                           {{2, 5, 1, 1}, {2, 5, 40, 41}},
                           {{4, 1, 6}, {1, 5, 1}},
                           {{1}, {33}},
                           {{}, {}},
                           {{2, 3, 600}, {600}},
                           {{2, 700, 3}, {700, 1}},
                           {{1, 8, 9, 9}, {1, 1, 9, 9}},
                           {{3, 1, 1000}, {1, 2, 1}},
                           {{0, 4}, {4}}};
  for (const char* op :
       {"Add", "Sub", "Mul", "Div", "Max", "Min", "Less", "GreaterOrEqual", "Equal", "PRelu"}) {
    for (const Shapes& s : shapes) {
      if (op == std::string("PRelu") && s.a.size() < s.b.size()) continue;
      if (op == std::string("PRelu") && broadcast(s.a, s.b) != s.a) continue;
      check_on_all_targets(
          {.name = cat(shape_text(s.a), " and ", shape_text(s.b)),
           .op = op,
           .inputs = {random_tensor(DType::kFloat, s.a, 1), random_tensor(DType::kFloat, s.b, 2)},
           .constants = {}});
    }
  }
}

TEST(NativeElementwise, ConstantOperandsBecomeInstructions) {
  for (const char* op : {"Add", "Sub", "Mul", "Div", "Max", "Min", "Pow", "Less", "Equal"}) {
    for (const float value : {2.0f, 0.5f, 3.0f, -1.0f, -0.5f, 0.0f, 1.7f}) {
      for (const size_t known : {size_t{0}, size_t{1}}) {
        std::vector<Value> inputs{random_tensor(DType::kFloat, {37}, 3, 0.25, 2),
                                  Tensor::scalar(value)};
        if (known == 0) std::swap(inputs[0], inputs[1]);
        check_on_all_targets(
            {.name = cat(value), .op = op, .inputs = inputs, .constants = {known}});
      }
    }
  }
  check_on_all_targets({.name = "6",
                        .op = "Clip",
                        .inputs = {random_tensor(DType::kFloat, {3, 99}, 4, -9, 9),
                                   Tensor::scalar(0.0f), Tensor::scalar(6.0f)},
                        .constants = {1, 2}});
  check_on_all_targets(
      {.name = "run time",
       .op = "Clip",
       .inputs = {random_tensor(DType::kFloat, {3, 99}, 4, -9, 9), Value{}, Tensor::scalar(6.0f)},
       .constants = {}});
}

TEST(NativeElementwise, BooleansAndChoice) {
  const Tensor p = random_tensor(DType::kBool, {3, 47}, 5);
  const Tensor q = random_tensor(DType::kBool, {47}, 6);
  for (const char* op : {"And", "Or", "Xor", "Equal"}) {
    check_on_all_targets({.name = "bool", .op = op, .inputs = {p, q}, .constants = {}});
  }
  check_on_all_targets({.name = "bool", .op = "Not", .inputs = {p}, .constants = {}});
  check_on_all_targets(
      {.name = "mask",
       .op = "Where",
       .inputs = {q, random_tensor(DType::kFloat, {3, 47}, 7), Tensor::scalar(-kInf)},
       .constants = {2}});
}

TEST(NativeElementwise, LayoutsOfChannels) {
  for (const Layout layout : {kBlocked16, kChannelsLast}) {
    for (const int64_t channels : {1, 3, 16, 17, 32, 40}) {
      const Dims dims{2, channels, 5, 7};
      const Tensor x = random_tensor(DType::kFloat, dims, 8);
      for (const Dims& other :
           {dims, Dims{1, channels, 1, 1}, Dims{2, channels, 1, 1}, Dims{channels, 1, 1},
            Dims{2, 1, 5, 7}, Dims{1, 1, 5, 1}, Dims{7}, Dims{1}}) {
        for (const std::vector<size_t>& known : {std::vector<size_t>{}, std::vector<size_t>{1}}) {
          for (const Layout second : {layout, kPlain}) {
            if (second != kPlain && other.size() < 4) continue;
            check_on_all_targets(
                {.name = cat(shape_text(dims), shape_text(other), known.size(), layout, second),
                 .op = "Div",
                 .inputs = {x, random_tensor(DType::kFloat, other, 9, 1, 2)},
                 .constants = known,
                 .layouts = {layout, known.empty() ? second : kPlain}});
          }
        }
      }
      KernelCase sigmoid = unary("Sigmoid", x);
      sigmoid.layouts = {layout};
      check_on_all_targets(sigmoid);
    }
  }
}

TEST(NativeElementwise, Quantization) {
  for (const DType dtype : {DType::kInt8, DType::kUint8}) {
    const bool is_signed = dtype == DType::kInt8;
    const Tensor zero = is_signed ? Tensor::scalar(int8_t{-7}) : Tensor::scalar(uint8_t{130});
    for (const Dims& dims : {Dims{1}, Dims{3, 5}, Dims{2, 16, 9, 9}, Dims{1500}}) {
      Tensor x = random_tensor(DType::kFloat, dims, 1, -60, 60);
      x.data<float>()[0] = kNan;
      if (dims.size() > 1) {
        x.data<float>()[1] = kInf;
        x.data<float>()[2] = -kInf;
        x.data<float>()[3] = 0.75f;  // halfway between 1 and 2
      }
      check_on_all_targets({.name = cat("quantize ", dtype_name(dtype), shape_text(dims)),
                            .op = "QuantizeLinear",
                            .inputs = {x, Tensor::scalar(0.5f), zero}});
      check_on_all_targets(
          {.name = cat("dequantize ", dtype_name(dtype), shape_text(dims)),
           .op = "DequantizeLinear",
           .inputs = {random_tensor(dtype, dims, 2, is_signed ? -128 : 0, is_signed ? 127 : 255),
                      Tensor::scalar(0.3f), zero},
           .layouts = {dims.size() == 4 ? kChannelsLast : kPlain}});
    }
  }
}

// Quotients are the division's, rounded where they are halves or next to them, and beyond the bounds.
// Sigmoid, and another scale alone, between bytes: each of them and more than any vector holds.
TEST(NativeElementwise, FunctionsOfBytesAreLookedUp) {
  for (const auto& [dtype, type] : {std::pair{DType::kUint8, "uint8"}, {DType::kInt8, "int8"}}) {
    for (const char* step : {"Sigmoid (d)", "Identity (d)"}) {
      for (const int64_t count : {1, 63, 64, 300, 100001}) {
        Tensor x(dtype, {count});
        auto* bytes = reinterpret_cast<uint8_t*>(x.raw());
        for (int64_t i = 0; i < count; ++i) bytes[i] = static_cast<uint8_t>(i * 7);
        const std::string text = cat(
            "body (", type, "[N] x) => (", type, "[N] y) <float s = {0.05}, ", type,
            " z = {3}, float t = {0.0123}, ", type, " o = {9}> {\n",
            "d = DequantizeLinear (x, s, z)\n e = ", step, "\n y = QuantizeLinear (e, t, o)\n}");
        KernelCase c{.name = cat(type, " ", step, " ", count),
                     .op = "FusedElementwise",
                     .inputs = {x},
                     .constants = {},
                     .domain = "treadle",
                     .rtol = 0,
                     .atol = 1,
                     .bodies = {{"body", std::make_shared<Graph>(parse(text)), {}}}};
        check_on_all_targets(c);
        const std::string name = CompiledCase(cpu::kNativeElementwise, c, 1).compiled().name;
        EXPECT_EQ(name.ends_with("looked up"), cpu::lookup_function().vectors) << name;
      }
    }
  }
}

TEST(NativeElementwise, QuantizationOfHalves) {
  for (const float scale : {0.3f, 0.0071f, 1.7e5f, 3e-31f}) {
    std::vector<float> x;
    for (float level = -140.5f; level < 141; level += 1) {
      float half = level * scale;
      for (int i = 0; i < 3; ++i) half = std::nextafter(half, -1e9f);
      for (int i = 0; i < 7; ++i, half = std::nextafter(half, 1e9f)) x.push_back(half);
    }
    for (const int zero : {-128, 0, 5, 127}) {
      check_on_all_targets(
          {.name = cat("halves ", scale, " ", zero),
           .op = "QuantizeLinear",
           .inputs = {f32({static_cast<int64_t>(x.size())}, x), Tensor::scalar(scale),
                      Tensor::scalar(static_cast<int8_t>(zero))},
           .rtol = 0,
           .atol = 0});
    }
  }
}

// Bytes are numbers there, and nowhere else.
TEST(NativeElementwise, ArithmeticOfBytesIsDeclined) {
  const Tensor a = random_tensor(DType::kUint8, {8}, 1, 0, 255);
  EXPECT_NE(reason(cpu::kNativeElementwise, {.name = "sum", .op = "Add", .inputs = {a, a}}), "");
  EXPECT_NE(
      reason(cpu::kNativeElementwise, {.name = "axis",
                                       .op = "DequantizeLinear",
                                       .inputs = {random_tensor(DType::kUint8, {2, 3}, 1, 0, 255),
                                                  random_tensor(DType::kFloat, {3}, 2)}}),
      "");
}

TEST(NativeElementwise, BatchNormalizationAlone) {
  if (find_op("BatchNormalization") == nullptr) GTEST_SKIP() << "it has no row yet";
  const auto p = [](uint64_t seed) { return random_tensor(DType::kFloat, {24}, seed, 0.5, 1.5); };
  for (const Layout layout : {kPlain, kBlocked16, kChannelsLast}) {
    check_on_all_targets(
        {.name = "inference",
         .op = "BatchNormalization",
         .inputs = {random_tensor(DType::kFloat, {2, 24, 9, 9}, 1), p(2), p(3), p(4), p(5)},
         .constants = {1, 2, 3, 4},
         .layouts = {layout}});
  }
}

}  // namespace
}  // namespace treadle::test
