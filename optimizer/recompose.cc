// Puts together again what exporters write in pieces: Gelu, Swish, Mish, HardSigmoid, HardSwish,
// LayerNormalization, RMSNormalization. A table of patterns in the text form.
#include <algorithm>
#include <cmath>

#include "optimizer/passes.h"

namespace treadle {
namespace {

// Builds what the matched nodes equal; invalid, with a reason in `refused`, when they do not after
// all.
using Build = ValueId (*)(const Pass&, const Pattern::Match&, Patch&, std::string& refused);

struct Recipe {
  const char* pattern;
  Build build;
};

ValueId gelu(const Pass&, const Pattern::Match& m, Patch& patch, std::string&) {
  return patch.op("Gelu", {m["x"]});
}
ValueId gelu_tanh(const Pass&, const Pattern::Match& m, Patch& patch, std::string&) {
  return patch.op("Gelu", {m["x"]}, {{"approximate", "tanh"}});
}
ValueId swish(const Pass&, const Pattern::Match& m, Patch& patch, std::string&) {
  return patch.op("Swish", {m["x"]}, {{"alpha", 1.0f}});
}
ValueId scaled_swish(const Pass& pass, const Pattern::Match& m, Patch& patch, std::string&) {
  const Tensor* alpha = pass.constant(m["alpha"]);
  const auto value = alpha != nullptr ? scalar_value(*alpha) : std::nullopt;
  if (!value) return {};
  return patch.op("Swish", {m["x"]}, {{"alpha", static_cast<float>(*value)}});
}
ValueId hard_sigmoid(const Pass&, const Pattern::Match& m, Patch& patch, std::string&) {
  return patch.op("HardSigmoid", {m["x"]}, {{"alpha", 1.0f / 6}, {"beta", 0.5f}});
}
ValueId hard_swish(const Pass&, const Pattern::Match& m, Patch& patch, std::string&) {
  return patch.op("HardSwish", {m["x"]});
}
ValueId hard_swish_of_sigmoid(const Pass& pass, const Pattern::Match& m, Patch& patch,
                              std::string& refused) {
  const Attributes& a = pass.graph.node(pass.graph.value(m["h"]).producer).attributes;
  const bool standard =
      std::abs(a.f("alpha", 0.2f) - 1.0f / 6) < 1e-5f && a.f("beta", 0.5f) == 0.5f;
  if (standard) return hard_swish(pass, m, patch, refused);
  refused = "its HardSigmoid is not that of HardSwish";
  return {};
}

// Whether a ReduceMean runs over exactly the last `count` dimensions and keeps them.
bool reduces_last(const Pass& pass, ValueId mean, size_t rank, size_t count) {
  const Node& node = *pass.graph.producer(mean);
  const Tensor* axes = pass.constant(node.input(1));
  if (node.attributes.i("keepdims", 1) != 1 || axes == nullptr) return false;
  std::vector<int64_t> list = axes->to_ints();
  for (int64_t& axis : list) axis += axis < 0 ? static_cast<int64_t>(rank) : 0;
  std::sort(list.begin(), list.end());
  if (list.size() != count) return false;
  for (size_t i = 0; i < count; ++i) {
    if (list[i] != static_cast<int64_t>(rank - count + i)) return false;
  }
  return true;
}

// Whether the scale is constant and has just the last dimensions of the value, over which the means
// run.
bool normalizes_last(const Pass& pass, const Pattern::Match& m, const char* of,
                     std::initializer_list<const char*> means, std::string& refused) {
  const Type& x = pass.type(m[of]);
  const Tensor* gamma = pass.constant(m["gamma"]);
  if (!x.shape || gamma == nullptr) return false;
  const size_t rank = x.shape->size();
  const Dims& dims = gamma->dims();
  bool fits = !dims.empty() && dims.size() <= rank;
  for (size_t i = 0; fits && i < dims.size(); ++i)
    fits = (*x.shape)[rank - dims.size() + i].is(dims[i]);
  fits = fits && std::ranges::all_of(means, [&](const char* mean) {
           return reduces_last(pass, m[mean], rank, dims.size());
         });
  if (!fits) refused = "its scale or means do not cover just the last dimensions";
  return fits;
}

// The attributes of a normalization; nothing where epsilon is not constant.
std::optional<Attributes> norm_attributes(const Pass& pass, const Pattern::Match& m) {
  const Tensor* epsilon = pass.constant(m["epsilon"]);
  const auto eps = epsilon != nullptr ? scalar_value(*epsilon) : std::nullopt;
  if (!eps) return std::nullopt;
  const auto rank = static_cast<int64_t>(pass.constant(m["gamma"])->dims().size());
  return Attributes{{"axis", -rank}, {"epsilon", static_cast<float>(*eps)}};
}

ValueId layer_norm(const Pass& pass, const Pattern::Match& m, Patch& patch, std::string& refused) {
  const Tensor* beta = pass.constant(m["beta"]);
  if (beta == nullptr || !normalizes_last(pass, m, "x", {"mean", "variance"}, refused)) return {};
  if (beta->dims() != pass.constant(m["gamma"])->dims()) {
    refused = "its scale and its bias have different dimensions";
    return {};
  }
  const auto attributes = norm_attributes(pass, m);
  if (!attributes) return {};
  return patch.op("LayerNormalization", {m["x"], m["gamma"], m["beta"]}, *attributes);
}

ValueId rms_norm(const Pass& pass, const Pattern::Match& m, Patch& patch, std::string& refused) {
  if (!normalizes_last(pass, m, "d", {"variance"}, refused)) return {};
  const auto attributes = norm_attributes(pass, m);
  if (!attributes) return {};
  return patch.op("RMSNormalization", {m["d"], m["gamma"]}, *attributes);
}

constexpr const char* kErfParts[] = {"a = Div (x, r2)", "a = Mul (x, r)"};
constexpr const char* kTanhParts[] = {"p = Pow (x, three)", "q = Mul (x, x) p = Mul (x, q)"};
constexpr const char* kProducts[] = {"m = Mul (x, s) y = Mul (m, half)",
                                     "m = Mul (x, half) y = Mul (m, s)",
                                     "m = Mul (s, half) y = Mul (x, m)"};
constexpr const char* kSquares[] = {"v = Pow (d, two)", "v = Mul (d, d)"};
constexpr const char* kNormals[] = {"n = Div (d, t)", "u = Reciprocal (t) n = Mul (d, u)",
                                    "u = Div (one, t) n = Mul (d, u)"};

ValueId mish(const Pass&, const Pattern::Match& m, Patch& patch, std::string&) {
  return patch.op("Mish", {m["x"]});
}

constexpr Recipe kMishes[] = {
    {"p (x) => (y) { s = Softplus (x) t = Tanh (s) y = Mul (x, t) }", mish},
};
constexpr Recipe kSwishes[] = {
    {"p (x) => (y) { s = Sigmoid (x) y = Mul (x, s) }", swish},
    {"p (x, alpha) => (y) { a = Mul (x, alpha) s = Sigmoid (a) y = Mul (x, s) }", scaled_swish},
};
constexpr Recipe kHardSwishes[] = {
    {"p (x) => (y) { h = HardSigmoid (x) y = Mul (x, h) }", hard_swish_of_sigmoid},
};
constexpr Recipe kClips[] = {
    {"p (x) => (y) <float z = {0}, float t = {3}, float six = {6}> {"
     " a = Add (x, t) c = Clip (a, z, six) m = Mul (x, c) y = Div (m, six) }",
     hard_swish},
    {"p (x) => (y) <float z = {0}, float t = {3}, float six = {6}, float s = {0.16666667}> {"
     " a = Add (x, t) c = Clip (a, z, six) m = Mul (x, c) y = Mul (m, s) }",
     hard_swish},
    {"p (x) => (y) <float z = {0}, float t = {3}, float six = {6}> {"
     " a = Add (x, t) c = Clip (a, z, six) m = Div (c, six) y = Mul (x, m) }",
     hard_swish},
    {"p (x) => (y) <float z = {0}, float t = {3}, float six = {6}> {"
     " a = Add (x, t) c = Clip (a, z, six) y = Div (c, six) }",
     hard_sigmoid},
};

struct Recognizer {
  Pattern pattern;
  Build build;
};
using Recognizers = std::vector<Recognizer>;

template <size_t kCount>
Recognizers made_of(const Recipe (&recipes)[kCount]) {
  Recognizers list;
  for (const Recipe& recipe : recipes) list.push_back({Pattern(recipe.pattern), recipe.build});
  return list;
}

Recognizers make_gelus() {
  Recognizers list;
  for (const char* product : kProducts) {
    for (const char* erf : kErfParts) {
      list.push_back({Pattern(cat("p (x) => (y) <float r2 = {1.41421356}, float r = {0.70710678},"
                                  " float one = {1}, float half = {0.5}> { ",
                                  erf, " e = Erf (a) s = Add (e, one) ", product, " }")),
                      gelu});
    }
  }
  return list;
}

Recognizers make_tanh_gelus() {
  Recognizers list;
  for (const char* product : kProducts) {
    for (const char* cube : kTanhParts) {
      list.push_back({Pattern(cat("p (x) => (y) <float three = {3}, float c = {0.044715}, float k ="
                                  " {0.79788456}, float one = {1}, float half = {0.5}> { ",
                                  cube, " w = Mul (p, c) i = Add (x, w) j = Mul (i, k)",
                                  " t = Tanh (j) s = Add (t, one) ", product, " }")),
                      gelu_tanh});
    }
  }
  return list;
}

template <bool kCentred>
Recognizers make_norms() {
  const char* constants = "<float one = {1}, float two = {2}> { ";
  Recognizers list;
  for (const char* square : kSquares) {
    for (const char* normal : kNormals) {
      const std::string scaled =
          cat(square, " variance = ReduceMean (v, axes) w = Add (variance, epsilon) t = Sqrt (w) ",
              normal, " g = Mul (n, gamma) ");
      if (kCentred) {
        list.push_back({Pattern(cat("p (x, axes, epsilon, gamma, beta) => (y) ", constants,
                                    "mean = ReduceMean (x, axes) d = Sub (x, mean) ", scaled,
                                    "y = Add (g, beta) }")),
                        layer_norm});
      } else {
        list.push_back({Pattern(cat("p (d, axes, epsilon, gamma) => (g) ", constants, scaled, "}")),
                        rms_norm});
      }
    }
  }
  return list;
}

// What has a node of this kind within, one family after another. Patterns never change, and are
// read when the first graph with such a node comes.
struct Family {
  const char* kind;
  const Recognizers& (*recognizers)();
};
template <auto kMake>
const Recognizers& read_once() {
  static const Recognizers list = kMake();
  return list;
}
constexpr Family kFamilies[] = {
    {"Erf", read_once<make_gelus>},
    {"Tanh", read_once<make_tanh_gelus>},
    {"ReduceMean", read_once<make_norms<true>>},
    {"ReduceMean", read_once<make_norms<false>>},  // a part of the one before
    {"Softplus", read_once<[] { return made_of(kMishes); }>},
    {"Sigmoid", read_once<[] { return made_of(kSwishes); }>},
    {"Clip", read_once<[] { return made_of(kClips); }>},  // may make the next one's
    {"HardSigmoid", read_once<[] { return made_of(kHardSwishes); }>},
};

// True where the node is another one now.
bool recognize(Pass& pass, NodeId id, const Recognizer& r) {
  const auto match = r.pattern.match(pass.graph, id);
  if (!match) return false;
  if (!match->refused.empty()) {
    pass.refuse(id, match->refused);
    return false;
  }
  Patch patch;
  std::string refused;
  const ValueId result = r.build(pass, *match, patch, refused);
  if (result.valid()) {
    patch.replace(pass.graph.node(id).output(), result);
    pass.apply(id, std::move(patch));
    return true;
  }
  if (!refused.empty()) pass.refuse(id, refused);
  return false;
}

void recognize_all(Pass& pass, const std::vector<NodeId>& nodes, const Recognizers& list) {
  for (NodeId id : nodes) {
    if (pass.stopped()) return;
    if (!pass.graph.alive(id)) continue;
    const Node& node = pass.graph.node(id);
    const bool root = node.is("Mul") || node.is("Div") || node.is("Add");
    // Attributes and the patterns' numbers have not the digits of a double.
    const DType dtype = pass.type(node.output()).dtype;
    if (!root || !kFloats.has(dtype) || dtype == DType::kDouble) continue;
    std::ranges::any_of(list, [&](const Recognizer& r) { return recognize(pass, id, r); });
  }
}

}  // namespace

void recompose(Pass& pass) {
  std::vector<NodeId> nodes = pass.graph.topological_order();
  for (const Family& family : kFamilies) {
    const auto is_one = [&](NodeId id) { return pass.graph.node(id).is(family.kind); };
    if (std::ranges::none_of(nodes, is_one)) continue;
    recognize_all(pass, nodes, family.recognizers());
    nodes = pass.graph.topological_order();
  }
}

}  // namespace treadle
