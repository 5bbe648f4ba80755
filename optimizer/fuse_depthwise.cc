// A convolution of single pixels with the depthwise convolution that alone reads it, where the
// caches do not hold what is between them.
#include <algorithm>

#include "graph/ops/expanded_depthwise.h"
#include "optimizer/passes.h"

namespace treadle {
namespace {

constexpr double kLarge = 1 << 20;         // bytes between the two, of an image
constexpr double kMostRowBytes = 1 << 20;  // of the rows that are there at a time
constexpr int64_t kMostWeights = 1 << 15;  // of the first, which each row reads

class Fuser {
 public:
  explicit Fuser(Pass& pass) : pass_(pass), graph_(pass.graph) {}

  void run() {
    for (NodeId id : graph_.topological_order()) {
      if (pass_.stopped()) return;
      if (graph_.alive(id)) fuse(id);
    }
  }

 private:
  void fuse(NodeId id) {
    const Node& node = graph_.node(id);
    if (!is_conv(node) || !is_depthwise(node)) return;
    const Node* expand = graph_.producer(node.input(0));
    if (expand == nullptr || !is_conv(*expand) || !is_of_pixels(*expand)) return;
    const int64_t rows = pass_.constant(node.input(1))->dim(2) + 2;
    if (!graph_.has_one_use(expand->output()) || !is_large(pass_.type(expand->output()), rows))
      return;
    Patch patch;
    patch.replace(node.output(),
                  patch.op("ExpandedDepthwise",
                           {expand->input(0), expand->input(1), expand->input(2), node.input(1),
                            node.input(2)},
                           expanded_attributes(expand->attributes, node.attributes), "treadle"));
    pass_.apply(id, std::move(patch));
  }

  static bool is_conv(const Node& node) {
    return (node.is("Conv") || node.is("FusedConv", "treadle")) && !node.input(3).valid();
  }

  // Two-dimensional, of constant weights; null: another one.
  const Tensor* weights(const Node& node) const {
    const Tensor* w = pass_.constant(node.input(1));
    return w != nullptr && w->dtype() == DType::kFloat && w->rank() == 4 ? w : nullptr;
  }
  static bool are_all(const std::vector<int64_t>& values, int64_t x) {
    return std::ranges::all_of(values, [x](int64_t v) { return v == x; });
  }

  bool is_of_pixels(const Node& node) const {
    const Tensor* w = weights(node);
    return w != nullptr && w->dim(2) == 1 && w->dim(3) == 1 && w->count() <= kMostWeights &&
           node.attributes.i("group", 1) == 1 && are_all(node.attributes.ints("strides"), 1) &&
           are_all(node.attributes.ints("pads"), 0);
  }

  // In windows and with activations that kernels of rows have.
  bool is_depthwise(const Node& node) const {
    const Tensor* w = weights(node);
    if (w == nullptr || w->dim(1) != 1 || w->dim(2) != w->dim(3)) return false;
    constexpr int64_t kFewChannels = 16;  // as many as the largest vector holds
    if ((w->dim(2) != 3 && w->dim(2) != 5) || w->dim(0) < kFewChannels) return false;
    const Attributes& a = node.attributes;
    const std::vector<int64_t> strides = a.ints("strides");
    if (!are_all(strides, 1) && !are_all(strides, 2)) return false;
    if (a.i("group", 1) != w->dim(0) || !are_all(a.ints("dilations"), 1)) return false;
    const std::string activation = a.s("activation", "");
    return activation.empty() || activation == "Relu" || activation == "Clip" ||
           activation == "HardSwish" || (activation == "Swish" && a.f("activation_alpha", 0) == 1);
  }

  // So that caches do not hold it, but so many rows of it.
  static bool is_large(const Type& type, int64_t rows) {
    if (type.dtype != DType::kFloat || !type.shape || type.shape->size() != 4) return false;
    const auto size = [&](size_t axis) {
      const Dim& dim = (*type.shape)[axis];
      return dim.known() ? static_cast<double>(dim.value()) : 0;
    };
    const double row = size(1) * size(3) * sizeof(float);
    return row * size(2) >= kLarge && row * static_cast<double>(rows) <= kMostRowBytes;
  }

  Pass& pass_;
  Graph& graph_;
};

}  // namespace

void fuse_depthwise(Pass& pass) { Fuser(pass).run(); }

}  // namespace treadle
