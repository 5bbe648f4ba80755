// Gathers of one index out of a chain of views and transposes, as exporters split merged query, key
// and value, become slices of the chain's source: the whole of it is moved no more.
#include <algorithm>

#include "optimizer/passes.h"
#include "optimizer/views.h"

namespace treadle {
namespace {

// `size` elements of `value` from `start` along `axis`.
struct Part {
  ValueId value;
  size_t axis = 0;
  Dim start, size;
};

// One step up the chain: how the part of the source becomes the part of what is made of it.
struct Step {
  std::vector<int64_t> perm;  // of a Transpose; else a view to `shape`
  Shape shape;
};

class Slicer {
 public:
  explicit Slicer(Pass& pass) : pass_(pass), graph_(pass.graph) {}

  void slice(NodeId id) {
    const Node& gather = graph_.node(id);
    Part part;
    std::vector<Step> steps;
    if (!start(gather, part) || !all_single(part.value)) return;
    while (climb(part, steps)) {
    }
    if (steps.empty() || !part.start.known() || !part.size.known()) return;
    Patch patch;
    const auto axis = static_cast<int64_t>(part.axis);
    ValueId at = patch.op(
        "Slice", {part.value, patch.ints({part.start.value()}),
                  patch.ints({part.start.value() + part.size.value()}), patch.ints({axis})});
    Shape shape = *pass_.type(part.value).shape;
    shape[part.axis] = part.size;
    for (auto step = steps.rbegin(); step != steps.rend(); ++step) {
      if (!step->perm.empty()) {
        at = patch.op("Transpose", {at}, {{"perm", step->perm}});
        Shape moved;
        for (int64_t a : step->perm) moved.push_back(shape[static_cast<size_t>(a)]);
        shape = moved;
        continue;
      }
      if (!view(patch, at, shape, step->shape)) return;
    }
    if (!view(patch, at, shape, *pass_.type(gather.output()).shape)) return;
    patch.replace(gather.output(), at);
    pass_.apply(id, std::move(patch));
  }

 private:
  static bool view(Patch& patch, ValueId& at, Shape& shape, const Shape& to) {
    const auto spec = reshape_spec(shape, to);
    if (!spec) return false;
    at = patch.op("Reshape", {at, patch.ints(*spec)});
    shape = to;
    return true;
  }

  bool start(const Node& gather, Part& part) const {
    const Tensor* index = pass_.constant(gather.input(1));
    const auto& from = pass_.type(gather.input(0)).shape;
    if (index == nullptr || index->rank() != 0 || !from || !pass_.type(gather.output()).shape) {
      return false;
    }
    const auto rank = static_cast<int64_t>(from->size());
    part.value = gather.input(0);
    part.axis = static_cast<size_t>(resolve_axis(gather.attributes.i("axis", 0), rank));
    const Dim& length = (*from)[part.axis];
    int64_t at = index->to_ints()[0];
    if (at < 0 && length.known()) at += length.value();
    part.start = at;
    part.size = 1;
    return length.known() && at >= 0 && at < length.value();
  }

  // Whether the value is read by nothing but gathers of one index: then it need not be made.
  bool all_single(ValueId value) const {
    const auto& users = graph_.value(value).users;
    return !graph_.is_output(value) && std::all_of(users.begin(), users.end(), [&](NodeId user) {
      const Node& node = graph_.node(user);
      const Tensor* index = pass_.constant(node.input(1));
      return node.is("Gather") && index != nullptr && index->rank() == 0;
    });
  }

  bool climb(Part& part, std::vector<Step>& steps) const {
    const Node* node = graph_.producer(part.value);
    if (node == nullptr || !pass_.type(part.value).shape || !pass_.type(node->input(0)).shape) {
      return false;
    }
    if (!steps.empty() && !graph_.has_one_use(part.value)) return false;
    const Shape& from = *pass_.type(node->input(0)).shape;
    if (node->is("Transpose")) {
      const std::vector<int64_t> perm = permutation(*node, from.size());
      part.axis = static_cast<size_t>(perm[part.axis]);
      part.value = node->input(0);
      steps.push_back({perm, {}});
      return true;
    }
    return is_view(node) && through_view(*node, from, part, steps);
  }

  // The dimension before the view that this one is the outermost part of.
  bool through_view(const Node& node, const Shape& from, Part& part,
                    std::vector<Step>& steps) const {
    Shape to = *pass_.type(part.value).shape;
    Dim outer = 1, before = 1;
    for (size_t i = 0; i < part.axis; ++i) outer = outer * to[i];
    size_t axis = 0;
    while (axis < from.size() && (!(before == outer) || from[axis].is(1))) {
      before = before * from[axis++];
    }
    if (axis == from.size() || !(before == outer)) return false;
    Dim whole = to[part.axis], inner = 1;
    for (size_t i = part.axis + 1; i < to.size() && !(whole == from[axis]); ++i) {
      whole = whole * to[i];
      inner = inner * to[i];
    }
    if (!(whole == from[axis])) return false;
    to[part.axis] = part.size;
    steps.push_back({{}, std::move(to)});
    part.axis = axis;
    part.start = part.start * inner;
    part.size = part.size * inner;
    part.value = node.input(0);
    return true;
  }

  Pass& pass_;
  Graph& graph_;
};

}  // namespace

void slice_sources(Pass& pass) {
  Slicer slicer(pass);
  for (NodeId id : pass.graph.topological_order()) {
    if (pass.stopped()) return;
    if (pass.graph.alive(id) && pass.graph.node(id).is("Gather")) slicer.slice(id);
  }
}

}  // namespace treadle
