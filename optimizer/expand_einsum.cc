// Einsum of one or two operands becomes transposes, sums and one product, MatMul or Mul: those have
// fast kernels, and the passes know them (attention written as Einsum among it).
#include <algorithm>
#include <iterator>
#include <utility>

#include "graph/ops/einsum.h"
#include "optimizer/passes.h"

namespace treadle {
namespace {

using Labels = std::vector<int>;
using Groups = std::vector<Labels>;  // labels that share a dimension, for each dimension

bool has(const Labels& labels, int label) {
  return std::ranges::find(labels, label) != labels.end();
}

template <class F>
Labels filtered(const Labels& labels, F&& wanted) {
  Labels out;
  std::ranges::copy_if(labels, std::back_inserter(out), wanted);
  return out;
}

bool repeats(Labels labels) {
  std::ranges::sort(labels);
  return std::ranges::adjacent_find(labels) != labels.end();
}

std::string text(int label) {
  return label < 256 ? std::string{'\'', static_cast<char>(label), '\''} : "'...'";
}

struct Operand {
  ValueId value;
  Labels labels;
  Shape shape;

  size_t axis(int label) const {
    return static_cast<size_t>(std::ranges::find(labels, label) - labels.begin());
  }
  const Dim& size(int label) const { return shape[axis(label)]; }
};

Groups apart(const Labels& labels) {
  Groups groups;
  for (int label : labels) groups.push_back({label});
  return groups;
}

Groups joined(std::initializer_list<Groups> parts) {
  Groups out;
  for (const Groups& part : parts) out.insert(out.end(), part.begin(), part.end());
  return out;
}

Labels flat(const Groups& groups) {
  Labels out;
  for (const Labels& group : groups) out.insert(out.end(), group.begin(), group.end());
  return out;
}

// Some dimension is not that of one label.
bool merges(const Groups& groups) {
  return std::ranges::any_of(groups, [](const Labels& group) { return group.size() != 1; });
}

Shape sizes(const Operand& x, const Groups& groups) {
  Shape shape;
  for (const Labels& group : groups) {
    Dim size = 1;
    for (int label : group) size = size * x.size(label);
    shape.push_back(size);
  }
  return shape;
}

// One node's rewrite; kUnsupported where it cannot be written.
class Expansion {
 public:
  Expansion(std::vector<Operand> operands, Operand output, DType dtype)
      : operands_(std::move(operands)), output_(std::move(output)), dtype_(dtype) {}

  Patch patch() {
    for (size_t i = 0; i < operands_.size(); ++i) check(i);
    for (size_t i = 0; i < operands_.size(); ++i) sum_alone(i);
    Operand result = operands_.size() == 1 ? operands_[0] : product();
    transpose(result, output_.labels);
    patch_.replace(output_.value, result.value);
    return std::move(patch_);
  }

 private:
  // Another operand has it too.
  bool is_shared(size_t operand, int label) const {
    return operands_.size() == 2 && has(operands_[1 - operand].labels, label);
  }

  void check(size_t operand) const {
    const Operand& x = operands_[operand];
    if (repeats(x.labels)) fail(Code::kUnsupported, "a label stands twice in an operand");
    for (int label : x.labels) {
      // Einsum repeats a size of 1 along a sum; MatMul does not.
      const bool summed = is_shared(operand, label) && !has(output_.labels, label);
      TREADLE_CHECK(!summed || x.size(label) == operands_[1 - operand].size(label), kUnsupported,
                    "sizes of ", text(label), " may differ");
    }
  }

  // Over the labels that nothing else has.
  void sum_alone(size_t operand) {
    sum_all_but(operands_[operand],
                [&](int label) { return has(output_.labels, label) || is_shared(operand, label); });
  }

  template <class F>
  void sum_all_but(Operand& x, F&& stays) {
    std::vector<int64_t> axes;
    for (size_t d = 0; d < x.labels.size(); ++d) {
      if (!stays(x.labels[d])) axes.push_back(static_cast<int64_t>(d));
    }
    if (axes.empty()) return;
    const Labels rest = filtered(x.labels, stays);
    x = {patch_.op("ReduceSum", {x.value, patch_.ints(axes)}, {{"keepdims", int64_t{0}}}), rest,
         sizes(x, apart(rest))};
  }

  void transpose(Operand& x, const Labels& order) {
    if (x.labels == order) return;
    std::vector<int64_t> perm;
    for (int label : order) perm.push_back(static_cast<int64_t>(x.axis(label)));
    x = {patch_.op("Transpose", {x.value}, {{"perm", perm}}), order, sizes(x, apart(order))};
  }

  Operand product() {
    set_groups();
    if (summed_.empty()) return elementwise(output_.labels);
    if (rows_.empty() && columns_.empty() && !batch_.empty() && !is_half(dtype_)) return dots();
    return matrices();
  }

  void set_groups() {
    const auto group = [&](bool in_first, bool in_second) {
      return filtered(output_.labels, [&](int label) {
        return has(operands_[0].labels, label) == in_first &&
               has(operands_[1].labels, label) == in_second;
      });
    };
    batch_ = group(true, true);
    rows_ = group(true, false);
    columns_ = group(false, true);
    summed_ = filtered(operands_[0].labels, [&](int label) { return !has(output_.labels, label); });
  }

  // ---- Mul broadcasts.
  Operand elementwise(const Labels& order) {
    std::vector<ValueId> inputs;
    for (Operand& x : operands_) {
      transpose(x, filtered(order, [&](int label) { return has(x.labels, label); }));
      std::vector<int64_t> missing;
      for (size_t d = 0; d < order.size(); ++d) {
        if (!has(x.labels, order[d])) missing.push_back(static_cast<int64_t>(d));
      }
      inputs.push_back(missing.empty() ? x.value
                                       : patch_.op("Unsqueeze", {x.value, patch_.ints(missing)}));
    }
    Shape shape;
    for (int label : order)
      shape.push_back(has(output_.labels, label) ? output_.size(label) : operands_[0].size(label));
    return {patch_.op("Mul", inputs), order, shape};
  }

  // Of many pairs of vectors, where each product would be a call; rounds the terms.
  Operand dots() {
    Operand result = elementwise(Labels(operands_[0].labels));
    sum_all_but(result, [&](int label) { return has(output_.labels, label); });
    return result;
  }

  // ---- [batch, rows, summed] x [batch, summed, columns].
  Operand matrices() {
    if (is_better_swapped()) {
      std::swap(operands_[0], operands_[1]);
      std::swap(rows_, columns_);
    }
    const Groups batch = apart(batch_), rows = row_groups(), columns = column_groups();
    const Groups summed = {summed_};
    const ValueId a = matrix(operands_[0], joined({batch, rows, summed}));
    ValueId b = matrix(operands_[1], joined({batch, summed, columns}));
    if (!batch.empty() && rows.size() > 1) b = behind(b, rows.size() - 1);
    const Groups groups = joined({batch, rows, columns});
    Operand result{patch_.op("MatMul", {a, b}), flat(groups), {}};
    result.shape = sizes(output_, apart(result.labels));
    if (merges(groups)) result.value = reshape(result.value, sizes(output_, groups), result.shape);
    return result;
  }

  // The output is the transposed product, or that of a vector and a matrix, or the rows can stay
  // apart where the columns cannot be merged.
  bool is_better_swapped() const {
    if (cannot_merge(rows_) != cannot_merge(columns_)) return cannot_merge(columns_);
    return !columns_.empty() && (rows_.empty() || has(rows_, output_.labels.back()));
  }

  // No constant tells Reshape how to take them apart again.
  bool cannot_merge(const Labels& group) const {
    return std::ranges::count_if(group, [&](int label) { return !output_.size(label).known(); }) >
           1;
  }

  // MatMul takes any dimensions in front of one matrix, and for as many matrices as there are.
  Groups row_groups() const {
    return batch_.empty() || cannot_merge(rows_) ? apart(rows_) : Groups{rows_};
  }

  // MatMul takes a vector, where there is one.
  Groups column_groups() const {
    return batch_.empty() && columns_.empty() ? Groups{} : Groups{columns_};
  }

  // The matrices of the batch, the same for each of so many dimensions behind it.
  ValueId behind(ValueId x, size_t dimensions) {
    std::vector<int64_t> axes;
    for (size_t d = 0; d < dimensions; ++d) axes.push_back(static_cast<int64_t>(batch_.size() + d));
    return patch_.op("Unsqueeze", {x, patch_.ints(axes)});
  }

  // `x` with one dimension for each of the groups.
  ValueId matrix(Operand& x, const Groups& groups) {
    transpose(x, flat(groups));
    return merges(groups) ? reshape(x.value, x.shape, sizes(x, groups)) : x.value;
  }

  ValueId reshape(ValueId x, const Shape& from, const Shape& to) {
    const auto spec = reshape_spec(from, to);
    TREADLE_CHECK(spec, kUnsupported, "merges sizes that only the run knows");
    return patch_.op("Reshape", {x, patch_.ints(*spec)});
  }

  std::vector<Operand> operands_;
  Operand output_;
  DType dtype_;
  Patch patch_;
  Labels batch_, rows_, columns_, summed_;
};

bool fits(const Type& type) {
  return type.is_tensor() && type.shape &&
         (type.dtype == DType::kFloat || type.dtype == DType::kDouble || is_half(type.dtype));
}

Patch expansion(const Pass& pass, const Node& node) {
  TREADLE_CHECK(node.inputs.size() <= 2, kUnsupported, "more than two operands");
  std::vector<Operand> operands;
  std::vector<int64_t> ranks;
  for (ValueId v : node.inputs) {
    const Type& type = pass.type(v);
    TREADLE_CHECK(fits(type), kUnsupported, "no floats of a known rank");
    operands.push_back({v, {}, *type.shape});
    ranks.push_back(static_cast<int64_t>(type.shape->size()));
  }
  const EinsumEquation equation = einsum_equation(node.attributes, ranks);
  for (size_t i = 0; i < operands.size(); ++i) operands[i].labels = equation.operands[i];
  const Shape shape = pass.type(node.output()).shape.value_or(Shape{});
  TREADLE_CHECK(shape.size() == equation.output.size(), kUnsupported, "no shape is known");
  const DType dtype = pass.type(node.input(0)).dtype;
  return Expansion(std::move(operands), {node.output(), equation.output, shape}, dtype).patch();
}

// Of constants alone it is folded as it is, with sums in double.
bool wants_expansion(const Pass& pass, const Node& node) {
  const auto is_constant = [&](ValueId v) { return pass.constant(v) != nullptr; };
  return node.is("Einsum") && !std::ranges::all_of(node.inputs, is_constant);
}

}  // namespace

void expand_einsum(Pass& pass) {
  bool learned = false;
  for (NodeId id : pass.graph.topological_order()) {
    if (pass.stopped()) return;
    if (!wants_expansion(pass, pass.graph.node(id))) continue;
    if (!std::exchange(learned, true)) learn_types(pass.graph);
    try {
      pass.apply(id, expansion(pass, pass.graph.node(id)));
    } catch (const Error& e) {
      if (e.code() != Code::kUnsupported) throw;
      pass.refuse(id, e.what());
    }
  }
}

}  // namespace treadle
