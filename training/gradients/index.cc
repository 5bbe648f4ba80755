// Gradients of gathers and scatters: negative indices count from the end, equal ones accumulate.
#include <numeric>

#include "training/gradients/families.h"

namespace treadle {
namespace {

using Context = GradientContext;

Attributes adding(Context& c) {
  Attributes attributes{{"reduction", "add"}};
  if (const Attribute* axis = c.attributes().find("axis")) attributes.set("axis", *axis);
  return attributes;
}

// The axes [from, from + count) of a tensor of this rank moved to the front.
std::vector<int64_t> to_front(int64_t rank, int64_t from, int64_t count) {
  std::vector<int64_t> order;
  for (int64_t i = 0; i < count; ++i) order.push_back(from + i);
  for (int64_t i = 0; i < rank; ++i) {
    if (i < from || i >= from + count) order.push_back(i);
  }
  return order;
}

std::vector<int64_t> inverse(const std::vector<int64_t>& order) {
  std::vector<int64_t> back(order.size());
  for (size_t i = 0; i < order.size(); ++i) {
    back[static_cast<size_t>(order[i])] = static_cast<int64_t>(i);
  }
  return back;
}

void gather(Context& c) {
  const int64_t axis = c.axis_of(c.attributes().i("axis", 0));
  const Expr indices = cast(c.x(1), DType::kInt64).op("Unsqueeze", {c.ints({-1})});
  if (axis == 0) {
    return c.set(0, zeros_like(c.x()).op("ScatterND", {indices, c.gy()}, {{"reduction", "add"}}));
  }
  const int64_t rank = c.x().rank();
  const std::vector<int64_t> front = to_front(rank, axis, 1);
  const Expr zeros = transpose(zeros_like(c.x()), front);
  const Expr parts = transpose(c.gy(), to_front(c.gy().rank(), axis, c.x(1).rank()));
  const Expr sums = zeros.op("ScatterND", {indices, parts}, {{"reduction", "add"}});
  c.set(0, transpose(sums, inverse(front)));
}

void gather_elements(Context& c) {
  c.set(0, zeros_like(c.x()).op("ScatterElements", {c.x(1), c.gy()}, adding(c)));
}

void gather_nd(Context& c) {
  if (c.attributes().i("batch_dims", 0) == 0) {
    return c.set(0, zeros_like(c.x()).op("ScatterND", {c.x(1), c.gy()}, {{"reduction", "add"}}));
  }
  const Expr numbers = numbered(c.x()).op("GatherND", {c.x(1)}, c.attributes());
  c.set(0, scatter_numbered(c.gy(), numbers, c.x()));
}

// ScatterElements and ScatterND alike.
struct Scatter {
  Context& c;
  const char* reduction;
  Expr data = c.x(0);
  Expr indices = c.x(1);
  Expr updates = c.x(2);

  bool by_elements() const { return c.node().is("ScatterElements"); }
  Expr pick(const Expr& from) const {
    if (!by_elements()) return from.op("GatherND", {indices});
    return from.op("GatherElements", {indices}, {{"axis", c.attributes().i("axis", 0)}});
  }
  Expr put(const Expr& into, const Expr& what, const char* how) const {
    Attributes attributes{{"reduction", how}};
    if (by_elements()) attributes.set("axis", c.attributes().i("axis", 0));
    return into.op(c.node().op->kind, {indices, what}, attributes);
  }
};

// Of updates with the same index the one that stayed gets the gradient: each leaves its number.
void scatter_none(const Scatter& s) {
  Context& c = s.c;
  if (c.wants(0)) c.set(0, s.put(c.gy(), zeros_like(s.updates), "none"));
  if (!c.wants(2)) return;
  const Expr numbers = numbered(s.updates);
  const Expr nothing = cast(zeros_like(s.data), DType::kInt64);
  const Expr stayed = equal(s.pick(s.put(nothing, numbers, "none")), numbers);
  c.set(2, where(stayed, s.pick(c.gy()), 0));
}

void scatter_add(const Scatter& s) {
  Context& c = s.c;
  if (c.wants(0)) c.set(0, c.gy());
  if (c.wants(2)) c.set(2, s.pick(c.gy()));
}

// No division by an update that is 0: where there is one, only it has a gradient.
void scatter_mul(const Scatter& s) {
  Context& c = s.c;
  if (c.wants(0)) c.set(0, c.gy() * s.put(ones_like(s.data), s.updates, "mul"));
  if (!c.wants(2)) return;
  const Expr is_zero = equal(s.updates, 0);
  const Expr safe = where(is_zero, 1, s.updates);
  const Expr zeros = s.pick(s.put(zeros_like(s.data), cast(is_zero, s.data.dtype()), "add"));
  const Expr others = s.pick(c.gy() * s.put(s.data, safe, "mul"));
  c.set(2, where(is_zero, where(equal(zeros, 1), others, 0),
                 where(equal(zeros, 0), others / safe, 0)));
}

// Equal ones share.
void scatter_extremum(const Scatter& s) {
  Context& c = s.c;
  const Expr kept = cast(equal(s.data, c.y()), s.data.dtype());
  const Expr chosen = cast(equal(s.updates, s.pick(c.y())), s.data.dtype());
  const Expr share = c.gy() / s.put(kept, chosen, "add");
  if (c.wants(0)) c.set(0, share * kept);
  if (c.wants(2)) c.set(2, s.pick(share) * chosen);
}

void scatter(Context& c) {
  const std::string reduction = c.attributes().s("reduction", "none");
  const Scatter s{c, reduction.c_str()};
  if (reduction == "none") return scatter_none(s);
  if (reduction == "add") return scatter_add(s);
  if (reduction == "mul") return scatter_mul(s);
  scatter_extremum(s);
}

// The numbers of the cache's elements, then of the update's, moved like them.
void tensor_scatter(Context& c) {
  const Expr past = c.x(0);
  const Expr update = c.x(1);
  const Expr cached = numbered(past);
  const Expr written = numbered(update) + count_of(past, DType::kInt64);
  std::vector<Expr> others = {written};
  if (c.has(2)) others.push_back(c.x(2));
  const Expr numbers = cached.op("TensorScatter", others, c.attributes());
  const Expr both = concat({flat(past), flat(update)}, 0);
  const Expr sums = scatter_numbered(c.gy(), numbers, both);
  const Expr sizes = concat({reshape(count_of(past, DType::kInt64), c.ints({1})),
                             reshape(count_of(update, DType::kInt64), c.ints({1}))},
                            0);
  const std::vector<ValueId> parts =
      c.builder().add("Split", {sums.id(), sizes.id()}, {{"axis", int64_t{0}}}, 2);
  if (c.wants(0)) c.set(0, reshape_like({c.builder(), parts[0]}, past));
  if (c.wants(1)) c.set(1, reshape_like({c.builder(), parts[1]}, update));
}

// To the first of the equal ones.
void unique(Context& c) {
  const Expr first = c.y(1);
  if (c.attributes().has("axis")) {
    const int64_t axis = c.axis_of(c.attributes().i("axis", 0));
    const Expr numbers = numbered(c.x()).op("Gather", {first}, {{"axis", axis}});
    return c.set(0, scatter_numbered(c.gy(), numbers, c.x()));
  }
  c.set(0, scatter_numbered(c.gy(), first + first.number(1), c.x()));
}

// values = [off, on].
void one_hot(Context& c) {
  const Expr gy = c.gy();
  const Expr range = c.constant(Tensor::of<int64_t>({2}, {0, 1}));
  const Expr on = cast(c.x(0).op("OneHot", {c.x(1), range}, c.attributes()), gy.dtype());
  auto total = [&](const Expr& e) {
    return reshape(e.op("ReduceSum", {{"keepdims", int64_t{0}}}), c.ints({1}));
  };
  c.set(2, concat({total(gy * (1 - on)), total(gy * on)}, 0));
}

void top_k(Context& c) {
  const Attributes axis{{"axis", c.attributes().i("axis", -1)}};
  c.set(0, zeros_like(c.x()).op("ScatterElements", {c.y(1), c.gy()}, axis));
}

constexpr GradientDef kRules[] = {
    {"Gather", gather},      {"GatherElements", gather_elements},
    {"GatherND", gather_nd}, {"ScatterElements", scatter},
    {"ScatterND", scatter},  {"TensorScatter", tensor_scatter},
    {"Unique", unique},      {"OneHot", one_hot},
    {"TopK", top_k},
};

}  // namespace

std::span<const GradientDef> index_gradients() { return kRules; }

}  // namespace treadle
