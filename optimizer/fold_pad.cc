// Folds a Pad by zeros (for MaxPool: by the lowest number) into the Conv or pool behind it, where
// the padded result is exactly the same.
#include <algorithm>
#include <limits>

#include "optimizer/passes.h"

namespace treadle {
namespace {

// The begin and end pads of each axis of a constant-mode Pad; empty when not known.
std::vector<int64_t> pads_of(const Pass& pass, const Node& pad, size_t rank) {
  const Tensor* amounts = pass.constant(pad.input(1));
  if (amounts == nullptr || pad.attributes.s("mode", "constant") != "constant") return {};
  const std::vector<int64_t> given = amounts->to_ints();
  if (!pad.input(3).valid()) return given.size() == 2 * rank ? given : std::vector<int64_t>{};
  const Tensor* axes = pass.constant(pad.input(3));
  if (axes == nullptr || static_cast<size_t>(axes->count()) * 2 != given.size()) return {};
  std::vector<int64_t> pads(2 * rank, 0);
  const std::vector<int64_t> list = axes->to_ints();
  for (size_t i = 0; i < list.size(); ++i) {
    const auto axis = static_cast<size_t>(resolve_axis(list[i], static_cast<int64_t>(rank)));
    pads[axis] = given[i];
    pads[axis + rank] = given[i + list.size()];
  }
  return pads;
}

double fill_of(const Pass& pass, const Node& pad) {
  if (!pad.input(2).valid()) return 0;
  const Tensor* t = pass.constant(pad.input(2));
  const auto value = t != nullptr ? scalar_value(*t) : std::nullopt;
  return value.value_or(std::numeric_limits<double>::quiet_NaN());
}

// "" when the padded elements act as the operator's own padding does.
std::string mismatch(const Node& node, double fill, bool has_pads) {
  if (node.is("MaxPool")) {
    const bool lowest = fill <= static_cast<double>(std::numeric_limits<float>::lowest());
    if (!lowest) return "MaxPool pads with the lowest number";
    if (node.output(1).valid()) return "the indices of MaxPool would change";
    return node.attributes.i("ceil_mode", 0) != 0 ? "its ceil_mode sees the padding" : "";
  }
  if (fill != 0) return "the padding is not 0";
  if (!node.is("AveragePool")) return "";
  if (node.attributes.i("ceil_mode", 0) != 0) return "its ceil_mode sees the padding";
  const bool counts = node.attributes.i("count_include_pad", 0) != 0;
  return has_pads && !counts ? "AveragePool does not count its own padding" : "";
}

void fold(Pass& pass, NodeId id) {
  const Node& node = pass.graph.node(id);
  const Node* pad = pass.producer(node.input(0), "Pad");
  if (pad == nullptr || !pass.type(node.input(0)).shape) return;
  const size_t rank = pass.type(node.input(0)).shape->size();
  const std::string mode = node.attributes.s("auto_pad", "NOTSET");
  const std::vector<int64_t> outer = pads_of(pass, *pad, rank);
  if (outer.empty() || rank < 3 || (mode != "NOTSET" && mode != "VALID")) return;
  const size_t spatial = rank - 2;
  std::vector<int64_t> pads = node.attributes.ints("pads", std::vector<int64_t>(2 * spatial, 0));
  if (pads.size() != 2 * spatial) return;
  const bool has_pads = std::any_of(pads.begin(), pads.end(), [](int64_t p) { return p != 0; });
  for (size_t axis = 0; axis < rank; ++axis) {
    const int64_t before = outer[axis], after = outer[axis + rank];
    const bool fits = axis < 2 ? before == 0 && after == 0 : before >= 0 && after >= 0;
    if (!fits) return pass.refuse(id, "the Pad before it cuts, or pads batch or channels");
    if (axis < 2) continue;
    pads[axis - 2] = checked_add(pads[axis - 2], before);
    pads[axis - 2 + spatial] = checked_add(pads[axis - 2 + spatial], after);
  }
  // A window that sees nothing but padding is an error of a pool.
  const std::vector<int64_t> kernel = node.attributes.ints("kernel_shape");
  for (size_t i = 0; !node.is("Conv") && i < pads.size(); ++i) {
    if (kernel.size() != spatial || pads[i] >= kernel[i % spatial]) {
      return pass.refuse(id, "the padding reaches over a whole window");
    }
  }
  const std::string reason = mismatch(node, fill_of(pass, *pad), has_pads);
  if (!reason.empty()) return pass.refuse(id, reason);
  Attributes attributes = node.attributes;
  attributes.erase("auto_pad");
  attributes.set("pads", pads);
  if (node.is("AveragePool")) attributes.set("count_include_pad", int64_t{1});
  std::vector<ValueId> inputs = node.inputs;
  inputs[0] = pad->input(0);
  Patch patch;
  patch.replace(node.output(), patch.op(node.op->kind, inputs, attributes));
  pass.apply(id, std::move(patch));
}

}  // namespace

void fold_pad(Pass& pass) {
  for (NodeId id : pass.graph.topological_order()) {
    if (pass.stopped()) return;
    if (!pass.graph.alive(id)) continue;
    const Node& node = pass.graph.node(id);
    if (node.is("Conv") || node.is("AveragePool") || node.is("MaxPool")) fold(pass, id);
  }
}

}  // namespace treadle
