// From drafts over slots to steps over one arena: gathering without copies,
// outputs in the caller's buffers, in-place kernels, then offsets.
#include <algorithm>
#include <cstring>

#include "runtime/describe.h"
#include "runtime/planner.h"
#include "runtime/rematerialize.h"

namespace treadle {
namespace {

class CopyKernel : public Kernel {
 public:
  explicit CopyKernel(size_t bytes) : bytes_(bytes) {}
  void run(const KernelArgs& args) const override {
    if (bytes_ != 0) std::memcpy(args.outputs[0], args.inputs[0], bytes_);
  }

 private:
  size_t bytes_;
};

// In this order: `begin`, changes of the drafts, `place`, `emit`. Several may go on from one that
// has begun.
class Placer {
 public:
  explicit Placer(Drafts drafts) : d_(std::move(drafts)) {}

  void begin() {
    for (auto it = d_.gatherings.rbegin(); it != d_.gatherings.rend(); ++it) gather(*it);
    std::ranges::stable_sort(d_.copies, {}, &Copy::draft);
    assign_outputs();
  }
  Drafts& drafts() { return d_; }
  void place() {
    find_lifetimes();
    assign_states();
    share_in_place();
    assign_offsets();
  }
  size_t arena_bytes() const { return arena_bytes_; }
  void emit(Plan& plan);
  // The node to name when the buffers are too large.
  NodeId largest() const;

 private:
  Slots& slots() { return d_.slots; }
  bool is_free_root(SlotId root) {
    const Slot& s = slots()[root];
    return s.parent == kNoSlot && s.kind == Place::Kind::kArena;
  }

  // Later gatherings come first, so that a chain of Concats (DenseNet) lies in
  // the buffer of the last.
  void gather(const Gathering& g) {
    if (alias_to_parts(g)) return;
    for (size_t i = 0; i < g.parts.size(); ++i) {
      const Located whole = slots().locate(g.whole);
      const Located wanted{whole.root, whole.offset + g.offsets[i]};
      const SlotId part = g.parts[i];
      if (slots().locate(part) == wanted || slots()[part].bytes == 0) continue;
      const SlotId root = slots().locate(part).root;
      if (root != wanted.root && is_free_root(root) && slots().is_whole(part) &&
          is_free_root(wanted.root)) {
        slots().attach(root, g.whole, g.offsets[i]);
      } else {
        d_.copies.push_back({g.draft, part, g.whole, g.offsets[i]});
      }
    }
  }

  // The parts lie side by side already: the whole is a view of them.
  bool alias_to_parts(const Gathering& g) {
    const Located first = slots().locate(g.parts[0]);
    for (size_t i = 0; i < g.parts.size(); ++i) {
      if (slots().locate(g.parts[i]) != Located{first.root, first.offset + g.offsets[i]})
        return false;
    }
    const SlotId whole = slots().locate(g.whole).root;
    if (whole == first.root || !is_free_root(whole) || !slots().is_whole(g.whole)) return false;
    if (first.offset + slots()[g.whole].bytes > slots()[first.root].bytes) return false;
    if (first.offset % kAlignment != 0) return false;
    slots().attach(whole, first.root, first.offset);
    return true;
  }

  void assign_outputs() {
    for (uint32_t i = 0; i < d_.outputs.size(); ++i) {
      const SlotId slot = d_.outputs[i];
      if (slot == kNoSlot) continue;
      const SlotId root = slots().locate(slot).root;
      if (is_free_root(root) && slots().is_whole(slot)) {
        slots()[root].kind = Place::Kind::kOutput;
        slots()[root].index = i;
        continue;
      }
      const SlotId out = slots().add(slots()[slot].spec, slots()[slot].bytes);
      slots()[out].kind = Place::Kind::kOutput;
      slots()[out].index = i;
      add_copy(slot, out);
      d_.outputs[i] = out;
    }
  }

  void add_copy(SlotId from, SlotId to) {
    Draft draft;
    draft.kernel = copy_kernel(slots()[from].bytes);
    draft.inputs = {from};
    draft.outputs = {to};
    draft.info.op = "copy";
    draft.info.backend = "runtime";
    draft.info.kernel = "memcpy";
    d_.drafts.push_back(std::move(draft));
  }

  void touch(SlotId slot, size_t step, bool write) {
    if (slot == kNoSlot) return;
    Slot& root = slots().root(slot);
    if (write) root.first = std::min(root.first, step);
    root.last = std::max(root.last, step);
  }

  void find_lifetimes() {
    for (size_t step = 0; step < d_.drafts.size(); ++step) {
      for (SlotId s : d_.drafts[step].inputs) touch(s, step, false);
      for (SlotId s : d_.drafts[step].outputs) touch(s, step, true);
    }
    for (const Copy& c : d_.copies) {
      touch(c.part, c.draft, false);
      touch(c.whole, c.draft, true);
    }
    for (SlotId s : d_.exported) slots().root(s).last = kForever - 1;
  }

  // The new value goes straight into the state's buffer when the old one has had its last reader.
  // The others are copied at the end: first those that another state's buffer holds.
  void assign_states() {
    std::vector<std::pair<SlotId, SlotId>> late;
    for (auto [from, to] : d_.states) {
      const SlotId root = slots().locate(from).root;
      if (slots().locate(from) == slots().locate(to)) continue;
      if (is_free_root(root) && slots().is_whole(from) && may_overwrite(from, to)) {
        slots()[root].kind = Place::Kind::kInput;
        slots()[root].index = slots()[to].index;
        continue;
      }
      if (!is_free_root(root)) {
        const SlotId kept = slots().add(slots()[from].spec, slots()[from].bytes);
        copy_last(from, kept);
        from = kept;
      }
      late.emplace_back(from, to);
    }
    for (const auto& [from, to] : late) copy_last(from, to);
  }

  void copy_last(SlotId from, SlotId to) {
    add_copy(from, to);
    touch(from, d_.drafts.size() - 1, false);
    touch(to, d_.drafts.size() - 1, true);
  }

  bool may_overwrite(SlotId out, SlotId in) {
    const size_t step = slots().root(out).first;
    if (step == kForever || slots()[in].bytes != slots()[out].bytes) return false;
    if (step != slots()[in].last) return step > slots()[in].last;
    const Draft& draft = d_.drafts[step];
    const auto reads = [&](SlotId s) { return s != kNoSlot && slots().locate(s).root == in; };
    if (std::ranges::count_if(draft.inputs, reads) != 1) return false;
    return std::ranges::any_of(draft.in_place, [&](const InPlace& pair) {
      const SlotId from = draft.inputs[pair.input];
      return reads(from) && slots().is_whole(from) && draft.outputs[pair.output] == out;
    });
  }

  void share_in_place() {
    for (size_t step = 0; step < d_.drafts.size(); ++step) {
      Draft& draft = d_.drafts[step];
      for (const InPlace& pair : draft.in_place) share(draft, pair, step);
    }
  }

  void share(const Draft& draft, const InPlace& pair, size_t step) {
    const SlotId in = draft.inputs[pair.input];
    const SlotId out = draft.outputs[pair.output];
    if (in == kNoSlot || out == kNoSlot) return;
    const SlotId in_root = slots().locate(in).root;
    const SlotId out_root = slots().locate(out).root;
    if (in_root == out_root || !is_free_root(in_root) || slots()[in_root].last != step) return;
    if (slots()[out_root].first != step) return;                // it has an input's buffer already
    if (slots()[out_root].kind == Place::Kind::kInput) return;  // a state, read until now
    if (!slots().is_whole(in) || !slots().is_whole(out) || slots()[in].bytes != slots()[out].bytes)
      return;
    const auto in_that = [&](SlotId s) {
      return s != kNoSlot && slots().locate(s).root == in_root;
    };
    if (std::ranges::count_if(draft.inputs, in_that) != 1) return;
    if (std::ranges::any_of(draft.outputs, in_that)) return;
    slots()[out_root].first = slots()[in_root].first;
    slots().attach(in_root, out_root, 0);
  }

  void assign_offsets() {
    std::vector<Lifetime> lifetimes;
    std::vector<SlotId> owners;
    for (SlotId s = 0; s < slots().size(); ++s) {
      const Slot& slot = slots()[s];
      if (slot.parent != kNoSlot || slot.kind != Place::Kind::kArena || slot.first == kForever)
        continue;
      lifetimes.push_back({slot.bytes, slot.first, std::max(slot.first, slot.last), 0});
      owners.push_back(s);
    }
    for (size_t step = 0; step < d_.drafts.size(); ++step) {
      const size_t bytes = d_.drafts[step].scratch_bytes;
      if (bytes == 0) continue;
      lifetimes.push_back({bytes, step, step, 0});
      owners.push_back(kNoSlot);
      scratch_of_.emplace_back(step, lifetimes.size() - 1);
    }
    arena_bytes_ = place_buffers(lifetimes);
    for (size_t i = 0; i < owners.size(); ++i) {
      if (owners[i] != kNoSlot) slots()[owners[i]].offset = lifetimes[i].offset;
    }
    for (auto& [step, index] : scratch_of_) index = lifetimes[index].offset;
  }

  void emit_copy(const Copy& c, Plan& plan) {
    const size_t bytes = slots()[c.part].bytes;
    Step step;
    plan.kernels.push_back(copy_kernel(bytes));
    step.kernel = plan.kernels.back().get();
    step.inputs = {place_of(d_, c.part)};
    step.outputs = {place_of(d_, c.whole)};
    step.outputs[0].offset += c.offset;
    step.info = static_cast<uint32_t>(plan.infos.size());
    StepInfo info = d_.drafts[c.draft].info;
    info.kernel = "memcpy";
    info.backend = "runtime";
    info.bytes = capped_mul(2, static_cast<int64_t>(bytes));
    plan.infos.push_back(std::move(info));
    plan.steps.push_back(std::move(step));
  }

  Drafts d_;
  std::vector<std::pair<size_t, size_t>> scratch_of_;  // draft, then offset
  size_t arena_bytes_ = 0;
};

void Placer::emit(Plan& plan) {
  plan.arena_bytes = arena_bytes_;
  plan.largest = largest();
  auto copy = d_.copies.begin();
  size_t next_scratch = 0;
  for (size_t i = 0; i < d_.drafts.size(); ++i) {
    for (; copy != d_.copies.end() && copy->draft == i; ++copy) emit_copy(*copy, plan);
    Draft& draft = d_.drafts[i];
    Place scratch;
    if (next_scratch < scratch_of_.size() && scratch_of_[next_scratch].first == i) {
      scratch.kind = Place::Kind::kArena;
      scratch.offset = scratch_of_[next_scratch++].second;
    }
    if (!draft.kernel) continue;
    Step step;
    step.kernel = draft.kernel.get();
    for (SlotId s : draft.inputs) step.inputs.push_back(place_of(d_, s));
    for (SlotId s : draft.outputs) step.outputs.push_back(place_of(d_, s));
    step.scratch = scratch;
    step.node = draft.node;
    step.info = static_cast<uint32_t>(plan.infos.size());
    plan.infos.push_back(std::move(draft.info));
    plan.kernels.push_back(std::move(draft.kernel));
    plan.steps.push_back(std::move(step));
  }
}

NodeId Placer::largest() const {
  NodeId found;
  int64_t most = -1;
  for (const Draft& draft : d_.drafts) {
    if (!draft.node.valid() || draft.info.bytes <= most) continue;
    most = draft.info.bytes;
    found = draft.node;
  }
  return found;
}

}  // namespace

std::unique_ptr<Kernel> copy_kernel(size_t bytes) { return std::make_unique<CopyKernel>(bytes); }

Place place_of(Drafts& d, SlotId slot) {
  if (slot == kNoSlot) return {};
  const Located at = d.slots.locate(slot);
  const Slot& root = d.slots[at.root];
  const size_t base = root.kind == Place::Kind::kArena ? root.offset : 0;
  return {root.kind, root.index, base + at.offset};
}

namespace {

// A run that needs less than this is not worth any time.
constexpr size_t kLittle = 8 << 20;
// What making values again may take by itself, of the time of all steps.
constexpr double kFree = 0.02;
constexpr int kTries = 8;

struct Trial {
  Placer placer;
  double repeated;
};
Trial try_with(const Placer& begun, const Graph& graph, size_t bytes) {
  Trial trial{begun, 0};
  trial.repeated = rematerialize(trial.placer.drafts(), graph, bytes);
  trial.placer.place();
  return trial;
}

// The least that costs next to nothing.
Placer cheap_placement(const Placer& begun, const Graph& graph, Placer best) {
  size_t low = 0, high = best.arena_bytes();
  for (int i = 0; i < kTries && best.arena_bytes() > kLittle; ++i) {
    const size_t middle = low + (high - low) / 2;
    Trial trial = try_with(begun, graph, middle);
    const bool fits = trial.repeated <= kFree;
    (fits ? high : low) = middle;
    if (fits && trial.placer.arena_bytes() < best.arena_bytes()) best = std::move(trial.placer);
  }
  return best;
}

// What lives at once may fit where the buffers leave gaps that do not: then it is asked for less;
// for more where what is asked for cannot be had.
Placer within(size_t budget, const Placer& begun, const Graph& graph, Placer best) {
  size_t low = 0, high = best.arena_bytes(), bytes = budget;
  for (int i = 0; i < kTries && best.arena_bytes() > budget; ++i) {
    Trial trial = try_with(begun, graph, bytes);
    const size_t needed = trial.placer.arena_bytes();
    if (needed < best.arena_bytes()) best = std::move(trial.placer);
    (trial.repeated > kMostRepeated ? low : high) = bytes;
    const size_t over = needed > budget ? needed - budget : 0;
    bytes = trial.repeated > kMostRepeated
                ? low + (high - low) / 2
                : std::max(low + (bytes - low) / 2, bytes - std::min(bytes, over));
  }
  return best;
}

Placer least_placement(const Placer& begun, const Graph& graph, int64_t budget) {
  Placer plain = begun;
  plain.place();
  if (graph.states.empty() || budget < 0) return plain;
  if (budget == 0) return cheap_placement(begun, graph, std::move(plain));
  return within(static_cast<size_t>(budget), begun, graph, std::move(plain));
}

}  // namespace

void place_drafts(Drafts& drafts, Plan& plan, const ModelOptions& options) {
  Placer placer(std::move(drafts));
  placer.begin();
  placer = least_placement(placer, *plan.graph, options.memory_budget);
  if (placer.arena_bytes() > static_cast<size_t>(options.max_bytes)) {
    Error error(Code::kLimit, cat("the run needs ", placer.arena_bytes(),
                                  " bytes of buffers, above the limit of ", options.max_bytes));
    if (placer.largest().valid()) add_context(error, plan.graph->node(placer.largest()));
    throw error;
  }
  placer.emit(plan);
  drafts = std::move(placer.drafts());
}

}  // namespace treadle
