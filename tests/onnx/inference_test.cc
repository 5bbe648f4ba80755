// Shape inference of every node test of ONNX, from the sizes of its inputs and from symbols: equal
// sizes are one symbol ("d7" stands for 7), 0 and 1 stay numbers. What is inferred must agree with
// the outputs that the case has, and nothing may stay unknown but what kOpen and kBeyondDims name.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <iostream>
#include <set>

#include "backends/reference/reference.h"
#include "graph/ops/op.h"
#include "importer/importer.h"
#include "tests/onnx/cases.h"

namespace treadle::test {
namespace {

namespace fs = std::filesystem;

// Operators whose output's sizes, or rank, are in data or in the branch that is taken.
const std::set<std::string> kOpen = {
    "Compress",         "If",          "ImageDecoder", "Loop", "NonMaxSuppression", "NonZero",
    "StringNormalizer", "StringSplit", "Unique"};
// The operator whose output has a rank that follows from a size.
constexpr const char* kRankBySize = "GatherND";

// Begin and end of the names of cases in which a size may stay open though ONNX determines it.
constexpr std::array<std::pair<const char*, const char*>, 7> kBeyondDims = {{
    // a rounded product of a size and the least quotient of two sizes
    {"test_resize_downsample_sizes_nearest_not_", ""},
    {"test_resize_upsample_sizes_nearest_not_", ""},
    // a scale that is no short fraction
    {"test_resize_upsample_scales_linear_half_pixel_symmetric", ""},
    // half of a difference that a Dim does not know to be positive
    {"test_center_crop_pad_", "_expanded"},
    // sizes that must be equal, of which the symbols do not say it: 18 and 6 + 12, 8 and 32 / 4
    {"test_attention_", "_expanded"},
    {"test_linear_attention_", "_expanded"},
    {"test_causal_conv_with_state_", "_expanded"},
}};

// Where sizes are numbers only what is in data may stay open.
bool is_excused(const std::string& name, const Graph& graph, bool symbols) {
  const auto named = [&](const auto& ends) {
    return name.starts_with(ends.first) && name.ends_with(ends.second);
  };
  if (symbols && std::ranges::any_of(kBeyondDims, named)) return true;
  return std::ranges::any_of(graph.topological_order(), [&](NodeId id) {
    const std::string kind = graph.node(id).op->full_name();
    return kOpen.contains(kind) || (symbols && kind == kRankBySize);
  });
}

// The value of a dimension's text, where "dK" stands for K.
class Evaluation {
 public:
  explicit Evaluation(std::string text) : text_(std::move(text)) {}
  int64_t value() {
    const int64_t sum = this->sum();
    TREADLE_CHECK(at_ == text_.size(), kInternal, "'", text_, "' is not understood");
    return sum;
  }

 private:
  void spaces() { at_ = std::min(text_.find_first_not_of(' ', at_), text_.size()); }
  bool takes(std::string_view token) {
    spaces();
    if (text_.compare(at_, token.size(), token) != 0) return false;
    at_ += token.size();
    return true;
  }
  int64_t number() {
    size_t length = 0;
    const int64_t n = std::stoll(text_.substr(at_), &length);
    at_ += length;
    return n;
  }
  int64_t pair(char between, int64_t (*f)(int64_t, int64_t)) {
    const int64_t a = sum();
    TREADLE_CHECK(takes(std::string_view(&between, 1)), kInternal, "'", text_, "' lacks ", between);
    const int64_t b = sum();
    TREADLE_CHECK(takes(")"), kInternal, "'", text_, "' lacks )");
    return f(a, b);
  }
  int64_t atom() {
    if (takes("floor(")) return pair('/', [](int64_t a, int64_t b) { return a / b - (a % b < 0); });
    if (takes("min(")) return pair(',', [](int64_t a, int64_t b) { return std::min(a, b); });
    if (takes("max(")) return pair(',', [](int64_t a, int64_t b) { return std::max(a, b); });
    if (takes("(")) {
      const int64_t inner = sum();
      takes(")");
      return inner;
    }
    takes("d");
    return number();
  }
  int64_t product() {
    int64_t p = atom();
    while (takes("*")) p *= atom();
    return p;
  }
  int64_t sum() {
    int64_t s = takes("-") ? -product() : product();
    for (;;) {
      if (takes("+")) {
        s += product();
      } else if (takes("-")) {
        s -= product();
      } else {
        return s;
      }
    }
  }

  std::string text_;
  size_t at_ = 0;
};

// Scalars, and small integer tensors and scales, are what a model holds: axes, shapes, counts. The
// first of several inputs is data.
bool is_setting(const Graph& graph, size_t i, const Tensor& t) {
  if (t.rank() == 0) return t.dtype() != DType::kString;
  const bool alone = graph.inputs().size() == 1 &&
                     graph.node(graph.topological_order().front()).op->kind == "ConstantOfShape";
  const bool small = (i > 0 || alone) && t.rank() == 1 && t.count() <= 16;
  return small && (is_integer(t.dtype()) || graph.value(graph.inputs()[i]).name == "scales");
}

Known known_input(const Graph& graph, size_t i, const Value& value, bool symbols) {
  const Tensor* t = std::get_if<Tensor>(&value);
  if (t == nullptr || !t->defined()) {
    return {.type = graph.value(graph.inputs()[i]).type, .values = {}, .constant = {}};
  }
  if (is_setting(graph, i, *t)) return known_constant(*t);
  Known known{.type = Type::tensor(t->dtype(), symbolic(t->dims())), .values = {}, .constant = {}};
  for (Dim& d : *known.type.shape) {
    if (symbols && d.value() > 1) d = Dim::symbol(cat("d", d.value()));
  }
  return known;
}

struct Counts {
  size_t outputs = 0;
  size_t numbers = 0;
  size_t expressions = 0;
  size_t unknown = 0;
  size_t unranked = 0;
};

void compare(const Type& inferred, const Tensor& actual, bool excused, Counts& counts) {
  ++counts.outputs;
  EXPECT_EQ(dtype_name(inferred.dtype), dtype_name(actual.dtype()));
  if (!inferred.shape) {
    ++counts.unranked;
    EXPECT_TRUE(excused) << "the rank is unknown";
    return;
  }
  ASSERT_EQ(inferred.shape->size(), actual.dims().size()) << inferred.text();
  for (size_t i = 0; i < actual.dims().size(); ++i) {
    const Dim& d = (*inferred.shape)[i];
    if (d.is_unknown()) {
      ++counts.unknown;
      EXPECT_TRUE(excused) << "axis " << i << " of " << inferred.text() << " is unknown";
      continue;
    }
    ++(d.known() ? counts.numbers : counts.expressions);
    EXPECT_EQ(Evaluation(d.text()).value(), actual.dims()[i]) << "axis " << i << ", " << d.text();
  }
}

void check_case(const fs::path& folder, bool symbols, Counts& counts) {
  const Graph graph = load(folder / "model.onnx");
  const std::vector<Value> inputs = case_inputs(folder, graph);
  std::vector<Known> known;
  for (size_t i = 0; i < inputs.size(); ++i)
    known.push_back(known_input(graph, i, inputs[i], symbols));
  const std::vector<Known> inferred = infer(graph, known);
  const bool excused = is_excused(folder.filename().string(), graph, symbols);
  for (size_t i = 0; i < graph.outputs().size(); ++i) {
    const ValueId id = graph.outputs()[i].value;
    const Value want =
        load_value(folder / "test_data_set_0" / cat("output_", i, ".pb"), graph.value(id).type);
    const Tensor* t = std::get_if<Tensor>(&want);
    if (t == nullptr || !t->defined()) continue;
    SCOPED_TRACE(cat("output ", i));
    compare(inferred[id.index].type, *t, excused, counts);
  }
}

class NodeInference : public testing::TestWithParam<bool> {};

TEST_P(NodeInference, AgreesWithTheOutputs) {
  provide_external_kernels();
  const fs::path folder = cases_folder();
  if (folder.empty()) GTEST_SKIP() << "no Python with onnx to make the cases: run scripts/setup.sh";
  Counts counts;
  for (const Case& c : read_cases(folder, "node")) {
    SCOPED_TRACE(c.name);
    try {
      check_case(folder / "node" / c.name, GetParam(), counts);
    } catch (const Error& e) {
      ADD_FAILURE() << e.what();
    }
  }
  std::cout << counts.outputs << " outputs; sizes: " << counts.numbers << " numbers, "
            << counts.expressions << " expressions, " << counts.unknown << " unknown; "
            << counts.unranked << " outputs of unknown rank\n";
}

std::string parameter_name(const testing::TestParamInfo<bool>& info) {
  return info.param ? "symbols" : "sizes";
}

INSTANTIATE_TEST_SUITE_P(Onnx, NodeInference, testing::Bool(), parameter_name);

}  // namespace
}  // namespace treadle::test
