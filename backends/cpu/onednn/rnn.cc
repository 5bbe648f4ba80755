#include "backends/cpu/onednn/rnn.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <span>

#include "backends/cpu/onednn/onednn.h"
#include "backends/cpu/onednn/post_ops.h"
#include "backends/cpu/recurrent.h"
#include "graph/ops/recurrent.h"

namespace treadle::cpu {
namespace {

using dnnl::rnn_direction;

constexpr size_t kX = 0, kW = 1, kR = 2, kB = 3, kLengths = 4, kInitialH = 5, kInitialC = 6,
                 kPeepholes = 7;
constexpr size_t kY = 0, kYh = 1, kYc = 2;
// oneDNN's order of the gates as indices into ONNX's: LSTM ifco of iofc, GRU zrh of zrh.
constexpr std::array<int64_t, 4> kLstmGates = {0, 2, 3, 1};
constexpr std::array<int64_t, 3> kGruGates = {0, 1, 2};

bool is_lstm(const Node& node) { return node.op->kind == "LSTM"; }
bool resets_late(const Node& node) { return node.attributes.i("linear_before_reset", 0) != 0; }
std::span<const int64_t> gates_of(const Node& node) {
  if (is_lstm(node)) return kLstmGates;
  return kGruGates;
}

RecurrentParams params_of(const NodeSpec& spec) {
  return recurrent_params(spec.node->attributes, static_cast<int64_t>(gates_of(*spec.node).size()),
                          spec.inputs[kX].dims, spec.inputs[kR].dims.back());
}

// W or R, [directions, gates·hidden, inputs], with its gates in oneDNN's order.
std::shared_ptr<Buffer> permuted(const Tensor& weights, const RecurrentParams& p,
                                 std::span<const int64_t> gates) {
  std::shared_ptr<Buffer> out = Buffer::allocate(weights.bytes());
  const size_t block = weights.bytes() / static_cast<size_t>(p.directions * p.gates);
  std::byte* to = out->data();
  for (int64_t d = 0; d < p.directions; ++d) {
    for (const int64_t g : gates) {
      std::memcpy(to, weights.raw() + static_cast<size_t>(d * p.gates + g) * block, block);
      to += block;
    }
  }
  return out;
}

// One bias a gate: those of input and state added. GRU with a late reset keeps the state's for its
// last gate apart.
std::shared_ptr<Buffer> made_bias(const float* b, const RecurrentParams& p,
                                  std::span<const int64_t> gates, bool late) {
  const int64_t rows = p.gates + (late ? 1 : 0);
  std::shared_ptr<Buffer> out =
      Buffer::allocate(static_cast<size_t>(p.directions * rows * p.hidden) * sizeof(float));
  float* to = reinterpret_cast<float*>(out->data());
  for (int64_t d = 0; d < p.directions; ++d) {
    const float* of_input = b + d * 2 * p.gates * p.hidden;
    const float* of_state = of_input + p.gates * p.hidden;
    for (int64_t row = 0; row < rows; ++row) {
      const bool input = row < p.gates, state = !late || row != p.gates - 1;
      const int64_t from =
          (row < p.gates ? gates[static_cast<size_t>(row)] : p.gates - 1) * p.hidden;
      for (int64_t i = 0; i < p.hidden; ++i) {
        *to++ = (input ? of_input[from + i] : 0) + (state ? of_state[from + i] : 0);
      }
    }
  }
  return out;
}

struct Descs {
  DnnlDesc x, h, w, r, bias, y;
};

Descs descs_of(const RecurrentParams& p, bool late) {
  const int64_t bias_rows = p.gates + (late ? 1 : 0);
  return {
      .x = describe(DType::kFloat, {p.sequence, p.batch, p.input}, DnnlTag::tnc),
      .h = describe(DType::kFloat, {1, p.directions, p.batch, p.hidden}, DnnlTag::ldnc),
      .w = any_layout(DType::kFloat, {1, p.directions, p.input, p.gates, p.hidden}),
      .r = any_layout(DType::kFloat, {1, p.directions, p.hidden, p.gates, p.hidden}),
      .bias = describe(DType::kFloat, {1, p.directions, bias_rows, p.hidden}, DnnlTag::ldgo),
      .y = describe(DType::kFloat, {p.sequence, p.batch, p.directions * p.hidden}, DnnlTag::tnc)};
}

rnn_direction direction_of(const RecurrentParams& p) {
  if (p.directions == 2) return rnn_direction::bidirectional_concat;
  return p.reverse_first ? rnn_direction::unidirectional_right2left
                         : rnn_direction::unidirectional_left2right;
}

// Collects the primitive's arguments.
class RnnBuilder {
 public:
  RnnBuilder(const NodeSpec& spec, const CompileContext& context)
      : spec_(spec),
        context_(context),
        p_(params_of(spec)),
        late_(resets_late(*spec.node)),
        d_(descs_of(p_, late_)) {}

  Compiled compile() {
    constexpr auto kInference = dnnl::prop_kind::forward_inference;
    const rnn_direction direction = direction_of(p_);
    const DnnlDesc initial = spec_.has(kInitialH) ? d_.h : DnnlDesc();
    if (is_lstm(*spec_.node)) {
      return finish<dnnl::lstm_forward>({engine(), kInference, direction, d_.x, initial, initial,
                                         d_.w, d_.r, d_.bias, d_.y, d_.h, d_.h,
                                         user_scratch_attributes()});
    }
    if (late_) {
      return finish<dnnl::lbr_gru_forward>({engine(), kInference, direction, d_.x, initial, d_.w,
                                            d_.r, d_.bias, d_.y, d_.h, user_scratch_attributes()});
    }
    return finish<dnnl::gru_forward>({engine(), kInference, direction, d_.x, initial, d_.w, d_.r,
                                      d_.bias, d_.y, d_.h, user_scratch_attributes()});
  }

 private:
  Operand weights(size_t input, const DnnlDesc& to) {
    const Tensor& t = *spec_.constant(input);
    const auto gates = gates_of(*spec_.node);
    const int64_t columns = t.dims().back();
    const DnnlDesc from =
        describe(DType::kFloat, {1, p_.directions, columns, p_.gates, p_.hidden}, DnnlTag::ldgoi);
    return builder_.add_made(context_, t, "gates " + layout_key(to), [&](const Tensor& plain) {
      return reordered(from, to, permuted(plain, p_, gates)->data());
    });
  }
  Operand bias() {
    const auto gates = gates_of(*spec_.node);
    if (!spec_.has(kB)) {
      std::shared_ptr<Buffer> zeros = Buffer::allocate(d_.bias.get_size());
      std::memset(zeros->data(), 0, zeros->size());
      return builder_.hold(std::move(zeros));
    }
    const Tensor& b = *spec_.constant(kB);
    return builder_.add_made(context_, b, late_ ? "gates late" : "gates", [&](const Tensor& plain) {
      const Tensor aligned = plain.clone();  // constants may lie at any address
      return made_bias(aligned.data<float>().data(), p_, gates, late_);
    });
  }
  // The output where it is wanted, scratch where oneDNN writes it for nobody.
  Operand wanted(size_t output, const DnnlDesc& desc) {
    if (output < spec_.outputs.size() && spec_.outputs[output].present())
      return Operand::output(output);
    return Operand::scratch(builder_.take_scratch(desc.get_size()));
  }

  template <class Primitive>
  Compiled finish(const typename Primitive::primitive_desc& pd) {
    // Two directions side by side: ONNX has [sequence, directions, batch, hidden].
    const bool apart = p_.directions == 2 && p_.batch > 1 && spec_.outputs[kY].present();
    const Operand y =
        apart ? Operand::scratch(builder_.take_scratch(d_.y.get_size())) : wanted(kY, d_.y);
    std::vector<Argument> arguments = {
        {DNNL_ARG_SRC_LAYER, d_.x, Operand::input(kX)},
        {DNNL_ARG_WEIGHTS_LAYER, pd.weights_layer_desc(), weights(kW, pd.weights_layer_desc())},
        {DNNL_ARG_WEIGHTS_ITER, pd.weights_iter_desc(), weights(kR, pd.weights_iter_desc())},
        {DNNL_ARG_BIAS, d_.bias, bias()},
        {DNNL_ARG_DST_LAYER, d_.y, y},
        {DNNL_ARG_DST_ITER, d_.h, wanted(kYh, d_.h)}};
    if (spec_.has(kInitialH))
      arguments.push_back({DNNL_ARG_SRC_ITER, d_.h, Operand::input(kInitialH)});
    if (is_lstm(*spec_.node)) {
      if (spec_.has(kInitialC))
        arguments.push_back({DNNL_ARG_SRC_ITER_C, d_.h, Operand::input(kInitialC)});
      arguments.push_back({DNNL_ARG_DST_ITER_C, d_.h, wanted(kYc, d_.h)});
    }
    builder_.add(Primitive(pd), pd, std::move(arguments));
    if (apart) separate(y);
    Compiled compiled = builder_.finish(pd.impl_info_str());
    compiled.reads.assign(spec_.inputs.size(), false);
    for (const size_t i : {kX, kInitialH, kInitialC}) {
      if (spec_.has(i)) compiled.reads[i] = true;
    }
    return compiled;
  }

  void separate(const Operand& y) {
    const Dims dims = {p_.sequence, p_.batch, 2, p_.hidden};
    const DnnlDesc from = describe(DType::kFloat, dims, DnnlTag::abcd),
                   to = describe(DType::kFloat, dims, DnnlTag::acbd);
    const dnnl::reorder::primitive_desc pd(engine(), from, engine(), to, user_scratch_attributes());
    builder_.add(dnnl::reorder(pd), pd,
                 {{DNNL_ARG_FROM, from, y}, {DNNL_ARG_TO, to, Operand::output(kY)}});
  }

  const NodeSpec& spec_;
  const CompileContext& context_;
  RecurrentParams p_;
  bool late_;
  Descs d_;
  KernelBuilder builder_;
};

Compiled compile_rnn(const NodeSpec& spec, const CompileContext& context) {
  const ThreadScope threads(context.threads);
  return dnnl_guard("recurrent layer", [&] { return RnnBuilder(spec, context).compile(); });
}

}  // namespace

const Family kOnednnRnn = {"onednn rnn", supports_recurrent, compile_rnn};

}  // namespace treadle::cpu
