// Gradient rules: a family file (gradients/<family>.cc) defines `std::span<const GradientDef>
// <family>_gradients()` over a constant table; gradients/families.cc lists the families.
//
// A rule adds nodes by the operators that the graph already has, so that gradients differentiate
// again. It reads the node's inputs x(i), outputs y(i) and their gradients gy(i), and sets the
// gradient of each input that is wanted; one that is not set is zero.
#pragma once

#include <memory>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "training/expr.h"

namespace treadle {

class AddedOps;
class GradientContext;
using GradientFn = void (*)(GradientContext&);
// The outputs as formulas of the inputs; it reads no y(i) and no gradient.
using PartsFn = std::vector<Expr> (*)(GradientContext&);

struct GradientDef {
  const char* kind;
  GradientFn fn = nullptr;        // null: the operator is piecewise constant, its gradient zero
  const char* refused = nullptr;  // why it has none, where neither is right
  const char* domain = "";
  // Instead of `fn`: simpler nodes that take the node's place, and are differentiated.
  PartsFn parts = nullptr;
};

enum class GradientKind {
  kDifferentiated,  // by a rule
  kDecomposed,      // its parts or, without a rule, its decomposition are differentiated
  kZero,            // declared so, or no floats go in or come out
  kRefused,
  kMissing
};
struct GradientSupport {
  GradientKind kind = GradientKind::kMissing;
  const GradientDef* def = nullptr;  // where there is one
};
GradientSupport gradient_support(const Op& op);
// Whether a value of this type can have a gradient. A dtype that is not known may be one of floats.
bool is_smooth(const Type& type);
std::string_view gradient_kind_name(GradientKind kind);  // "differentiated"…

// One node under differentiation. Throwing kUnsupported (`refuse`, or a rank that is not known)
// reports the node; the sweep goes on to find the other unsupported ones.
class GradientContext {
 public:
  GradientContext(Graph& graph, NodeId id, std::string_view prefix = "grad/");
  Graph& graph() { return graph_; }
  const Node& node() const { return node_; }
  const Attributes& attributes() const { return node_.attributes; }
  Builder& builder() { return builder_; }

  size_t input_count() const { return node_.inputs.size(); }
  size_t output_count() const { return node_.outputs.size(); }
  bool has(size_t i) const { return node_.input(i).valid(); }
  Expr x(size_t i = 0);
  // The node is given the output where the model left it out.
  Expr y(size_t i = 0);
  // Whether output i has a gradient: absent is zero, and is never materialised by the sweep.
  bool has_gy(size_t i = 0) const { return i < gradients_.size() && gradients_[i].valid(); }
  Expr gy(size_t i = 0);
  Expr gy_or_zeros(size_t i);
  bool wants(size_t i) const { return node_.input(i).valid() && wants(node_.input(i)); }
  // Of any value that the node reads, captures included.
  bool wants(ValueId value) const { return wanted_.contains(value.index); }

  // The gradient of input i, of its shape and dtype.
  void set(size_t i, const Expr& gradient);
  // The same, of the shape that x(i) broadcasts to: what broadcasting added is summed.
  void set_broadcast(size_t i, const Expr& gradient) { set(i, sum_to(gradient, x(i))); }
  // Adds to the gradient of any value that the node reads, for captures.
  void contribute(ValueId value, const Expr& gradient);

  // Lets others read these outputs instead of the node's own.
  void replace_outputs(const std::vector<Expr>& outputs);

  Expr ints(const std::vector<int64_t>& values) { return {builder_, builder_.ints(values)}; }
  Expr constant(Tensor tensor) { return {builder_, builder_.constant(std::move(tensor))}; }
  // The integers of input i; kUnsupported where they are known at run time only.
  std::vector<int64_t> known_ints(size_t i);
  // An axis attribute or value, from 0.
  int64_t axis_of(int64_t axis, size_t input = 0);
  [[noreturn]] static void refuse(const std::string& reason);

  // For the sweep.
  NodeId id() const { return id_; }
  std::vector<ValueId>& gradients() { return gradients_; }  // of the outputs
  std::set<uint32_t>& wanted() { return wanted_; }          // indices of values
  const std::vector<std::pair<ValueId, ValueId>>& results() const { return results_; }
  // Those of the request; may be null.
  std::shared_ptr<const AddedOps>& operators() { return operators_; }

 private:
  Graph& graph_;
  NodeId id_;
  Node node_;  // a copy: adding to the graph moves its own
  Builder builder_;
  std::vector<ValueId> gradients_;
  std::set<uint32_t> wanted_;
  std::vector<std::pair<ValueId, ValueId>> results_;  // value, part of its gradient
  std::shared_ptr<const AddedOps> operators_;
};

}  // namespace treadle
