// Brings chains of Reshape, Squeeze, Unsqueeze, Flatten and Transpose into a short form: views
// (which move no element) before transposes, and neither twice in a row.
#include <algorithm>
#include <numeric>

#include "optimizer/passes.h"
#include "optimizer/views.h"

namespace treadle {
namespace {

constexpr int kMaxRounds = 16;

class Views {
 public:
  explicit Views(Pass& pass) : pass_(pass), graph_(pass.graph) {}

  bool round() {
    bool changed = false;
    for (NodeId id : graph_.topological_order()) {
      if (pass_.stopped()) return false;
      if (!graph_.alive(id)) continue;
      // Rewriting moves the nodes: no reference is held over it.
      if (is_view(&graph_.node(id))) {
        changed = view(id) || changed;
      } else if (graph_.node(id).is("Transpose")) {
        changed = transpose(id) || changed;
      }
    }
    return changed;
  }

 private:
  const std::optional<Shape>& shape(ValueId v) const { return pass_.type(v).shape; }

  // `from`, or what it is a view of, in the shape `to`; invalid when no constant tells how.
  ValueId reshape(Patch& patch, ValueId from, const Shape& to) {
    for (ValueId source = from; shape(source);) {
      if (*shape(source) == to) return source;
      const auto spec = reshape_spec(*shape(source), to);
      if (spec) return patch.op("Reshape", {source, patch.ints(*spec)});
      const Node* producer = graph_.producer(source);
      if (!is_view(producer)) break;
      source = producer->input(0);
    }
    return {};
  }

  bool view(NodeId id) {
    const Node& node = graph_.node(id);
    if (!shape(node.output()) || !shape(node.input(0))) return false;
    return unview(id) || merge(id) || before_transpose(id);
  }

  // A value further up the chain of views that already has the shape.
  bool unview(NodeId id) {
    const ValueId output = graph_.node(id).output();
    const Node* at = &graph_.node(id);
    while (is_view(at)) {
      const ValueId source = at->input(0);
      if (same_type(pass_.type(source), pass_.type(output))) {
        return pass_.replace(id, output, source);
      }
      at = graph_.producer(source);
    }
    return false;
  }

  // A view of a view that nobody else reads.
  bool merge(NodeId id) {
    const Node& node = graph_.node(id);
    const Node* inner = graph_.producer(node.input(0));
    if (!is_view(inner) || !graph_.has_one_use(node.input(0)) || !shape(inner->input(0))) {
      return false;
    }
    Patch patch;
    const ValueId result = reshape(patch, inner->input(0), *shape(node.output()));
    if (!result.valid()) return false;
    patch.replace(node.output(), result);
    return pass_.apply(id, std::move(patch));
  }

  // The view's dimensions that each transposed dimension falls apart into; false when it merges
  // some.
  static bool split(const Shape& from, const Shape& to, std::vector<std::vector<size_t>>& groups) {
    size_t next = 0;
    groups.assign(from.size(), {});
    for (size_t i = 0; i < from.size(); ++i) {
      Dim product = 1;
      while (!(product == from[i])) {
        while (next < to.size() && to[next].is(1)) ++next;
        if (next == to.size() || to[next].is_unknown()) return false;
        product = product * to[next];
        groups[i].push_back(next++);
      }
    }
    return std::all_of(to.begin() + static_cast<ptrdiff_t>(next), to.end(),
                       [](const Dim& d) { return d.is(1); });
  }

  // view(transpose(x)) where the view only splits dimensions or moves ones: transpose(view(x)).
  bool before_transpose(NodeId id) {
    const Node& node = graph_.node(id);
    const Node* inner = pass_.producer(node.input(0), "Transpose");
    if (inner == nullptr || !graph_.has_one_use(node.input(0))) return false;
    const Shape& to = *shape(node.output());
    const auto& source = shape(inner->input(0));
    std::vector<std::vector<size_t>> groups;
    if (!source || !split(*shape(node.input(0)), to, groups)) return false;
    const std::vector<int64_t> perm = permutation(*inner, source->size());
    std::vector<size_t> order;  // of `to`'s dimensions as the new view has them, ones first
    for (size_t i = 0; i < to.size(); ++i) {
      if (to[i].is(1)) order.push_back(i);
    }
    for (size_t axis = 0; axis < source->size(); ++axis) {
      const auto at = std::find(perm.begin(), perm.end(), static_cast<int64_t>(axis));
      if (at == perm.end()) return false;
      const auto& group = groups[static_cast<size_t>(at - perm.begin())];
      order.insert(order.end(), group.begin(), group.end());
    }
    Shape middle;
    std::vector<int64_t> new_perm(to.size());
    for (size_t i = 0; i < order.size(); ++i) {
      middle.push_back(to[order[i]]);
      new_perm[order[i]] = static_cast<int64_t>(i);
    }
    Patch patch;
    const ValueId viewed = reshape(patch, inner->input(0), middle);
    if (!viewed.valid()) return false;
    patch.replace(node.output(), patch.op("Transpose", {viewed}, {{"perm", new_perm}}));
    return pass_.apply(id, std::move(patch));
  }

  bool transpose(NodeId id) {
    const Node& node = graph_.node(id);
    const auto& from = shape(node.input(0));
    if (!from || !shape(node.output())) return false;
    const std::vector<int64_t> perm = permutation(node, from->size());
    if (std::is_sorted(perm.begin(), perm.end())) {
      return pass_.replace(id, node.output(), node.input(0));
    }
    return as_view(id, perm) || twice(id, perm);
  }

  // Only dimensions of size 1 move.
  bool as_view(NodeId id, const std::vector<int64_t>& perm) {
    const Node& node = graph_.node(id);
    const Shape& from = *shape(node.input(0));
    int64_t last = -1;
    for (int64_t axis : perm) {
      if (from[static_cast<size_t>(axis)].is(1)) continue;
      if (axis < last) return false;
      last = axis;
    }
    Patch patch;
    const ValueId result = reshape(patch, node.input(0), *shape(node.output()));
    if (!result.valid()) return false;
    patch.replace(node.output(), result);
    return pass_.apply(id, std::move(patch));
  }

  bool twice(NodeId id, const std::vector<int64_t>& perm) {
    const Node& node = graph_.node(id);
    const Node* inner = pass_.producer(node.input(0), "Transpose");
    if (inner == nullptr) return false;
    const std::vector<int64_t> first = permutation(*inner, perm.size());
    std::vector<int64_t> both;
    for (int64_t axis : perm) both.push_back(first[static_cast<size_t>(axis)]);
    const bool back = std::is_sorted(both.begin(), both.end());
    if (!back && !graph_.has_one_use(node.input(0))) return false;
    Patch patch;
    patch.replace(node.output(), back ? inner->input(0)
                                      : patch.op("Transpose", {inner->input(0)}, {{"perm", both}}));
    return pass_.apply(id, std::move(patch));
  }

  Pass& pass_;
  Graph& graph_;
};

}  // namespace

bool is_view(const Node* node) {
  return node != nullptr && (node->is("Reshape") || node->is("Squeeze") || node->is("Unsqueeze") ||
                             node->is("Flatten"));
}

std::vector<int64_t> permutation(const Node& transpose, size_t rank) {
  std::vector<int64_t> perm = transpose.attributes.ints("perm");
  if (perm.empty()) {
    perm.resize(rank);
    std::iota(perm.rbegin(), perm.rend(), 0);
  }
  return perm;
}

void merge_views(Pass& pass) {
  Views views(pass);
  for (int i = 0; i < kMaxRounds && views.round(); ++i) {
  }
}

}  // namespace treadle
