// QLinearConv and QLinearMatMul become DequantizeLinear, the product and QuantizeLinear, so that
// both styles of quantized models take the same way from here.
#include <algorithm>

#include "optimizer/passes.h"

namespace treadle {
namespace {

// Inputs: x, its scale and zero point, w and its, y's, and a bias.
constexpr size_t kX = 0, kXScale = 1, kXZero = 2, kW = 3, kWScale = 4, kWZero = 5, kYScale = 6,
                 kYZero = 7, kBias = 8;

class Expander {
 public:
  explicit Expander(Pass& pass) : pass_(pass), graph_(pass.graph) {}

  void run() {
    for (NodeId id : graph_.topological_order()) {
      if (pass_.stopped()) return;
      const Node& node = graph_.node(id);
      const bool product = node.is("QLinearConv") || node.is("QLinearMatMul");
      if (product && fits(node)) expand(id);
    }
  }

 private:
  const Tensor* constant(const Node& node, size_t input) const {
    return pass_.constant(node.input(input));
  }
  bool is_byte(ValueId v) const {
    const DType dtype = pass_.type(v).dtype;
    return dtype == DType::kInt8 || dtype == DType::kUint8;
  }

  bool fits(const Node& node) const {
    for (size_t i = kXScale; i <= kBias; ++i) {
      if (node.input(i).valid() && constant(node, i) == nullptr) return false;
    }
    if (constant(node, kW)->dims().empty()) return false;
    if (!is_byte(node.input(kX)) || !is_byte(node.input(kW)) || !is_byte(node.output()))
      return false;
    for (size_t i : {kXScale, kWScale, kYScale}) {
      const Tensor& scale = *constant(node, i);
      const Tensor& zero = *constant(node, i + 1);
      if (scale.dtype() != DType::kFloat || zero.dims() != scale.dims()) return false;
      const bool by_channel = i == kWScale && node.is("QLinearConv");
      if (scale.count() != 1 && !(by_channel && is_one_a_channel(node, scale))) return false;
    }
    return !node.input(kBias).valid() || is_one_a_channel(node, *constant(node, kBias));
  }

  bool is_one_a_channel(const Node& node, const Tensor& t) const {
    return t.dims() == Dims{constant(node, kW)->dim(0)};
  }

  void expand(NodeId id) {
    const Node& node = graph_.node(id);
    Patch patch;
    std::vector<ValueId> inputs = {
        patch.op("DequantizeLinear", {node.input(kX), node.input(kXScale), node.input(kXZero)}),
        patch.op("DequantizeLinear", {node.input(kW), node.input(kWScale), node.input(kWZero)},
                 {{"axis", int64_t{0}}})};
    if (node.input(kBias).valid()) inputs.push_back(patch.constant(bias_of(node)));
    const char* kind = node.is("QLinearConv") ? "Conv" : "MatMul";
    const ValueId y = patch.op(kind, inputs, node.attributes);
    patch.replace(node.output(),
                  patch.op("QuantizeLinear", {y, node.input(kYScale), node.input(kYZero)}));
    pass_.apply(id, std::move(patch));
  }

  // Integers of the scale of the products, as floats.
  Tensor bias_of(const Node& node) const {
    const std::vector<double> sums = constant(node, kBias)->to_doubles();
    const double x_scale = constant(node, kXScale)->to_doubles()[0];
    const std::vector<double> w_scale = constant(node, kWScale)->to_doubles();
    Tensor out(DType::kFloat, constant(node, kBias)->dims());
    for (size_t i = 0; i < sums.size(); ++i) {
      out.data<float>()[i] =
          static_cast<float>(sums[i] * x_scale * w_scale[w_scale.size() == 1 ? 0 : i]);
    }
    return out;
  }

  Pass& pass_;
  Graph& graph_;
};

}  // namespace

void expand_qlinear(Pass& pass) { Expander(pass).run(); }

}  // namespace treadle
