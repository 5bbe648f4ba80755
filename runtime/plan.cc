// Chooses a kernel and layouts for every node with concrete shapes, inserts
// shared reorders, and drafts the steps.
#include "runtime/plan.h"

#include <algorithm>
#include <optional>

#include "graph/base/pages.h"
#include "runtime/describe.h"
#include "runtime/planner.h"
#include "runtime/views.h"

namespace treadle {
namespace {

class Planner {
 public:
  explicit Planner(const PlanRequest& request)
      : request_(request), graph_(*request.graph), backend_(request.model->backend()) {
    context_.threads = request.threads;
    context_.packs = &request.model->packs();
    context_.winograd = request.model->options().winograd;
    context_.held = &held_;
  }

  std::shared_ptr<const Plan> run() {
    const BriefPages pages;
    auto plan = std::make_shared<Plan>();
    plan->graph = request_.graph;
    parts_ = partition(graph_, request_.inputs);
    slot_of_.resize(graph_.value_count());
    bind_inputs();
    for (NodeId id : parts_.fixed) {
      try {
        add_node(id);
      } catch (Error& e) {
        add_context(e, graph_.node(id));
        throw;
      }
    }
    add_outputs(*plan);
    add_states(*plan);
    add_exports(*plan);
    place_drafts(d_, *plan, request_.model->options());
    for (size_t i = 0; i < plan->exported.size(); ++i)
      plan->exported[i].place = place_of(d_, d_.exported[i]);
    take_constants(*plan);
    plan->held = std::move(held_);
    for (NodeId id : plan->dynamic) plan->infos.push_back(describe_dynamic(graph_.node(id)));
    return plan;
  }

 private:
  // Those that the run reads, in memory; the others stay undefined.
  void take_constants(Plan& plan) {
    plan.constants.resize(d_.constants.size());
    const auto take = [&](const Place& place) {
      if (place.kind != Place::Kind::kConstant || plan.constants[place.index].defined()) return;
      plan.constants[place.index] = held_plain(context_, d_.constants[place.index]);
    };
    for (const Step& step : plan.steps) {
      try {
        std::ranges::for_each(step.inputs, take);
      } catch (Error& e) {
        if (step.node.valid()) add_context(e, graph_.node(step.node));
        throw;
      }
    }
    for (const Exported& e : plan.exported) take(e.place);
  }

  const Known& known(ValueId v) const { return parts_.known[v.index]; }

  TensorSpec spec_of(ValueId v) const {
    if (!v.valid()) return {};
    return {known(v).type.dtype, *concrete(*known(v).type.shape), kPlain};
  }

  NodeSpec spec_of(const Node& node) {
    NodeSpec spec;
    spec.node = &node;
    for (ValueId v : node.inputs) {
      spec.inputs.push_back(spec_of(v));
      if (v.valid()) spec.inputs.back().layout = layout_of(v);
      spec.constants.push_back(v.valid() ? known(v).constant : Tensor());
    }
    for (ValueId v : node.outputs) spec.outputs.push_back(spec_of(v));
    return spec;
  }

  Layout layout_of(ValueId v) {
    const auto& slots = slot_of_[v.index];
    return slots.empty() ? kPlain : d_.slots[slots.front()].spec.layout;
  }

  SlotId new_slot(TensorSpec spec) {
    const size_t bytes = backend_.bytes(spec);
    return d_.slots.add(spec, bytes);
  }

  void bind_inputs() {
    for (uint32_t i = 0; i < graph_.inputs().size(); ++i) {
      const ValueId v = graph_.inputs()[i];
      if (parts_.loose[v.index] || known(v).constant.defined()) continue;
      const SlotId slot = new_slot(spec_of(v));
      d_.slots[slot].kind = Place::Kind::kInput;
      d_.slots[slot].index = i;
      slot_of_[v.index].push_back(slot);
    }
  }

  // The value's slot in the layout it was made in; constants get theirs when
  // first read.
  SlotId first_slot(ValueId v) {
    auto& slots = slot_of_[v.index];
    if (slots.empty()) {
      TREADLE_CHECK(known(v).constant.defined(), kInternal, "value '", graph_.value(v).name,
                    "' has no buffer");
      slots.push_back(add_constant(spec_of(v), known(v).constant));
    }
    return slots.front();
  }

  SlotId add_constant(const TensorSpec& spec, Tensor tensor) {
    const SlotId slot = new_slot(spec);
    d_.slots[slot].kind = Place::Kind::kConstant;
    d_.slots[slot].index = static_cast<uint32_t>(d_.constants.size());
    d_.constants.push_back(std::move(tensor));
    return slot;
  }

  // The value in `layout`: reordered once, shared by all its readers.
  SlotId slot_in(ValueId v, Layout layout) {
    const SlotId from = first_slot(v);
    for (SlotId s : slot_of_[v.index]) {
      if (d_.slots[s].spec.layout == layout) return s;
    }
    TensorSpec to = d_.slots[from].spec;
    to.layout = layout;
    Compiled reorder = backend_.reorder(d_.slots[from].spec, to, context_);
    const SlotId slot = d_.slots[from].kind == Place::Kind::kConstant
                            ? reordered_constant(from, to, reorder)
                            : reordered(from, to, std::move(reorder));
    slot_of_[v.index].push_back(slot);
    return slot;
  }

  SlotId reordered_constant(SlotId from, const TensorSpec& to, const Compiled& reorder) {
    const Tensor& source = d_.constants[d_.slots[from].index];
    const auto bytes = packed(context_, source, cat("layout ", to.layout), [&](const Tensor& t) {
      auto made = Buffer::allocate(backend_.bytes(to));
      const auto scratch = Buffer::allocate(reorder.scratch_bytes);
      const void* in = t.raw();
      void* out = made->data();
      reorder.kernel->run({&in, &out, scratch->data(), nullptr});
      return made;
    });
    return add_constant(to, Tensor(DType::kUint8, {static_cast<int64_t>(bytes->size())}, bytes));
  }

  SlotId reordered(SlotId from, const TensorSpec& to, Compiled reorder) {
    const SlotId slot = new_slot(to);
    Draft draft;
    draft.info.op = "reorder";
    draft.info.backend = backend_.name();
    draft.info.shapes = shape_text(to.dims);
    draft.info.bytes = capped_mul(2, byte_size(to.dtype, element_count(to.dims)));
    draft.take(std::move(reorder));
    draft.inputs = {from};
    draft.outputs = {slot};
    d_.drafts.push_back(std::move(draft));
    return slot;
  }

  void add_node(NodeId id) {
    const Node& node = graph_.node(id);
    const NodeSpec spec = spec_of(node);
    if (add_view(node, spec) || add_parts(node, spec) || add_gathering(node, spec)) return;
    add_kernel(id, spec);
  }

  bool add_view(const Node& node, const NodeSpec& spec) {
    Backend::SameBytes layouts{kPlain, kPlain};
    if (const auto permuted = backend_.same_bytes(spec)) {
      layouts = *permuted;
    } else if (!is_view(spec)) {
      return false;
    }
    TREADLE_CHECK(element_count(spec.inputs[0].dims) == element_count(spec.outputs[0].dims),
                  kInvalidData, "shape ", shape_text(spec.inputs[0].dims), " does not fit ",
                  shape_text(spec.outputs[0].dims));
    TensorSpec to = spec.outputs[0];
    to.layout = layouts.output;
    add_part(node.outputs[0], to, slot_in(node.inputs[0], layouts.input), 0);
    return true;
  }

  void add_part(ValueId v, const TensorSpec& spec, SlotId from, size_t offset) {
    const SlotId slot = new_slot(spec);
    d_.slots.attach(slot, from, offset);
    slot_of_[v.index].push_back(slot);
  }

  bool add_parts(const Node& node, const NodeSpec& spec) {
    const std::vector<size_t> offsets = part_offsets(spec, backend_);
    if (offsets.empty()) return false;
    const SlotId from = first_slot(node.inputs[0]);
    for (size_t i = 0; i < offsets.size(); ++i) {
      TensorSpec part = spec.outputs[i];
      part.layout = d_.slots[from].spec.layout;
      add_part(node.outputs[i], part, from, offsets[i]);
    }
    return true;
  }

  bool add_gathering(const Node& node, const NodeSpec& spec) {
    if (!node.is("Concat")) return false;
    const auto rank = static_cast<int64_t>(spec.outputs[0].dims.size());
    const int64_t axis = resolve_axis(node.attributes.i("axis", 0), rank);
    TensorSpec whole = spec.outputs[0];
    std::vector<TensorSpec> parts = spec.inputs;
    whole.layout = spec.inputs[0].layout;
    for (TensorSpec& p : parts) p.layout = whole.layout;
    Gathering g;
    g.offsets = backend_.adjacent_parts(whole, parts, axis);
    if (g.offsets.empty()) return false;
    for (size_t o : g.offsets) {
      if (o % kAlignment != 0) return false;
    }
    for (ValueId v : node.inputs) g.parts.push_back(slot_in(v, whole.layout));
    g.whole = new_slot(whole);
    g.draft = d_.drafts.size();
    slot_of_[node.outputs[0].index].push_back(g.whole);
    Draft moment;
    moment.info = describe_step(spec);
    d_.drafts.push_back(std::move(moment));
    d_.gatherings.push_back(std::move(g));
    return true;
  }

  // Only the device's library knows all that it lacks: it may decline as late as here.
  std::optional<Compiled> compile_on_device(const NodeSpec& spec, StepInfo& info) const {
    const Support support = backend_.supports(spec);
    info.reason = support.reason;
    if (!support.ok) return std::nullopt;
    try {
      return backend_.compile(spec, context_);
    } catch (const Error& e) {
      if (e.code() != Code::kUnsupported) throw;
      info.reason = e.text();
      return std::nullopt;
    }
  }

  Compiled compile(const NodeSpec& spec, StepInfo& info) const {
    std::optional<Compiled> on_device = compile_on_device(spec, info);
    const Backend& backend = on_device ? backend_ : reference_backend();
    info.backend = backend.name();
    if (on_device) return std::move(*on_device);
    // An added operator's callback is all there is, on every device.
    const bool own = spec.node->state != nullptr;
    if (own) info.reason.clear();
    TREADLE_CHECK(own || request_.model->options().fallback, kUnsupported, "device ",
                  backend_.name(), " does not run it (", info.reason, ") and fallback is off");
    const Support last = backend.supports(spec);
    TREADLE_CHECK(last.ok, kUnsupported, last.reason);
    return backend.compile(spec, context_);
  }

  void add_kernel(NodeId id, const NodeSpec& spec) {
    Draft draft;
    draft.info = describe_step(spec);
    Compiled c = compile(spec, draft.info);
    draft.node = id;
    for (size_t i = 0; i < spec.inputs.size(); ++i) {
      const bool read = spec.inputs[i].present() && (c.reads.empty() || c.reads[i]);
      const Layout want = c.input_layouts.empty() ? kPlain : c.input_layouts[i];
      draft.inputs.push_back(read ? slot_in(spec.node->inputs[i], want) : kNoSlot);
    }
    for (size_t i = 0; i < spec.outputs.size(); ++i) {
      if (!spec.outputs[i].present()) {
        draft.outputs.push_back(kNoSlot);
        continue;
      }
      TensorSpec out = spec.outputs[i];
      out.layout = c.output_layouts.empty() ? kPlain : c.output_layouts[i];
      draft.outputs.push_back(new_slot(out));
      slot_of_[spec.node->outputs[i].index].push_back(draft.outputs.back());
    }
    draft.take(std::move(c));
    d_.drafts.push_back(std::move(draft));
  }

  void add_outputs(Plan& plan) {
    for (const GraphOutput& o : graph_.outputs()) {
      const uint32_t v = o.value.index;
      Plan::Output output;
      output.is_static = !parts_.late[v] && !parts_.loose[v];
      if (output.is_static) output.spec = spec_of(o.value);
      d_.outputs.push_back(output.is_static ? slot_in(o.value, kPlain) : kNoSlot);
      plan.outputs.push_back(std::move(output));
    }
  }

  // A state that data-dependent nodes may still read keeps its value until all has run.
  void add_states(Plan& plan) {
    for (const State& state : graph_.states) {
      const auto output = std::ranges::find(graph_.outputs(), state.output, &GraphOutput::name);
      if (output == graph_.outputs().end()) continue;  // of a part of the model's graph
      const auto input = std::ranges::find(graph_.inputs(), state.input,
                                           [&](ValueId v) { return graph_.value(v).name; });
      const auto o = static_cast<size_t>(output - graph_.outputs().begin());
      plan.outputs[o].state = static_cast<int32_t>(input - graph_.inputs().begin());
      if (!plan.outputs[o].is_static || !parts_.dynamic.empty()) continue;
      plan.outputs[o].in_input = true;
      d_.states.emplace_back(d_.outputs[o], first_slot(*input));
      d_.outputs[o] = kNoSlot;
    }
  }

  void export_value(Plan& plan, ValueId v) {
    if (exported_[v.index] || parts_.late[v.index] || parts_.loose[v.index]) return;
    exported_[v.index] = true;
    d_.exported.push_back(slot_in(v, kPlain));
    plan.exported.push_back({v, spec_of(v), {}});
  }

  void add_exports(Plan& plan) {
    plan.dynamic = parts_.dynamic;
    exported_.resize(graph_.value_count());
    for (NodeId id : parts_.dynamic) {
      for_each_use(graph_.node(id), [&](ValueId v) { export_value(plan, v); });
    }
    if (parts_.rest.empty()) return;
    plan.rest =
        std::make_shared<Graph>(extract_rest(graph_, parts_, plan.rest_inputs, plan.rest_outputs));
    for (ValueId v : plan.rest_inputs) export_value(plan, v);
  }

  const PlanRequest& request_;
  const Graph& graph_;
  const Backend& backend_;
  CompileContext context_;
  std::vector<std::shared_ptr<Buffer>> held_;
  Partition parts_;
  Drafts d_;
  std::vector<bool> exported_;                // by value index
  std::vector<std::vector<SlotId>> slot_of_;  // by value index; the layout it was made in first
};

}  // namespace

std::shared_ptr<const Plan> make_plan(const PlanRequest& request) { return Planner(request).run(); }

}  // namespace treadle
