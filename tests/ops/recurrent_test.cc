// RNN, GRU and LSTM on seeded inputs; expected values by onnxruntime.
#include <span>

#include "tests/ops/runner.h"

namespace treadle::test {
namespace {

constexpr int64_t kSequence = 3, kBatch = 2, kFeatures = 2, kHidden = 2;

struct Layer {
  const char* name = "";
  Attributes attributes = {};
  bool bias = false;
  bool states = false;  // initial ones
  bool peepholes = false;
  std::vector<int32_t> lengths = {};
  std::vector<std::vector<float>> want = {};  // Y, Y_h, Y_c
  DType dtype = DType::kFloat;
  int64_t batch = kBatch;
};

int64_t gates(const std::string& op) { return op == "RNN" ? 1 : op == "GRU" ? 3 : 4; }

Tensor tensor_of(DType dtype, Dims dims, const std::vector<float>& values) {
  if (dtype == DType::kDouble) return f64(dims, {values.begin(), values.end()});
  return dtype == DType::kFloat16 ? f16(dims, values) : f32(dims, values);
}

OpCase layer_case(const std::string& op, const Layer& l) {
  const int64_t directions = l.attributes.s("direction", "forward") == "bidirectional" ? 2 : 1;
  const int64_t rows = gates(op) * kHidden;
  const bool batch_first = l.attributes.i("layout", 0) != 0;
  const auto rnd = [&](Dims dims, uint64_t seed) { return random_tensor(l.dtype, dims, seed); };
  const auto rnd_if = [&](bool there, Dims dims, uint64_t seed) {
    return there ? Value(rnd(dims, seed)) : Value{};
  };
  const Dims x =
      batch_first ? Dims{l.batch, kSequence, kFeatures} : Dims{kSequence, l.batch, kFeatures};
  const Dims y = batch_first ? Dims{l.batch, kSequence, directions, kHidden}
                             : Dims{kSequence, directions, l.batch, kHidden};
  const Dims state =
      batch_first ? Dims{l.batch, directions, kHidden} : Dims{directions, l.batch, kHidden};
  OpCase c{
      .name = l.name,
      .op = op,
      .attributes = l.attributes,
      .inputs = {rnd(x, 1), rnd({directions, rows, kFeatures}, 2),
                 rnd({directions, rows, kHidden}, 3), rnd_if(l.bias, {directions, 2 * rows}, 4),
                 l.lengths.empty() ? Value{} : Value(i32({l.batch}, l.lengths)),
                 rnd_if(l.states, state, 5)}};
  c.attributes.set("hidden_size", kHidden);
  if (op == "LSTM") {
    c.inputs.push_back(rnd_if(l.states, state, 6));
    c.inputs.push_back(rnd_if(l.peepholes, {directions, 3 * kHidden}, 7));
  }
  while (c.inputs.back().empty()) c.inputs.pop_back();
  for (size_t i = 0; i < l.want.size(); ++i)
    c.want.push_back(tensor_of(l.dtype, i == 0 ? y : state, l.want[i]));
  return c;
}

const Layer kRnn[] = {
    {.name = "forward",
     .want = {{-0.8006603f, -0.7755963f, -0.6350165f, -0.7015017f, 0.6128064f, 0.5541592f,
               -0.2832531f, -0.5758866f, 0.03703058f, 0.2446268f, -0.2608032f, -0.239916f},
              {0.03703058f, 0.2446268f, -0.2608032f, -0.239916f}}},
    {.name = "bias",
     .bias = true,
     .want = {{-0.3282371f, -0.9641646f, 0.009819508f, -0.9506001f, 0.9279275f, -0.1975221f,
               0.6016573f, -0.8918892f, 0.8594037f, -0.4054836f, 0.6577923f, -0.7423075f},
              {0.8594037f, -0.4054836f, 0.6577923f, -0.7423075f}}},
    {.name = "reverse",
     .attributes = {{"direction", std::string("reverse")}},
     .bias = true,
     .want = {{-0.1608729f, -0.9469413f, 0.5513783f, -0.8974714f, 0.9119271f, -0.1173231f,
               0.5828187f, -0.8908206f, 0.7863563f, -0.577271f, 0.1737278f, -0.8712469f},
              {-0.1608729f, -0.9469413f, 0.5513783f, -0.8974714f}}},
    {.name = "bidirectional",
     .attributes = {{"direction", std::string("bidirectional")}},
     .bias = true,
     .states = true,
     .lengths = {2, 3},
     .want = {{0.2556577f, -0.9296583f, -0.2625588f, -0.9670888f, 0.9636494f, -0.4384508f,
               0.9454947f, -0.4278941f, 0.9342611f,  -0.1049842f, 0.587448f,  -0.900561f,
               0.4240292f, -0.9883149f, 0.9444293f,  -0.5419447f, 0,          0,
               0.6598334f, -0.7422626f, 0,           0,           0.7209501f, -0.9524047f},
              {0.9342611f, -0.1049842f, 0.6598334f, -0.7422626f, 0.9636494f, -0.4384508f,
               0.9454947f, -0.4278941f}}},
    {.name = "zero_length",
     .states = true,
     .lengths = {0, 1},
     .want = {{0, 0, -0.7732869f, -0.7922803f, 0, 0, 0, 0, 0, 0, 0, 0},
              {0, 0, -0.7732869f, -0.7922803f}}},
    {.name = "activations",
     .attributes = {{"activations", std::vector<std::string>{"Relu"}}},
     .bias = true,
     .want = {{0, 0, 0.009819865f, 0, 1.095175f, 0, 0.1173268f, 0, 1.19053f, 0, 0.1892976f, 0},
              {1.19053f, 0, 0.1892976f, 0}}},
    {.name = "clip",
     .attributes = {{"clip", 0.25f}},
     .bias = true,
     .want = {{-0.2449186f, -0.2449186f, 0.009819508f, -0.2449186f, 0.2449187f, -0.2449186f,
               0.2449187f, -0.2449186f, 0.2449187f, -0.2449186f, 0.2449187f, -0.2449186f},
              {0.2449187f, -0.2449186f, 0.2449187f, -0.2449186f}}},
    {.name = "layout",
     .attributes = {{"layout", int64_t{1}}},
     .bias = true,
     .states = true,
     .want = {{0.2556577f, -0.9296583f, 0.5409794f, -0.9062591f, 0.936671f, -0.06099075f,
               -0.1610864f, -0.9589124f, 0.9255402f, -0.3737679f, 0.4712812f, -0.7842603f},
              {0.936671f, -0.06099075f, 0.4712812f, -0.7842603f}}},
};
const Layer kGru[] = {
    {.name = "forward",
     .want = {{0.3038888f, -0.5308953f, -0.1744752f, -0.5140876f, 0.4235394f, -0.2033594f,
               -0.1184158f, -0.6067588f, 0.3042091f, -0.07472925f, 0.3806126f, -0.358409f},
              {0.3042091f, -0.07472925f, 0.3806126f, -0.358409f}}},
    {.name = "bias",
     .bias = true,
     .want = {{0.3251061f, -0.8470145f, 0.06807739f, -0.8316401f, 0.3822225f, -0.6505485f,
               0.1760169f, -0.9367555f, 0.4085368f, -0.7020475f, 0.3433285f, -0.8889996f},
              {0.4085368f, -0.7020475f, 0.3433285f, -0.8889996f}}},
    {.name = "reverse",
     .attributes = {{"direction", std::string("reverse")}},
     .bias = true,
     .want = {{0.4240024f, -0.8907613f, 0.4155648f, -0.9668165f, 0.1702012f, -0.3731559f,
               0.3476552f, -0.9117119f, 0.06807186f, -0.4026287f, 0.2893127f, -0.6513299f},
              {0.4240024f, -0.8907613f, 0.4155648f, -0.9668165f}}},
    {.name = "bidirectional",
     .attributes = {{"direction", std::string("bidirectional")}},
     .bias = true,
     .states = true,
     .lengths = {2, 3},
     .want = {{0.5214727f,  -0.9696903f, -0.3591616f,  -0.7749268f,
               0.4093307f,  -0.5283114f, 0.2488988f,   -0.1699526f,
               0.5570716f,  -0.7587211f, -0.1736646f,  -0.9042557f,
               0.03090507f, -0.5675306f, 0.08432836f,  -0.0441453f,
               0,           0,           0.07754052f,  -0.8313494f,
               0,           0,           -0.09697446f, 0.1571535f},
              {0.5570716f, -0.7587211f, 0.07754052f, -0.8313494f, 0.4093307f, -0.5283114f,
               0.2488988f, -0.1699526f}}},
    {.name = "zero_length",
     .states = true,
     .lengths = {0, 1},
     .want = {{0, 0, -0.5154401f, -0.318786f, 0, 0, 0, 0, 0, 0, 0, 0},
              {0, 0, -0.5154401f, -0.318786f}}},
    {.name = "activations",
     .attributes = {{"activations", std::vector<std::string>{"HardSigmoid", "Softsign"}},
                    {"activation_alpha", std::vector<float>{0.3f}},
                    {"activation_beta", std::vector<float>{0.4f}}},
     .bias = true,
     .want = {{0.2585957f, -0.6550116f, 0.06935618f, -0.657445f, 0.2585957f, -0.4228983f,
               0.1408986f, -0.6575742f, 0.2631142f, -0.4464987f, 0.2676028f, -0.5662323f},
              {0.2631142f, -0.4464987f, 0.2676028f, -0.5662323f}}},
    {.name = "clip",
     .attributes = {{"clip", 0.25f}},
     .bias = true,
     .want = {{0.1131055f, -0.1376875f, 0.07913139f, -0.1376875f, 0.1708164f, -0.1979703f,
               0.151717f, -0.1979703f, 0.2032601f, -0.2243636f, 0.1925229f, -0.2243636f},
              {0.2032601f, -0.2243636f, 0.1925229f, -0.2243636f}}},
    {.name = "layout",
     .attributes = {{"layout", int64_t{1}}},
     .bias = true,
     .states = true,
     .want = {{0.5214727f, -0.9696903f, 0.5588939f, -0.9808576f, 0.5908837f, -0.7724342f,
               -0.3652138f, -0.743888f, -0.2651675f, -0.5939677f, 0.04363032f, -0.7361894f},
              {0.5908837f, -0.7724342f, 0.04363032f, -0.7361894f}}},
    {.name = "linear_before_reset",
     .attributes = {{"linear_before_reset", int64_t{1}}},
     .bias = true,
     .states = true,
     .want = {{0.524114f, -0.9670578f, -0.4155831f, -0.7824444f, 0.5601322f, -0.6948431f,
               -0.2049249f, -0.9054847f, 0.5693256f, -0.7026064f, 0.05657338f, -0.8238732f},
              {0.5693256f, -0.7026064f, 0.05657338f, -0.8238732f}}},
};
const Layer kLstm[] = {
    {.name = "forward",
     .want = {{0.01586281f, 0.1484574f, 0.1222383f, 0.1434087f, -0.1143856f, -0.08474788f,
               0.1780948f, 0.149947f, -0.1144928f, -0.09811112f, 0.03121437f, 0.09834549f},
              {-0.1144928f, -0.09811112f, 0.03121437f, 0.09834549f},
              {-0.2686988f, -0.2397096f, 0.05430739f, 0.164184f}}},
    {.name = "bias",
     .bias = true,
     .want = {{0.3449931f, 0.08532709f, 0.4020386f, 0.05965279f, 0.3656766f, -0.1102386f,
               0.5398499f, 0.00057826f, 0.4870195f, -0.145601f, 0.5818264f, -0.08598424f},
              {0.4870195f, -0.145601f, 0.5818264f, -0.08598424f},
              {1.192832f, -0.6558377f, 1.133482f, -0.2125535f}}},
    {.name = "reverse",
     .attributes = {{"direction", std::string("reverse")}},
     .bias = true,
     .want = {{0.6694738f, 0.05619033f, 0.5995669f, 0.01735893f, 0.4065309f, -0.1383389f, 0.522797f,
               0.0184831f, 0.3456625f, -0.09706482f, 0.2989765f, -0.02766921f},
              {0.6694738f, 0.05619033f, 0.5995669f, 0.01735893f},
              {1.145954f, 0.1016311f, 0.987646f, 0.0332987f}}},
    {.name = "bidirectional",
     .attributes = {{"direction", std::string("bidirectional")}},
     .bias = true,
     .states = true,
     .lengths = {2, 3},
     .want = {{0.6004698f,  0.2112185f,  0.4596683f,  0.07406878f,
               0.04286057f, -0.1224927f, 0.3179057f,  -0.1866385f,
               0.4367817f,  -0.1163286f, 0.5663551f,  -0.005590792f,
               -0.1700098f, -0.1543603f, 0.2418934f,  -0.08385625f,
               0,           0,           0.595586f,   -0.08892121f,
               0,           0,           0.09004447f, 0.05444124f},
              {0.4367817f, -0.1163286f, 0.595586f, -0.08892121f, 0.04286057f, -0.1224927f,
               0.3179057f, -0.1866385f},
              {1.195179f, -0.5643538f, 1.188996f, -0.2182471f, 0.04499342f, -0.1445228f, 0.3582573f,
               -0.2420912f}}},
    {.name = "zero_length",
     .states = true,
     .lengths = {0, 1},
     .want = {{0, 0, 0.2334742f, 0.2430504f, 0, 0, 0, 0, 0, 0, 0, 0},
              {0, 0, 0.2334742f, 0.2430504f},
              {0, 0, 0.3813367f, 0.4113705f}}},
    {.name = "activations",
     .attributes = {{"activations",
                     std::vector<std::string>{"HardSigmoid", "LeakyRelu", "Softsign"}},
                    {"activation_alpha", std::vector<float>{0.3f, 0.05f}},
                    {"activation_beta", std::vector<float>{0.4f}}},
     .bias = true,
     .want = {{0.3207989f, 0.04241842f, 0.4071374f, 0.03021947f, 0.2229026f, -3.092229e-05f,
               0.4710224f, 5.246065e-05f, 0.3032559f, -0.001603904f, 0.4252859f, -0.002384973f},
              {0.3032559f, -0.001603904f, 0.4252859f, -0.002384973f},
              {1.627176f, -0.03334944f, 1.699651f, -0.008536019f}}},
    {.name = "clip",
     .attributes = {{"clip", 0.25f}},
     .bias = true,
     .want = {{0.06795162f, 0.05356433f, 0.07691921f, 0.04917005f, 0.1055937f, -0.03961907f,
               0.1103698f, 0.04737978f, 0.1348255f, -0.07687171f, 0.137428f, -0.03534153f},
              {0.1348255f, -0.07687171f, 0.137428f, -0.03534153f},
              {0.2445914f, -0.1774153f, 0.2495091f, -0.08089697f}}},
    {.name = "layout",
     .attributes = {{"layout", int64_t{1}}},
     .bias = true,
     .states = true,
     .want = {{0.6004698f, 0.2112185f, 0.5894735f, -0.0165204f, 0.4547823f, -0.1353032f, 0.4599348f,
               0.06065183f, 0.4664486f, -0.1241027f, 0.6244189f, -0.0889259f},
              {0.4547823f, -0.1353032f, 0.6244189f, -0.0889259f},
              {1.227247f, -0.6639792f, 1.314326f, -0.2221569f}}},
    {.name = "peepholes",
     .bias = true,
     .peepholes = true,
     .want = {{0.3191851f, 0.09104723f, 0.3596402f, 0.06295215f, 0.2523156f, -0.07619798f,
               0.4442778f, 0.003609558f, 0.2988467f, -0.09157002f, 0.413926f, -0.06854143f},
              {0.2988467f, -0.09157002f, 0.413926f, -0.06854143f},
              {1.092679f, -0.6413761f, 1.078367f, -0.1903851f}}},
    {.name = "input_forget",
     .attributes = {{"input_forget", int64_t{1}}},
     .bias = true,
     .want = {{0.3449931f, 0.08532709f, 0.4020386f, 0.05965279f, 0.29749f, -0.1119156f, 0.5197139f,
               0.02964179f, 0.3972189f, -0.1459897f, 0.4693918f, -0.07705477f},
              {0.3972189f, -0.1459897f, 0.4693918f, -0.07705477f},
              {0.829697f, -0.6794851f, 0.7878853f, -0.1915355f}}},
};

// What follows from the first row: other types, only the final state, no sequences; and what is refused.
std::vector<OpCase> cases(const std::string& op, std::span<const Layer> layers) {
  std::vector<OpCase> list;
  for (const Layer& l : layers) list.push_back(layer_case(op, l));
  Layer other = layers[0];
  other.name = "double";
  other.dtype = DType::kDouble;
  list.push_back(layer_case(op, other));
  other.name = "half";
  other.dtype = DType::kFloat16;
  list.push_back(layer_case(op, other));
  list.back().rtol = 1e-2;  // inputs and results are rounded to 11 bits
  list.back().atol = 1e-3;
  list.push_back(list[0]);
  list.back().name = "only_last";
  list.back().want[0] = Value{};
  other = {.name = "empty_batch", .batch = 0};
  other.want.resize(list[0].want.size());
  list.push_back(layer_case(op, other));
  const auto refused = [&](const char* name, const char* error,
                           Attributes attributes = {}) -> OpCase& {
    list.push_back(layer_case(op, {.name = name, .attributes = std::move(attributes)}));
    list.back().error = error;
    return list.back();
  };
  refused("direction", "attribute direction is 'up'", {{"direction", std::string("up")}});
  refused("activation", "activation 'Cosine'",
          {{"activations", std::vector<std::string>(gates(op) == 1   ? 1
                                                    : gates(op) == 3 ? 2
                                                                     : 3,
                                                    "Cosine")}});
  refused("weights", "input 'W' has shape").inputs[1] = f32(
      {1, gates(op) * kHidden, 1}, std::vector<float>(static_cast<size_t>(gates(op) * kHidden)));
  refused("one_direction", "input 'W' has shape", {{"direction", std::string("bidirectional")}})
      .inputs = layer_case(op, {}).inputs;
  refused("lengths", "sequence_lens has 4").inputs = layer_case(op, {.lengths = {4, 1}}).inputs;
  return list;
}

// The clip bounds what every activation is given, the last one's cell too; onnxruntime leaves that out.
std::vector<OpCase> clip_cases() {
  return {{.name = "clipped_cell",
           .op = "LSTM",
           .attributes = {{"clip", 0.5f}, {"hidden_size", int64_t{1}}},
           .inputs = {f32({3, 1, 1}, {1.5f, 2, 1}), f32({1, 4, 1}, {2, 0.5f, 1.5f, 3}),
                      f32({1, 4, 1}, {0.25f, 0.5f, 0.5f, 1})},
           .want = {f32({3, 1, 1, 1}, {0.17426972f, 0.27109867f, 0.28764912f}),
                    f32({1, 1, 1}, {0.28764912f}), f32({1, 1, 1}, {0.57815027f})}}};
}

INSTANTIATE_TEST_SUITE_P(LstmClip, OpTest, testing::ValuesIn(clip_cases()), case_name);
INSTANTIATE_TEST_SUITE_P(Rnn, OpTest, testing::ValuesIn(cases("RNN", kRnn)), case_name);
INSTANTIATE_TEST_SUITE_P(Gru, OpTest, testing::ValuesIn(cases("GRU", kGru)), case_name);
INSTANTIATE_TEST_SUITE_P(Lstm, OpTest, testing::ValuesIn(cases("LSTM", kLstm)), case_name);

}  // namespace
}  // namespace treadle::test
