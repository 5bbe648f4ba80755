// Attention reads heads where projections leave them, beside each other in the rows of a tensor,
// and leaves its own where the next projection reads them: transposes around it go, and slices of
// merged queries, keys and values.
#include <algorithm>
#include <array>
#include <optional>

#include "graph/ops/slice.h"
#include "optimizer/passes.h"
#include "optimizer/views.h"

namespace treadle {
namespace {

using Ints = std::vector<int64_t>;

// Columns of a tensor from `start` on.
struct Columns {
  ValueId value;
  int64_t start = 0;
};

// `from` in the shape `to`.
struct View {
  ValueId from;
  Shape to;
  ValueId value;
};

class HeadFuser {
 public:
  HeadFuser(Pass& pass, NodeId root) : pass_(pass), graph_(pass.graph), root_(root) {}

  void fuse() {
    const Node& node = graph_.node(root_);
    if (!has_sizes() || !find_results()) return;
    inputs_ = node.inputs;
    attributes_ = node.attributes;
    attributes_.erase("qk_matmul_output_mode");
    attributes_.set("q_num_heads", shape(0)[1].value());
    attributes_.set("kv_num_heads", shape(1)[1].value());
    attributes_.set("qk_head_size", shape(0)[3].value());
    attributes_.set("v_head_size", shape(2)[3].value());
    if (sequence_first_) attributes_.set("sequence_first", int64_t{1});
    constexpr std::array kStarts = {"q_start", "k_start", "v_start"};
    for (size_t i = 0; i < kStarts.size(); ++i) take(i, kStarts.at(i));
    const Shape rows = in_rows(0, shape(0)[1] * shape(2)[3]);
    ValueId y = patch_.op("FusedAttention", inputs_, attributes_, "treadle");
    if (!reshape(y, rows, *pass_.type(results_).shape)) return;
    patch_.replace(results_, y);
    pass_.apply(root_, std::move(patch_));
  }

 private:
  const Shape& shape(size_t input) const {
    return *pass_.type(graph_.node(root_).input(input)).shape;
  }

  // Of rank 4, with heads and sizes that are known; of outputs just the first.
  bool has_sizes() const {
    const Node& node = graph_.node(root_);
    for (size_t i = 1; i < node.outputs.size(); ++i) {
      if (node.output(i).valid()) return false;
    }
    for (size_t i : {0, 1, 2}) {
      const auto& s = pass_.type(node.input(i)).shape;
      if (!s || s->size() != 4 || !is_size((*s)[1]) || !is_size((*s)[3])) return false;
    }
    return true;
  }
  static bool is_size(const Dim& d) { return d.known() && d.value() > 0; }

  // What is made of the results as rows: a transpose of them, or a view of it.
  bool find_results() {
    const Node& node = graph_.node(root_);
    results_ = node.output();
    const Node* transpose = only_user(results_);
    if (transpose == nullptr || !transpose->is("Transpose")) return false;
    const Shape y = {shape(0)[0], shape(0)[1], shape(0)[2], shape(2)[3]};
    const Ints perm = permutation(*transpose, y.size());
    sequence_first_ = !same_order(perm, {0, 2, 1, 3}, y);
    if (sequence_first_ && !same_order(perm, {2, 0, 1, 3}, y)) return false;
    do {
      results_ = transpose->output();
      transpose = only_user(results_);
    } while (is_view(transpose) && pass_.type(transpose->output()).shape);
    return pass_.type(results_).shape.has_value();
  }

  const Node* only_user(ValueId v) const {
    return graph_.has_one_use(v) ? &graph_.node(graph_.value(v).users[0]) : nullptr;
  }

  // Two permutations of a shape give the same elements in the same order.
  static bool same_order(const Ints& a, const Ints& b, const Shape& from) {
    const auto moved = [&](Ints perm) {
      std::erase_if(perm, [&](int64_t axis) { return from[static_cast<size_t>(axis)].is(1); });
      return perm;
    };
    return moved(a) == moved(b);
  }

  Shape in_rows(size_t input, const Dim& width) const {
    const Dim &batch = shape(input)[0], &rows = shape(input)[2];
    return sequence_first_ ? Shape{rows, batch, width} : Shape{batch, rows, width};
  }

  // Puts rows in place of input `i` where they become it by a transpose.
  void take(size_t i, const char* start) {
    const Node* transpose = pass_.producer(inputs_[i], "Transpose");
    if (transpose == nullptr || !pass_.type(transpose->input(0)).shape) return;
    const Ints wanted = sequence_first_ ? Ints{1, 2, 0, 3} : Ints{0, 2, 1, 3};
    const Shape& from = *pass_.type(transpose->input(0)).shape;
    if (!same_order(permutation(*transpose, from.size()), wanted, from)) return;
    const Dim width = shape(i)[1] * shape(i)[3];
    Columns columns = source(transpose->input(0), width);
    const Shape& all = *pass_.type(columns.value).shape;
    const bool part = columns.value != transpose->input(0);
    if (!reshape(columns.value, all, in_rows(i, part ? all.back() : width))) return;
    inputs_[i] = columns.value;
    if (columns.start > 0) attributes_.set(start, columns.start);
  }

  // A tensor with those columns that `rows` is a view of, or else `rows`.
  Columns source(ValueId rows, const Dim& width) const {
    for (ValueId at = rows; pass_.type(at).shape;) {
      const Shape& s = *pass_.type(at).shape;
      if (!s.empty() && s.back() == width) {
        const std::optional<Columns> part = part_of(at);
        return part ? *part : Columns{at};
      }
      const Node* view = graph_.producer(at);
      if (!is_view(view)) break;
      at = view->input(0);
    }
    return {rows};
  }

  // What a Slice or a Split takes along the last axis.
  std::optional<Columns> part_of(ValueId part) const {
    const Node* node = graph_.producer(part);
    if (node == nullptr || !pass_.type(node->input(0)).shape) return std::nullopt;
    const Shape& from = *pass_.type(node->input(0)).shape;
    if (from.empty() || !from.back().known()) return std::nullopt;
    if (node->is("Slice")) return sliced(*node, from);
    return node->is("Split") ? split(*node, part, from) : std::nullopt;
  }

  std::optional<Columns> sliced(const Node& node, const Shape& from) const {
    const auto one = [&](size_t i) -> std::optional<int64_t> {
      const Tensor* t = pass_.constant(node.input(i));
      return t != nullptr && t->count() == 1 ? std::optional(t->to_ints()[0]) : std::nullopt;
    };
    const auto start = one(1), end = one(2), axis = one(3);
    const auto step = node.input(4).valid() ? one(4) : std::optional<int64_t>(1);
    const auto last = static_cast<int64_t>(from.size()) - 1;
    if (!start || !end || !axis || step != 1 || (*axis != last && *axis != -1)) return std::nullopt;
    return Columns{node.input(0), clamped_range(*start, *end, 1, from.back().value()).start};
  }

  std::optional<Columns> split(const Node& node, ValueId part, const Shape& from) const {
    const auto rank = static_cast<int64_t>(from.size());
    if (resolve_axis(node.attributes.i("axis", 0), rank) != rank - 1) return std::nullopt;
    int64_t start = 0;
    for (ValueId output : node.outputs) {
      if (output == part) return Columns{node.input(0), start};
      if (!output.valid() || !pass_.type(output).shape) return std::nullopt;
      const Dim& width = pass_.type(output).shape->back();
      if (!width.known()) return std::nullopt;
      start += width.value();
    }
    return std::nullopt;
  }

  bool reshape(ValueId& value, const Shape& from, const Shape& to) {
    if (from == to) return true;
    const auto made =
        std::ranges::find_if(views_, [&](const View& v) { return v.from == value && v.to == to; });
    if (made != views_.end()) {
      value = made->value;
      return true;
    }
    const auto spec = reshape_spec(from, to);
    if (!spec) return false;
    views_.push_back({value, to, patch_.op("Reshape", {value, patch_.ints(*spec)})});
    value = views_.back().value;
    return true;
  }

  Pass& pass_;
  Graph& graph_;
  NodeId root_;
  Patch patch_;
  std::vector<View> views_;
  std::vector<ValueId> inputs_;
  Attributes attributes_;
  bool sequence_first_ = false;
  ValueId results_;
};

}  // namespace

void fuse_heads(Pass& pass) {
  for (NodeId id : pass.graph.topological_order()) {
    if (pass.stopped()) return;
    if (pass.graph.alive(id) && pass.graph.node(id).is("Attention")) HeadFuser(pass, id).fuse();
  }
}

}  // namespace treadle
