// Einsum: sums of products over labelled dimensions.
#include "graph/ops/einsum.h"

#include <algorithm>
#include <cctype>
#include <map>

#include "graph/ops/families.h"
#include "graph/ops/op.h"

namespace treadle {
namespace {

using Equation = EinsumEquation;
constexpr int kEllipsis = 256;  // the first label that is no letter

// The labels of one term; "..." becomes the labels of `ellipsis` dims.
std::vector<int> read_term(const std::string& term, int64_t ellipsis) {
  std::vector<int> labels;
  bool seen = false;
  for (size_t i = 0; i < term.size(); ++i) {
    if (std::isalpha(static_cast<unsigned char>(term[i])) != 0) {
      labels.push_back(term[i]);
      continue;
    }
    TREADLE_CHECK(!seen && term.compare(i, 3, "...") == 0, kInvalidModel, "term '", term,
                  "' of the equation is wrong");
    for (int64_t d = ellipsis; d-- > 0;) labels.push_back(kEllipsis + static_cast<int>(d));
    seen = true;
    i += 2;
  }
  return labels;
}

int64_t letters(const std::string& term) {
  return std::ranges::count_if(
      term, [](char c) { return std::isalpha(static_cast<unsigned char>(c)) != 0; });
}

// Without "->": the dims of "...", then the labels that occur once, in alphabetical order.
std::vector<int> implicit_output(const std::vector<std::vector<int>>& operands) {
  std::map<int, int> count;
  for (const auto& labels : operands) {
    for (int label : labels) ++count[label];
  }
  std::vector<int> output;
  for (auto it = count.rbegin(); it != count.rend() && it->first >= kEllipsis; ++it)
    output.push_back(it->first);
  for (const auto& [label, times] : count) {
    if (label < kEllipsis && times == 1) output.push_back(label);
  }
  return output;
}

}  // namespace

EinsumEquation einsum_equation(const Attributes& attributes, const std::vector<int64_t>& ranks) {
  std::string text = attributes.s("equation", "");
  std::erase_if(text, [](char c) { return std::isspace(static_cast<unsigned char>(c)) != 0; });
  const size_t arrow = text.find("->");
  const std::string left = text.substr(0, arrow);
  std::vector<std::string> terms(1);
  for (char c : left) {
    if (c == ',')
      terms.emplace_back();
    else
      terms.back() += c;
  }
  TREADLE_CHECK(terms.size() == ranks.size(), kInvalidModel, "equation '", text, "' has ",
                terms.size(), " terms for ", ranks.size(), " inputs");
  EinsumEquation e;
  int64_t widest = 0;
  for (size_t i = 0; i < terms.size(); ++i) {
    const int64_t rest = ranks[i] - letters(terms[i]);
    TREADLE_CHECK(rest >= 0 && (rest == 0 || terms[i].find('.') != std::string::npos),
                  kInvalidModel, "term '", terms[i], "' does not fit an input of rank ", ranks[i]);
    e.operands.push_back(read_term(terms[i], rest));
    widest = std::max(widest, rest);
  }
  e.output = arrow == std::string::npos ? implicit_output(e.operands)
                                        : read_term(text.substr(arrow + 2), widest);
  return e;
}

namespace {

// The size of each label; a dim of 1 is broadcast.
std::map<int, Dim> label_sizes(const Equation& e, const std::vector<Shape>& shapes) {
  std::map<int, Dim> sizes;
  for (size_t i = 0; i < shapes.size(); ++i) {
    for (size_t d = 0; d < shapes[i].size(); ++d) {
      Shape merged{shapes[i][d]};
      const auto known = sizes.find(e.operands[i][d]);
      if (known != sizes.end()) merged = broadcast(merged, Shape{known->second});
      sizes[e.operands[i][d]] = merged[0];
    }
  }
  for (int label : e.output) {
    TREADLE_CHECK(sizes.contains(label), kInvalidModel,
                  "the equation's output has a label that no input has");
    TREADLE_CHECK(std::ranges::count(e.output, label) == 1, kInvalidModel,
                  "the equation's output repeats a label");
  }
  return sizes;
}

Shape output_shape(const Equation& e, const std::map<int, Dim>& sizes) {
  Shape shape;
  for (int label : e.output) shape.push_back(sizes.at(label));
  return shape;
}

void infer_einsum(InferContext& c) {
  std::vector<Shape> shapes;
  std::vector<int64_t> ranks;
  for (size_t i = 0; i < c.input_count(); ++i) {
    shapes.push_back(c.shape(i));
    ranks.push_back(c.rank(i));
  }
  const Equation e = einsum_equation(c.attributes(), ranks);
  c.set_shape(0, output_shape(e, label_sizes(e, shapes)));
}

// Walks an index space; element `index` of operand n lies at at[n].
class Walk {
 public:
  Walk(const std::vector<int>& labels, const std::map<int, Dim>& sizes, const Equation& e,
       const std::vector<Dims>& operands)
      : steps_(operands.size()) {
    for (int label : labels) sizes_.push_back(sizes.at(label).value());
    index_.assign(labels.size(), 0);
    for (size_t n = 0; n < operands.size(); ++n) {
      const Dims strides = strides_of(operands[n]);
      steps_[n].assign(labels.size(), 0);
      for (size_t d = 0; d < operands[n].size(); ++d) {
        const auto at = std::ranges::find(labels, e.operands[n][d]);
        if (at != labels.end() && operands[n][d] != 1)
          steps_[n][static_cast<size_t>(at - labels.begin())] += strides[d];
      }
    }
  }
  int64_t count() const { return element_count(sizes_); }
  // To the next index; from the last back to the first.
  void next(std::vector<int64_t>& at) {
    for (size_t d = sizes_.size(); d-- > 0;) {
      const bool wraps = ++index_[d] == sizes_[d];
      const int64_t by = wraps ? 1 - sizes_[d] : 1;
      for (size_t n = 0; n < at.size(); ++n) at[n] += by * steps_[n][d];
      if (!wraps) return;
      index_[d] = 0;
    }
  }

 private:
  Dims sizes_;
  Dims index_;
  std::vector<Dims> steps_;
};

template <class T>
void einsum(EvalContext& c, Walk outer, Walk inner, Tensor& y) {
  using Sum = std::conditional_t<std::is_integral_v<T>, uint64_t, double>;
  std::vector<const T*> data;
  for (size_t i = 0; i < c.input_count(); ++i) data.push_back(c.input(i).data<T>().data());
  std::vector<int64_t> at(data.size());
  const int64_t terms = inner.count();
  for (T& element : y.data<T>()) {
    Sum sum{};
    for (int64_t t = 0; t < terms; ++t) {
      if (t % 65536 == 0) c.poll();
      Sum product = static_cast<Sum>(data[0][at[0]]);
      for (size_t n = 1; n < data.size(); ++n) product *= static_cast<Sum>(data[n][at[n]]);
      sum += product;
      inner.next(at);
    }
    element = T(static_cast<Compute<T>>(sum));
    outer.next(at);
  }
}

void eval_einsum(EvalContext& c) {
  std::vector<Dims> dims;
  std::vector<Shape> shapes;
  std::vector<int64_t> ranks;
  for (size_t i = 0; i < c.input_count(); ++i) {
    dims.push_back(c.input(i).dims());
    shapes.push_back(symbolic(dims.back()));
    ranks.push_back(c.input(i).rank());
  }
  const Equation e = einsum_equation(c.attributes(), ranks);
  const std::map<int, Dim> sizes = label_sizes(e, shapes);
  std::vector<int> summed;
  for (const auto& [label, size] : sizes) {
    if (std::ranges::find(e.output, label) == e.output.end()) summed.push_back(label);
  }
  Tensor& y = c.output(0, *concrete(output_shape(e, sizes)));
  dispatch(c.dtype(0), NumberTypes{}, [&]<class T>() {
    einsum<T>(c, Walk(e.output, sizes, e, dims), Walk(summed, sizes, e, dims), y);
  });
}

constexpr OpDef kRows[] = {
    {.kind = "Einsum",
     .inputs = "Inputs*:T",
     .outputs = "Output:T",
     .types = "T=numbers",
     .attributes = "equation:s!",
     .infer = infer_einsum,
     .eval = eval_einsum},
};

}  // namespace

std::span<const OpDef> einsum_ops() { return kRows; }

}  // namespace treadle
