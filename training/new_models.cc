#include "training/new_models.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "graph/base/suggestion.h"
#include "training/layers.h"

namespace treadle {
namespace {

constexpr int64_t kSmallPicture = 64;

ValueId scores(Layers& l, ValueId x, const NewModelOptions& o) {
  return l.linear("head", x, o.classes);
}

ValueId build_mlp(Layers& l, ValueId x, const NewModelOptions& o) {
  x = l.op("Flatten", {x});
  for (size_t i = 0; i < o.hidden.size(); ++i)
    x = l.relu(l.linear(cat("layer", i + 1), x, o.hidden[i]));
  return scores(l, x, o);
}

ValueId build_cnn(Layers& l, ValueId x, const NewModelOptions& o) {
  const int64_t filters = o.filters == 0 ? 32 : o.filters;
  for (int64_t block = 1; block <= 2; ++block) {
    const std::string name = cat("block", block);
    for (const char* part : {".a", ".b"})
      x = l.conv_block(name + part, x, {.filters = filters * block});
    x = l.op(
        "MaxPool", {x},
        {{"kernel_shape", std::vector<int64_t>{2, 2}}, {"strides", std::vector<int64_t>{2, 2}}});
  }
  return scores(l, l.dropout(l.op("Flatten", {x}), o.dropout), o);
}

ValueId build_lenet(Layers& l, ValueId x, const NewModelOptions& o) {
  int layer = 0;
  for (const int64_t filters : {20, 50}) {
    x = l.conv(cat("conv", ++layer), x, {.filters = filters, .kernel = 5});
    x = l.op(
        "MaxPool", {x},
        {{"kernel_shape", std::vector<int64_t>{2, 2}}, {"strides", std::vector<int64_t>{2, 2}}});
  }
  return scores(l, l.relu(l.linear("hidden", l.op("Flatten", {x}), 500)), o);
}

ValueId residual(Layers& l, const std::string& name, ValueId x, int64_t filters, int64_t stride) {
  ValueId y = l.conv_block(name + ".a", x, {.filters = filters, .stride = stride});
  y = l.batch_norm(name + ".b.norm",
                   l.conv(name + ".b.conv", y, {.filters = filters, .bias = false}));
  if (stride != 1 || l.size(x, 1) != filters) {
    x = l.batch_norm(name + ".skip.norm",
                     l.conv(name + ".skip.conv", x,
                            {.filters = filters, .kernel = 1, .stride = stride, .bias = false}));
  }
  return l.relu(l.op("Add", {y, x}));
}

ValueId build_resnet18(Layers& l, ValueId x, const NewModelOptions& o) {
  if (o.input_shape[1] < kSmallPicture) {
    x = l.conv_block("stem", x, {.filters = 64});
  } else {
    x = l.max_pool(l.conv_block("stem", x, {.filters = 64, .kernel = 7, .stride = 2}), 3, 2);
  }
  int stage = 0;
  for (const int64_t filters : {64, 128, 256, 512}) {
    ++stage;
    for (int block = 1; block <= 2; ++block)
      x = residual(l, cat("stage", stage, ".", block), x, filters, stage > 1 && block == 1 ? 2 : 1);
  }
  return scores(l, l.pooled(x), o);
}

ValueId conv6(Layers& l, const std::string& name, ValueId x, ConvLayer layer) {
  layer.bias = false;
  return l.clip6(l.batch_norm(name + ".norm", l.conv(name + ".conv", x, layer)));
}

ValueId inverted(Layers& l, const std::string& name, ValueId x, int64_t expand, ConvLayer layer) {
  const int64_t in = l.size(x, 1), wide = in * expand;
  ValueId y = x;
  if (expand != 1) y = conv6(l, name + ".expand", y, {.filters = wide, .kernel = 1});
  y = conv6(l, name + ".depthwise", y, {.filters = wide, .stride = layer.stride, .groups = wide});
  y = l.batch_norm(
      name + ".project.norm",
      l.conv(name + ".project.conv", y, {.filters = layer.filters, .kernel = 1, .bias = false}));
  return layer.stride == 1 && in == layer.filters ? l.op("Add", {y, x}) : y;
}

ValueId build_mobilenetv2(Layers& l, ValueId x, const NewModelOptions& o) {
  struct Stage {
    int64_t expand, filters, blocks, stride;
  };
  constexpr std::array<Stage, 7> kStages = {{{1, 16, 1, 1},
                                             {6, 24, 2, 2},
                                             {6, 32, 3, 2},
                                             {6, 64, 4, 2},
                                             {6, 96, 3, 1},
                                             {6, 160, 3, 2},
                                             {6, 320, 1, 1}}};
  const bool small = o.input_shape[1] < kSmallPicture;
  x = conv6(l, "stem", x, {.filters = 32, .stride = small ? 1 : 2});
  for (size_t s = 0; s < kStages.size(); ++s) {
    const Stage& stage = kStages[s];
    for (int64_t block = 0; block < stage.blocks; ++block) {
      const bool halves = block == 0 && stage.stride == 2 && !(small && s < 3);
      x = inverted(l, cat("stage", s + 1, ".", block + 1), x, stage.expand,
                   {.filters = stage.filters, .stride = halves ? 2 : 1});
    }
  }
  x = l.pooled(conv6(l, "last", x, {.filters = 1280, .kernel = 1}));
  return scores(l, l.dropout(x, o.dropout), o);
}

ValueId double_block(Layers& l, const std::string& name, ValueId x, int64_t filters) {
  x = l.conv_block(name + ".a", x, {.filters = filters});
  return l.conv_block(name + ".b", x, {.filters = filters});
}

ValueId build_unet(Layers& l, ValueId x, const NewModelOptions& o) {
  constexpr int kLevels = 4;
  int64_t filters = o.filters == 0 ? 16 : o.filters;
  std::vector<ValueId> skips;
  for (int level = 1; level <= kLevels; ++level, filters *= 2) {
    x = double_block(l, cat("down", level), x, filters);
    skips.push_back(x);
    x = l.max_pool(x, 3, 2);
  }
  x = double_block(l, "bottom", x, filters);
  for (int level = kLevels; level >= 1; --level) {
    filters /= 2;
    const ValueId skip = skips[static_cast<size_t>(level) - 1];
    x = l.upsample(cat("up", level), x, filters, skip);
    x = double_block(l, cat("up", level), l.op("Concat", {skip, x}, {{"axis", int64_t{1}}}),
                     filters);
  }
  return l.conv("head", x, {.filters = o.classes, .kernel = 1});
}

int64_t width_of(const NewModelOptions& o) { return o.hidden.empty() ? 128 : o.hidden[0]; }

ValueId build_char_rnn(Layers& l, ValueId tokens, const NewModelOptions& o) {
  const int64_t width = width_of(o);
  ValueId x = l.embedding("embedding", tokens, o.classes, width);
  x = l.transpose(x, {1, 0, 2});
  for (int layer = 1; layer <= 2; ++layer) x = l.lstm(cat("lstm", layer), x, width);
  x = scores(l, x, o);  // [T, N, C]
  return l.transpose(x, {1, 2, 0});
}

// Scores of what lies ahead become -∞ before the softmax: a large negative number serves.
ValueId causal_mask(Layers& l, int64_t length) {
  Tensor mask = Tensor::zeros(DType::kFloat, {length, length});
  for (int64_t q = 0; q < length; ++q) {
    for (int64_t k = q + 1; k < length; ++k)
      mask.data<float>()[static_cast<size_t>(q * length + k)] = -1e9f;
  }
  return l.builder().constant(mask);
}

ValueId attention(Layers& l, const std::string& name, ValueId x, ValueId mask) {
  const int64_t width = l.size(x, 2), length = l.size(x, 1), head = 32, heads = width / head;
  const auto split = [&](const char* part, const std::vector<int64_t>& permutation) {
    const ValueId projected = l.linear(name + part, x, width);
    return l.transpose(l.reshape(projected, {-1, length, heads, head}), permutation);
  };
  const ValueId q = split(".query", {0, 2, 1, 3}), k = split(".key", {0, 2, 3, 1});
  const ValueId v = split(".value", {0, 2, 1, 3});
  ValueId weights = l.op("Mul", {l.op("MatMul", {q, k}), l.scalar(1 / std::sqrt(head))});
  weights = l.op("Softmax", {l.op("Add", {weights, mask})}, {{"axis", int64_t{-1}}});
  const ValueId mixed = l.transpose(l.op("MatMul", {weights, v}), {0, 2, 1, 3});
  return l.linear(name + ".out", l.reshape(mixed, {-1, length, width}), width);
}

ValueId build_transformer(Layers& l, ValueId tokens, const NewModelOptions& o) {
  const int64_t width = width_of(o), length = o.input_shape[0];
  TREADLE_CHECK(width % 32 == 0, kInvalidArgument, "a transformer of width ", width,
                ", expected a multiple of 32, the width of a head");
  const ValueId positions = l.parameter("positions", {length, width}, "normal", 0.02);
  ValueId x = l.op("Add", {l.embedding("embedding", tokens, o.classes, width), positions});
  const ValueId mask = causal_mask(l, length);
  for (int block = 1; block <= 4; ++block) {
    const std::string name = cat("block", block);
    x = l.op("Add", {x, attention(l, name + ".attention", l.layer_norm(name + ".norm1", x), mask)});
    const ValueId y = l.linear(name + ".up", l.layer_norm(name + ".norm2", x), 4 * width);
    x = l.op("Add", {x, l.linear(name + ".down", l.op("Gelu", {y}), width)});
  }
  return l.transpose(scores(l, l.layer_norm("norm", x), o), {0, 2, 1});
}

// ---- The list

struct Kind {
  const char* name;
  Dims shape;  // the usual one
  bool tokens;
  int64_t least;  // of height and width
  ValueId (*build)(Layers& layers, ValueId x, const NewModelOptions& options);
};
const std::vector<Kind>& kinds() {
  static const std::vector<Kind> all = {
      {"mlp", {784}, false, 1, build_mlp},
      {"cnn", {1, 28, 28}, false, 4, build_cnn},
      {"lenet", {1, 28, 28}, false, 4, build_lenet},
      {"resnet18", {3, 224, 224}, false, 8, build_resnet18},
      {"mobilenetv2", {3, 224, 224}, false, 8, build_mobilenetv2},
      {"unet", {1, 256, 256}, false, 16, build_unet},
      {"char-rnn", {64}, true, 1, build_char_rnn},
      {"transformer", {64}, true, 1, build_transformer},
  };
  return all;
}

const Kind& find_kind(const std::string& name) {
  for (const Kind& kind : kinds()) {
    if (kind.name == name) return kind;
  }
  std::string list;
  for (const std::string& known : new_model_kinds()) list += " " + known;
  fail(Code::kInvalidArgument, "there is no network '", name, "'",
       suggestion(name, new_model_kinds(), cat("; there are:", list)));
}

void check_sizes(const Kind& kind, const NewModelOptions& o) {
  constexpr int64_t kMost = 1 << 20;
  TREADLE_CHECK(o.classes >= 1 && o.classes <= kMost, kInvalidArgument, o.classes, " classes");
  const bool any_rank = kind.build == build_mlp;
  TREADLE_CHECK(any_rank ? !o.input_shape.empty() : o.input_shape.size() == kind.shape.size(),
                kInvalidArgument, kind.name, " takes inputs as ", shape_text(kind.shape), ", not ",
                shape_text(o.input_shape));
  for (size_t i = 0; i < o.input_shape.size(); ++i) {
    const int64_t least = kind.shape.size() == 3 && i > 0 ? kind.least : 1;  // of height and width
    TREADLE_CHECK(o.input_shape[i] >= least && o.input_shape[i] <= kMost, kInvalidArgument,
                  kind.name, " takes no input of ", shape_text(o.input_shape),
                  ": expected sizes from ", least, " on");
  }
  const bool widths =
      std::all_of(o.hidden.begin(), o.hidden.end(), [](int64_t w) { return w >= 1 && w <= kMost; });
  TREADLE_CHECK(widths && o.filters >= 0 && o.filters <= 4096 && o.dropout >= 0 && o.dropout < 1,
                kInvalidArgument, "widths and filters are at least 1, dropout is 0 to below 1");
}

}  // namespace

std::vector<std::string> new_model_kinds() {
  std::vector<std::string> names;
  for (const Kind& kind : kinds()) names.emplace_back(kind.name);
  return names;
}

Graph new_model(const NewModelOptions& given) {
  const Kind& kind = find_kind(given.kind);
  NewModelOptions options = given;
  if (options.input_shape.empty()) options.input_shape = kind.shape;
  check_sizes(kind, options);
  Graph graph;
  graph.name = options.kind;
  Shape shape = symbolic(options.input_shape);
  shape.insert(shape.begin(), Dim::symbol("N"));
  const ValueId x =
      graph.add_input(kind.tokens ? "tokens" : "x",
                      Type::tensor(kind.tokens ? DType::kInt64 : DType::kFloat, std::move(shape)));
  Layers layers(graph, options.seed);
  graph.add_output("scores", kind.build(layers, x, options));
  verify(graph);
  return graph;
}

}  // namespace treadle
