// Small graphs that the tests of the runtime share.
#pragma once

#include "graph/builder.h"
#include "graph/text.h"
#include "runtime/runtime.h"

namespace treadle {

inline Type floats(Shape shape) { return Type::tensor(DType::kFloat, std::move(shape)); }

inline Tensor ramp(Dims dims) {
  Tensor t(DType::kFloat, std::move(dims));
  auto x = t.data<float>();
  for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i % 17) * 0.25f - 2;
  return t;
}

inline ModelOptions raw() {
  ModelOptions options;
  options.optimize = false;
  return options;
}

// DenseNet's pattern: every Concat holds the one before.
inline Graph dense_chain(int64_t channels) {
  Graph g;
  Builder b(g);
  ValueId x = g.add_input("x", floats({1, channels, 4, 4}));
  ValueId all = b.op("Relu", {x});
  for (int i = 0; i < 4; ++i) {
    const ValueId fresh = b.op("Mul", {b.op("Relu", {all}), b.scalar(DType::kFloat, 0.5 + i)});
    all = b.op("Concat", {all, fresh}, {{"axis", int64_t{1}}});
  }
  g.add_output("y", b.op("ReduceMean", {all, b.ints({2, 3})}));
  return g;
}

// NonZero's output shape depends on data; what follows is planned at run time.
inline Graph data_dependent() {
  Graph g;
  Builder b(g);
  const ValueId x = g.add_input("x", floats({Dim::symbol("N")}));
  const ValueId doubled = b.op("Add", {x, x});
  const ValueId where = b.op("NonZero", {b.op("Relu", {doubled})});
  const ValueId index = b.op("Squeeze", {where, b.ints({0})});
  const ValueId picked = b.op("Gather", {doubled, index});
  g.add_output("picked", b.op("Neg", {picked}));
  g.add_output("doubled", doubled);
  return g;
}

// Runs until it is stopped.
inline Graph endless() {
  return parse(R"(g (float x) => (float y)
    <bool on = {1}>
  {
    y = Loop ("", on, x) <
      body = b (int64 i, bool going, float v) => (bool more, float next) {
        more = Identity (going)
        next = Neg (v)
      }>
  })");
}

}  // namespace treadle
