#include "backends/cpu/recurrent.h"

#include <algorithm>

namespace treadle::cpu {
namespace {

constexpr size_t kX = 0, kW = 1, kR = 2, kB = 3, kLengths = 4, kInitialH = 5, kInitialC = 6,
                 kPeepholes = 7;

bool usual_activations(const Node& node) {
  const std::vector<std::string> given = node.attributes.strings("activations");
  const std::vector<std::string> usual = node.is("LSTM")
                                             ? std::vector<std::string>{"Sigmoid", "Tanh", "Tanh"}
                                             : std::vector<std::string>{"Sigmoid", "Tanh"};
  for (size_t i = 0; i < given.size(); ++i) {
    if (given[i] != usual[i % usual.size()]) return false;
  }
  return true;
}

bool full_lengths(const NodeSpec& spec) {
  if (!spec.has(kLengths)) return true;
  const Tensor* lengths = spec.constant(kLengths);
  if (lengths == nullptr) return false;
  const std::vector<int64_t> values = lengths->to_ints();
  return std::all_of(values.begin(), values.end(),
                     [&](int64_t v) { return v == spec.inputs[kX].dims[0]; });
}

}  // namespace

Support supports_recurrent(const NodeSpec& spec) {
  const Attributes& a = spec.node->attributes;
  if (spec.has(kPeepholes)) return Support::no("peepholes");
  if (!full_lengths(spec)) return Support::no("sequence_lens");
  NodeSpec floats = spec;
  if (spec.has(kLengths)) floats.inputs[kLengths] = {};
  if (Support s = supports_f32(floats); !s.ok) return s;
  if (a.i("layout", 0) != 0) return Support::no("layout 1");
  if (a.has("clip")) return Support::no("clip");
  if (a.i("input_forget", 0) != 0) return Support::no("input_forget");
  if (!usual_activations(*spec.node)) return Support::no("activations");
  if (spec.constant(kW) == nullptr || spec.constant(kR) == nullptr ||
      (spec.has(kB) && spec.constant(kB) == nullptr)) {
    return Support::no("weights that are not constant");
  }
  if (spec.node->is("LSTM") && spec.has(kInitialH) != spec.has(kInitialC))
    return Support::no("only one initial state");
  return {};
}

}  // namespace treadle::cpu
