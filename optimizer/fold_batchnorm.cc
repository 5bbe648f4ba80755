// Folds BatchNormalization at inference, and Mul, Add, Sub, Div by constants of one element a
// channel, into the weights of the Conv, ConvTranspose, Gemm or MatMul before them. A
// BatchNormalization that stands alone becomes Mul and Add, which join elementwise regions.
#include <algorithm>
#include <cmath>

#include "optimizer/derived.h"
#include "optimizer/passes.h"

namespace treadle {
namespace {

// y[c] = scale[c] * x[c] + shift[c].
struct Affine {
  std::vector<double> scale, shift;
  static Affine identity(size_t channels) {
    return {std::vector<double>(channels, 1), std::vector<double>(channels, 0)};
  }
  bool scales() const {
    return std::any_of(scale.begin(), scale.end(), [](double s) { return s != 1; });
  }
  bool shifts() const {
    return std::any_of(shift.begin(), shift.end(), [](double s) { return s != 0; });
  }
};

template <class T>
T rounded(double x) {
  if constexpr (std::is_same_v<T, double>) return x;
  if constexpr (std::is_same_v<T, float>) return static_cast<float>(x);
  return T(static_cast<float>(x));
}

Tensor tensor_of(DType dtype, Dims dims, const std::vector<double>& values) {
  Tensor t(dtype, std::move(dims));
  dispatch(dtype, FloatTypes{}, [&]<class T>() {
    auto to = t.data<T>();
    for (size_t i = 0; i < values.size(); ++i) to[i] = rounded<T>(values[i]);
  });
  return t;
}

// Multiplies weights by the scale of the channel that lies along `axis`; of grouped ConvTranspose
// weights [groups * in, out, …] the channel also depends on the group.
void multiply(Tensor& w, size_t axis, const std::vector<double>& factors, int64_t groups) {
  const int64_t channels = w.dim(axis);
  int64_t inner = 1;
  for (size_t i = axis + 1; i < w.dims().size(); ++i) inner *= w.dim(i);
  const int64_t outer = channels * inner == 0 ? 0 : w.count() / (channels * inner);
  const int64_t outer_a_group = std::max<int64_t>(outer / groups, 1);
  dispatch(w.dtype(), FloatTypes{}, [&]<class T>() {
    using C = std::conditional_t<std::is_same_v<T, double>, double, float>;
    T* at = w.data<T>().data();
    for (int64_t o = 0; o < outer; ++o) {
      const int64_t base = groups > 1 ? (o / outer_a_group) * channels : 0;
      for (int64_t c = 0; c < channels; ++c) {
        const C factor = static_cast<C>(factors[static_cast<size_t>(base + c)]);
        for (int64_t i = 0; i < inner; ++i, ++at) *at = T(static_cast<C>(*at) * factor);
      }
    }
  });
}

class Folder {
 public:
  explicit Folder(Pass& pass) : pass_(pass), graph_(pass.graph) {}

  void run() {
    const std::vector<NodeId> order = graph_.topological_order();
    for (NodeId id : order) {
      if (pass_.stopped()) return;
      if (graph_.alive(id)) fold_into(id);
    }
    for (NodeId id : order) {
      if (pass_.stopped()) return;
      if (graph_.alive(id) && graph_.node(id).is("BatchNormalization")) split(id);
    }
  }

 private:
  // Where the product's output channels lie: in its weights, and in its output.
  struct Linear {
    size_t weight_axis, output_axis;
    int64_t groups = 1;
  };
  std::optional<Linear> linear(const Node& node) const {
    const Tensor* w = pass_.constant(node.input(1));
    const auto& shape = pass_.type(node.output()).shape;
    if (w == nullptr || !shape || !kFloats.has(w->dtype())) return std::nullopt;
    const size_t last = shape->size() - 1;
    if (node.is("Conv") && w->rank() >= 3) return Linear{0, 1};
    if (node.is("ConvTranspose") && w->rank() >= 3) {
      return Linear{1, 1, std::max<int64_t>(node.attributes.i("group", 1), 1)};
    }
    if (node.is("Gemm") && w->rank() == 2) {
      const bool plain = node.attributes.f("beta", 1) == 1 || !node.input(2).valid();
      if (!plain) return std::nullopt;
      return Linear{node.attributes.i("transB", 0) != 0 ? size_t{0} : size_t{1}, last};
    }
    if (node.is("MatMul") && w->rank() == 2 && !shape->empty()) return Linear{1, last};
    return std::nullopt;
  }

  void fold_into(NodeId id) {
    const auto where = linear(graph_.node(id));
    if (!where) return;
    const Tensor& w = *pass_.constant(graph_.node(id).input(1));
    const auto channels =
        static_cast<size_t>(checked_mul(w.dim(where->weight_axis), where->groups));
    Affine affine = Affine::identity(channels);
    if (!start_from_bias(id, affine)) return;
    const std::vector<double> bias = affine.shift;
    ValueId end = graph_.node(id).output();
    bool extended = false;
    while (const auto next = reader(id, end, where->output_axis, channels)) {
      compose(affine, *next);
      end = graph_.node(graph_.value(end).users[0]).output();
      extended = true;
    }
    const bool is_matmul = graph_.node(id).is("MatMul");
    if (!extended || (is_matmul && !affine.scales())) return;
    replace(id, *where, affine, end);
  }

  // The bias that the product has; false when it is not a constant of one element a channel.
  bool start_from_bias(NodeId id, Affine& affine) const {
    const ValueId bias = graph_.node(id).input(2);
    if (!bias.valid()) return true;
    const Tensor* t = pass_.constant(bias);
    if (t == nullptr || t->dims().empty() || t->dims().back() != t->count()) return false;
    if (static_cast<size_t>(t->count()) != affine.shift.size()) return false;
    affine.shift = t->to_doubles();
    return true;
  }

  static void compose(Affine& first, const Affine& then) {
    for (size_t i = 0; i < first.scale.size(); ++i) {
      first.scale[i] *= then.scale[i];
      first.shift[i] = first.shift[i] * then.scale[i] + then.shift[i];
    }
  }

  // What the only reader of the value does to it, when that is affine in each channel.
  std::optional<Affine> reader(NodeId product, ValueId value, size_t axis, size_t channels) {
    const auto& users = graph_.value(value).users;
    if (users.empty() || graph_.is_output(value)) return std::nullopt;
    const Node& user = graph_.node(users[0]);
    const bool affine = user.is("BatchNormalization") || user.is("Mul") || user.is("Add") ||
                        user.is("Sub") || user.is("Div");
    if (!affine) return std::nullopt;
    if (users.size() > 1) {
      if (user.is("BatchNormalization")) pass_.refuse(product, "its output has several readers");
      return std::nullopt;
    }
    if (!same_type(pass_.type(user.output()), pass_.type(value))) return std::nullopt;
    if (user.is("BatchNormalization")) return batchnorm(users[0], axis, channels);
    return arithmetic(user, value, axis, channels);
  }

  std::optional<Affine> batchnorm(NodeId id, size_t axis, size_t channels) {
    const Node& node = graph_.node(id);
    if (axis != 1) return std::nullopt;
    const bool more = std::any_of(node.outputs.begin() + 1, node.outputs.end(),
                                  [](ValueId v) { return v.valid(); });
    if (node.attributes.i("training_mode", 0) != 0 || more) {
      pass_.refuse(id, "it is in training mode");
      return std::nullopt;
    }
    std::vector<double> parts[4];
    for (size_t i = 0; i < 4; ++i) {
      const Tensor* t = pass_.constant(node.input(i + 1));
      if (t == nullptr || !kFloats.has(t->dtype())) return std::nullopt;
      if (static_cast<size_t>(t->count()) != channels) return std::nullopt;
      parts[i] = t->to_doubles();
    }
    const double epsilon = static_cast<double>(node.attributes.f("epsilon", 1e-5f));
    Affine a = Affine::identity(channels);
    for (size_t c = 0; c < channels; ++c) {
      a.scale[c] = parts[0][c] / std::sqrt(parts[3][c] + epsilon);
      a.shift[c] = parts[1][c] - parts[2][c] * a.scale[c];
    }
    return a;
  }

  std::optional<Affine> arithmetic(const Node& node, ValueId value, size_t axis, size_t channels) {
    const bool first = node.input(0) == value;
    if (node.is("Div") && !first) return std::nullopt;
    const Tensor* t = pass_.constant(node.input(first ? 1 : 0));
    if (t == nullptr || node.input(0) == node.input(1)) return std::nullopt;
    const size_t rank = pass_.type(value).shape->size();
    for (size_t i = 0; i < t->dims().size(); ++i) {
      const bool channel = i + rank - t->dims().size() == axis;
      if (t->dim(i) != 1 && !(channel && static_cast<size_t>(t->dim(i)) == channels)) {
        return std::nullopt;
      }
    }
    std::vector<double> operand = t->to_doubles();
    if (operand.size() == 1) operand.assign(channels, operand[0]);
    if (operand.size() != channels) return std::nullopt;
    Affine a = Affine::identity(channels);
    for (size_t c = 0; c < channels; ++c) {
      if (node.is("Mul")) a.scale[c] = operand[c];
      if (node.is("Div")) a.scale[c] = 1 / operand[c];
      if (node.is("Add")) a.shift[c] = operand[c];
      if (node.is("Sub")) a.shift[c] = first ? -operand[c] : operand[c];
      if (node.is("Sub") && !first) a.scale[c] = -1;
      if (!std::isfinite(a.scale[c])) return std::nullopt;
    }
    return a;
  }

  void replace(NodeId id, const Linear& where, const Affine& affine, ValueId end) {
    const Node& node = graph_.node(id);
    const Tensor& w = *pass_.constant(node.input(1));
    Patch patch;
    ValueId weights = node.input(1);
    if (affine.scales()) {
      const auto make = [where, factors = affine.scale](const std::vector<Tensor>& sources,
                                                        Tensor& to) {
        sources[0].copy_to(to);
        multiply(to, where.weight_axis, factors, where.groups);
      };
      weights = patch.constant(derived(w.dtype(), w.dims(), {w}, make));
    }
    const auto channels = static_cast<int64_t>(affine.shift.size());
    std::vector<ValueId> inputs = {node.input(0), weights};
    ValueId bias;
    if (affine.shifts()) bias = patch.constant(tensor_of(w.dtype(), {channels}, affine.shift));
    if (bias.valid() && !node.is("MatMul")) inputs.push_back(bias);
    ValueId result = patch.op(node.op->kind, inputs, node.attributes);
    if (bias.valid() && node.is("MatMul")) result = patch.op("Add", {result, bias});
    patch.replace(end, result);
    pass_.apply(id, std::move(patch));
  }

  void split(NodeId id) {
    const Node& node = graph_.node(id);
    const Tensor* scale = pass_.constant(node.input(1));
    const auto& shape = pass_.type(node.output()).shape;
    if (scale == nullptr || !shape || shape->size() < 2) return;
    const auto affine = batchnorm(id, 1, static_cast<size_t>(scale->count()));
    if (!affine) return;
    Dims dims(shape->size() - 1, 1);
    dims[0] = scale->count();
    const DType dtype = pass_.type(node.input(0)).dtype;
    Patch patch;
    const ValueId product =
        patch.op("Mul", {node.input(0), patch.constant(tensor_of(dtype, dims, affine->scale))});
    patch.replace(
        node.output(),
        patch.op("Add", {product, patch.constant(tensor_of(dtype, dims, affine->shift))}));
    pass_.apply(id, std::move(patch));
  }

  Pass& pass_;
  Graph& graph_;
};

}  // namespace

void fold_batchnorm(Pass& pass) { Folder(pass).run(); }

}  // namespace treadle
