// Goes through the run as it is planned and gives up buffers where there are too many: first those
// that take least time to make again for their bytes and for as long as nobody reads them. This is
// "Dynamic Tensor Rematerialization" (Kirisame et al., 2021) with the future known.
#include "runtime/rematerialize.h"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

namespace treadle {
namespace {

constexpr size_t kNone = SIZE_MAX, kOfState = SIZE_MAX - 1;
// What can be kept for this share of the bytes and time that a buffer gives had better not be made
// again for it.
constexpr double kLittle = 1.0 / 16;

// A guess, in seconds: only ratios count.
double time_of(const StepInfo& info) {
  constexpr double kMultiplyAdds = 40e9, kBytes = 8e9, kCall = 1e-6;
  return static_cast<double>(info.multiply_adds) / kMultiplyAdds +
         static_cast<double>(info.bytes) / kBytes + kCall;
}

// A buffer of the arena, by its root slot.
struct Life {
  size_t writer = kNone;     // the draft that makes it; kNone: it is no such buffer
  bool repeatable = false;   // that draft can make it again
  std::vector<size_t> uses;  // drafts that it must be there for, in order
  size_t next = 0;           // of the uses
  SlotId now = kNoSlot;      // the root that holds it; kNoSlot: none does
  int holds = 0;             // steps being prepared that read it
  size_t seen = 0;           // by the search of this number

  size_t next_use() const { return next < uses.size() ? uses[next] : kNone; }
  void pass(size_t step) {
    while (next < uses.size() && uses[next] <= step) ++next;
  }
  void add_use(size_t step) {
    const auto at = std::ranges::lower_bound(uses, step);
    if (at == uses.end() || *at != step) uses.insert(at, step);
  }
};

class Rematerializer {
 public:
  Rematerializer(Drafts& drafts, const Graph& graph, size_t target)
      : d_(drafts), graph_(graph), target_(target) {
    old_.swap(d_.drafts);
    copies_.swap(d_.copies);
    find_lives();
  }

  double run() {
    size_t copy = 0;
    for (size_t i = 0; i < old_.size(); ++i) {
      prepare(i);
      for (; copy < copies_.size() && copies_[copy].draft == i; ++copy) {
        const Copy& c = copies_[copy];
        d_.copies.push_back({d_.drafts.size(), mapped(c.part), c.whole, c.offset});
      }
      Draft draft = old_[i];
      for (SlotId& s : draft.inputs) s = mapped(s);
      d_.drafts.push_back(std::move(draft));
      leave(i);
    }
    return repeated_ / std::max(clock_.back(), 1e-9);
  }

 private:
  Life& life(SlotId root) { return lives_[static_cast<size_t>(root)]; }
  size_t bytes(SlotId root) const { return d_.slots[root].bytes; }

  // ---- What there is

  bool may_repeat(const Draft& draft) const {
    if (!draft.kernel) return false;
    if (!draft.node.valid()) return true;
    const Node& node = graph_.node(draft.node);
    return !node.op->has(kRandom) && node.state == nullptr;
  }

  void find_lives() {
    lives_.resize(static_cast<size_t>(d_.slots.size()));
    reads_.resize(old_.size());
    writes_.resize(old_.size());
    for (const auto& [from, to] : d_.states) life(d_.slots.locate(from).root).writer = kOfState;
    clock_ = {0};
    for (size_t i = 0; i < old_.size(); ++i) {
      for (SlotId s : old_[i].outputs) write(s, i, may_repeat(old_[i]));
      for (SlotId s : old_[i].inputs) read(s, i);
      clock_.push_back(clock_.back() + time_of(old_[i].info));
    }
    for (const Copy& c : copies_) {
      write(c.whole, c.draft, false);
      read(c.part, c.draft);
    }
    for (SlotId s : d_.exported) {
      life(d_.slots.locate(s).root).repeatable = false;
      life(d_.slots.locate(s).root).add_use(old_.size());
    }
  }

  // The buffer that a step writes or reads; kNoSlot where it is the caller's, a constant or a
  // state's next value.
  SlotId root_of(SlotId s) {
    if (s == kNoSlot) return kNoSlot;
    const SlotId root = d_.slots.locate(s).root;
    const bool own = d_.slots[root].kind == Place::Kind::kArena && life(root).writer != kOfState;
    return own ? root : kNoSlot;
  }

  void write(SlotId s, size_t step, bool repeatable) {
    const SlotId root = root_of(s);
    if (root == kNoSlot) return;
    Life& l = life(root);
    l.repeatable = l.writer == kNone && repeatable && d_.slots.is_whole(s);
    l.writer = std::min(l.writer, step);
    if (std::ranges::find(writes_[step], root) == writes_[step].end())
      writes_[step].push_back(root);
  }

  void read(SlotId s, size_t step) {
    const SlotId root = root_of(s);
    if (root == kNoSlot) return;
    life(root).add_use(step);
    if (std::ranges::find(reads_[step], root) == reads_[step].end()) reads_[step].push_back(root);
  }

  // ---- What lives

  void be_born(SlotId root, SlotId now) {
    life(root).now = now;
    alive_.push_back(root);
    live_ += bytes(root);
  }
  void die(SlotId root) {
    life(root).now = kNoSlot;
    std::erase(alive_, root);
    live_ -= bytes(root);
  }
  void release(SlotId root) {
    Life& l = life(root);
    if (--l.holds == 0 && l.next_use() == kNone) die(root);
  }

  void prepare(size_t i) {
    now_ = i;
    for (SlotId r : reads_[i]) ++life(r).holds;
    for (SlotId r : reads_[i]) make(r);
    make_room(added_by(i, true));
    for (SlotId r : writes_[i]) {
      if (life(r).now == kNoSlot) be_born(r, r);
    }
  }

  void leave(size_t i) {
    for (SlotId r : reads_[i]) --life(r).holds;
    std::vector<SlotId> dead;
    for (SlotId r : alive_) {
      life(r).pass(i);
      if (life(r).next_use() == kNone) dead.push_back(r);
    }
    for (SlotId r : dead) die(r);
  }

  // Bytes that the draft needs beside what lives.
  size_t added_by(size_t draft, bool first) {
    size_t sum = old_[draft].scratch_bytes;
    for (SlotId r : writes_[draft]) {
      if (life(r).now == kNoSlot) sum += bytes(r);
    }
    if (!first) return sum;
    for (const InPlace& pair : old_[draft].in_place) {
      const SlotId in = root_of(old_[draft].inputs[pair.input]);
      const SlotId out = root_of(old_[draft].outputs[pair.output]);
      if (in == kNoSlot || out == kNoSlot || in == out || bytes(in) != bytes(out)) continue;
      if (life(in).uses.back() == draft) return sum - std::min(sum, bytes(out));
    }
    return sum;
  }

  // The slot in the buffer that holds its bytes now.
  SlotId mapped(SlotId s) {
    const SlotId root = root_of(s);
    if (root == kNoSlot || life(root).now == root) return s;
    if (s == root) return life(root).now;
    const auto [it, added] = parts_.try_emplace({s, life(root).now}, kNoSlot);
    if (added) {
      const TensorSpec spec = d_.slots[s].spec;
      it->second = d_.slots.add(spec, d_.slots[s].bytes);
      d_.slots.attach(it->second, life(root).now, d_.slots.locate(s).offset);
    }
    return it->second;
  }

  // ---- Making again

  // By the steps that it takes; what they need, they may need made again too.
  void make(SlotId wanted) {
    std::vector<std::pair<SlotId, bool>> stack = {{wanted, false}};  // true: its inputs are held
    while (!stack.empty()) {
      const auto [root, ready] = stack.back();
      if (life(root).now != kNoSlot) {
        stack.pop_back();
        continue;
      }
      const size_t writer = life(root).writer;
      TREADLE_CHECK(life(root).repeatable, kInternal, "a buffer is needed again and gone");
      if (!ready) {
        stack.back().second = true;
        for (SlotId r : reads_[writer]) {
          ++life(r).holds;
          stack.emplace_back(r, false);
        }
        continue;
      }
      stack.pop_back();
      make_room(added_by(writer, false));
      repeat(writer);
      for (SlotId r : reads_[writer]) release(r);
    }
  }

  void repeat(size_t writer) {
    Draft draft = old_[writer];
    for (SlotId& s : draft.inputs) s = mapped(s);
    for (SlotId& s : draft.outputs) {
      if (s == kNoSlot) continue;
      const SlotId root = root_of(s);
      const TensorSpec spec = d_.slots[s].spec;
      const SlotId fresh = d_.slots.add(spec, d_.slots[s].bytes);
      if (root != kNoSlot && life(root).now == kNoSlot) be_born(root, fresh);
      s = fresh;
    }
    draft.info.kernel += ", again";
    repeated_ += time_of(draft.info);
    if (repeated_ > kMostRepeated * clock_.back()) target_ = kNone;
    d_.drafts.push_back(std::move(draft));
  }

  // ---- Giving up

  struct Offer {
    double price = 0;          // seconds for a byte and second
    std::vector<SlotId> stay;  // buffers that must live on for it
  };

  // What it takes to have the buffer again at its next use; nothing where that cannot be.
  std::optional<Offer> offer(SlotId root) {
    const size_t until = life(root).next_use();
    Offer found;
    double time = 0;
    double gain = room(root, now_, until);
    const double little = kLittle * gain;
    ++search_;
    std::vector<SlotId> stack = {root};
    while (!stack.empty()) {
      const size_t writer = life(stack.back()).writer;
      stack.pop_back();
      time += time_of(old_[writer].info);
      for (SlotId r : reads_[writer]) {
        Life& l = life(r);
        if (std::exchange(l.seen, search_) == search_) continue;
        const bool lives = l.now != kNoSlot;
        if (lives && l.uses.back() >= until) continue;
        const double kept = lives ? room(r, std::max(l.uses.back(), now_), until) : 0;
        if (l.repeatable && !(lives && kept <= little)) {
          stack.push_back(r);
        } else if (lives && kept < gain) {
          found.stay.push_back(r);
          gain -= kept;
        } else {
          return std::nullopt;
        }
      }
    }
    found.price = time / gain;
    return found;
  }
  // Bytes times seconds.
  double room(SlotId root, size_t from, size_t until) const {
    return static_cast<double>(bytes(root)) * (clock_[until] - clock_[from]);
  }

  void make_room(size_t more) {
    while (target_ != kNone && live_ + more > target_) {
      SlotId least = kNoSlot;
      Offer best;
      for (SlotId r : alive_) {
        const Life& l = life(r);
        if (!l.repeatable || l.holds > 0 || bytes(r) == 0) continue;
        if (l.next_use() == kNone || l.next_use() <= now_) continue;
        std::optional<Offer> o = offer(r);
        if (!o || (least != kNoSlot && o->price >= best.price)) continue;
        least = r;
        best = std::move(*o);
      }
      if (least == kNoSlot) return;
      for (SlotId r : best.stay) life(r).add_use(life(least).next_use());
      die(least);
    }
  }

  Drafts& d_;
  const Graph& graph_;
  size_t target_;
  std::vector<Draft> old_;
  std::vector<Copy> copies_;                           // of the old drafts
  std::vector<Life> lives_;                            // by the old slots
  std::vector<std::vector<SlotId>> reads_, writes_;    // buffers, by draft
  std::vector<double> clock_;                          // when each draft begins, and the end
  std::map<std::pair<SlotId, SlotId>, SlotId> parts_;  // of a slot's part in another root
  std::vector<SlotId> alive_;
  size_t live_ = 0;  // bytes
  size_t now_ = 0;   // the draft at hand
  size_t search_ = 0;
  double repeated_ = 0;
};

}  // namespace

double rematerialize(Drafts& drafts, const Graph& graph, size_t bytes) {
  return Rematerializer(drafts, graph, bytes).run();
}

}  // namespace treadle
