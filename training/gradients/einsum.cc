// Gradient of Einsum: for each operand the Einsum of the incoming gradient with the other operands.
// A label that only this operand has is spread; one that it has twice is put on the diagonal.
#include "graph/ops/einsum.h"

#include <algorithm>
#include <map>

#include "training/gradients/families.h"

namespace treadle {
namespace {

using Context = GradientContext;
using Labels = std::vector<int>;

bool has(const Labels& labels, int label) {
  return std::ranges::find(labels, label) != labels.end();
}

Labels distinct(const Labels& labels) {
  Labels list;
  for (int label : labels) {
    if (!has(list, label)) list.push_back(label);
  }
  return list;
}

// Letters for all labels, those of "..." included.
class Alphabet {
 public:
  std::string term(const Labels& labels) {
    std::string text;
    for (int label : labels) text += letter(label);
    return text;
  }

 private:
  char letter(int label) {
    const auto [it, added] = letters_.emplace(label, '\0');
    if (added) {
      const size_t n = letters_.size() - 1;
      if (n >= 52) GradientContext::refuse("its equation has more than 52 labels");
      it->second = static_cast<char>(n < 26 ? 'a' + n : 'A' + (n - 26));
    }
    return it->second;
  }
  std::map<int, char> letters_;
};

// The sum of products, as far as the gradient of operand i depends on the others: its labels, and
// the tensor.
std::pair<Labels, Expr> product_of_others(Context& c, const EinsumEquation& e, size_t i) {
  Alphabet alphabet;
  std::string text = alphabet.term(e.output);
  Labels known = e.output;
  std::vector<Expr> others;
  for (size_t k = 0; k < e.operands.size(); ++k) {
    if (k == i) continue;
    text += "," + alphabet.term(e.operands[k]);
    known.insert(known.end(), e.operands[k].begin(), e.operands[k].end());
    others.push_back(c.x(k));
  }
  Labels kept;
  for (int label : distinct(e.operands[i])) {
    if (has(known, label)) kept.push_back(label);
  }
  text += "->" + alphabet.term(kept);
  return {kept, c.gy().op("Einsum", others, {{"equation", text}})};
}

// Where the index along axis a equals that along axis b, as bool that broadcasts to x's shape.
Expr diagonal(const Expr& x, size_t a, size_t b) {
  auto index = [&](size_t axis) {
    std::vector<int64_t> trailing;
    for (size_t d = axis + 1; d < x.shape().size(); ++d) {
      trailing.push_back(static_cast<int64_t>(d - axis));
    }
    return unsqueeze(range(size_of(x, static_cast<int64_t>(axis))), trailing);
  };
  return equal(index(a), index(b));
}

Expr operand_gradient(Context& c, const EinsumEquation& e, size_t i) {
  const Labels& labels = e.operands[i];
  const Expr x = c.x(i);
  auto [kept, gradient] = product_of_others(c, e, i);
  Expr on_diagonal;
  std::vector<int64_t> added;
  for (size_t d = 0; d < labels.size(); ++d) {
    const auto first = std::ranges::find(labels, labels[d]) - labels.begin();
    const bool again = static_cast<size_t>(first) != d;
    if (again || !has(kept, labels[d])) added.push_back(static_cast<int64_t>(d));
    if (!again) continue;
    const Expr here = diagonal(x, static_cast<size_t>(first), d);
    on_diagonal = on_diagonal.id().valid() ? both(on_diagonal, here) : here;
  }
  gradient = unsqueeze(gradient, added);
  // Axes of size 1 may be broadcast on either side.
  if (!added.empty() || x.type().shape != gradient.type().shape) {
    gradient = sum_to(gradient.op("Expand", {shape_of(x)}), x);
  }
  return on_diagonal.id().valid() ? where(on_diagonal, gradient, 0) : gradient;
}

void einsum(Context& c) {
  std::vector<int64_t> ranks;
  for (size_t i = 0; i < c.input_count(); ++i) ranks.push_back(c.x(i).rank());
  const EinsumEquation e = einsum_equation(c.attributes(), ranks);
  for (size_t i = 0; i < c.input_count(); ++i) {
    if (c.wants(i)) c.set(i, operand_gradient(c, e, i));
  }
}

constexpr GradientDef kRules[] = {
    {"Einsum", einsum},
};

}  // namespace

std::span<const GradientDef> einsum_gradients() { return kRules; }

}  // namespace treadle
