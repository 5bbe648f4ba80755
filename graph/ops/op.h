// An operator is a constant row: what it is called, what it takes, what its outputs' types are,
// what it computes.
//
// A family file (conv.cc, reduce.cc …) defines `std::span<const OpDef> conv_ops()` over a constant
// table; families.cc lists the families. Everything else (import, export, printing, checking,
// folding, the reference backend) is generic over rows.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "graph/graph.h"

namespace treadle {

class InferContext;
class EvalContext;
class Builder;

using InferFn = void (*)(InferContext&);
using EvalFn = void (*)(EvalContext&);
// Adds to the builder's graph the nodes that the node equals, and returns one value for each of its
// outputs.
using DecomposeFn = std::vector<ValueId> (*)(Builder&, const Node&);

enum Trait : uint32_t {
  kElementwise = 1,   // output[i] depends on the inputs' elements i only (after broadcasting)
  kCommutative = 2,   // of its first two inputs
  kRandom = 4,        // two runs differ: never folded, never merged
  kDataDependent = 8  // output shapes (or kinds) depend on data: control flow, sequences, NonZero
};

// The row as written. All texts are parsed once, when the registry is built.
struct OpDef {
  const char* kind;    // as ONNX spells it
  const char* inputs;  // "X:T W:T B?:T" — '?' optional, '*' variadic (last), ':' type variable or
                       // dtype name or "any"
  const char* outputs;  // the same; an output of a bound type variable gets its dtype without help
  const char* types = "";  // "T=floats T1=int64,int32": names of dtypes, or sets floats ints signed
                           // unsigned numbers bool string all (every tensor dtype)
  // "axis:i=1 pads:is to:i! body:g!" — kinds i f s is fs ss t ts tp g, '!' required.
  const char* attributes = "";
  InferFn infer = nullptr;
  EvalFn eval = nullptr;            // the reference kernel, or
  DecomposeFn decompose = nullptr;  // the graph of simpler operators that it equals (or both)
  uint32_t traits = 0;
  const char* domain = "";  // "", "ai.onnx.ml", "com.microsoft", "treadle"
};

struct Param {
  std::string name;
  bool optional = false;
  bool variadic = false;
  std::string type;  // type variable, "any", or a dtype's name
  DTypeSet allowed;  // what `type` stands for
  bool any = false;  // no constraint: sequences, maps, mixed variadics
};
struct AttributeDef {
  std::string name;
  std::string kind;  // i f s is fs ss t ts tp g
  bool required = false;
  std::string default_text;  // "" = none
};

// The row as used. `id` is its index; rows are compared by id, not by address.
struct Op {
  uint32_t id = 0;
  std::string kind;
  std::string domain;
  std::vector<Param> inputs;
  std::vector<Param> outputs;
  std::vector<AttributeDef> attributes;
  InferFn infer = nullptr;
  EvalFn eval = nullptr;
  DecomposeFn decompose = nullptr;
  uint32_t traits = 0;
  // Of an added operator: the full name of the one that is its gradient; "" = none.
  std::string gradient;

  bool has(Trait trait) const { return (traits & trait) != 0; }
  const Param& input(size_t i) const { return inputs[std::min(i, inputs.size() - 1)]; }
  const Param& output(size_t i) const { return outputs[std::min(i, outputs.size() - 1)]; }
  const AttributeDef* attribute(std::string_view name) const;
  std::string full_name() const { return domain.empty() ? kind : domain + "." + kind; }
};

// Null when there is no such row. "ai.onnx" and "" are the same domain.
const Op* find_op(std::string_view kind, std::string_view domain = "");
const std::vector<Op>& all_ops();
// The newest ai.onnx opset that the rows follow; models are lifted to it on import.
inline constexpr int64_t kOpset = 28;

// Arity, presence of required inputs and attributes, attribute names and kinds; kInvalidModel with
// the node.
void check_against_row(const Node& node);

// ---- Inference

// What is known of a value before the run.
struct Known {
  Type type;
  std::optional<std::vector<Dim>>
      values;       // the elements of a small integer tensor (rank 0 or 1), symbols included
  Tensor constant;  // defined() when all elements are known
};

// Given to a row's `infer`: reads what is known of the inputs, states the outputs. Output dtypes of
// bound type variables are set before it is called. Wrong shapes are reported by
// `fail(kInvalidModel, …)`; the caller adds the node. Reading the shape of an input of unknown rank
// ends the rule: the outputs' shapes stay unknown.
class InferContext {
 public:
  InferContext(const Node& node, std::vector<const Known*> inputs);
  const Node& node() const { return node_; }
  const Attributes& attributes() const { return node_.attributes; }
  size_t input_count() const { return inputs_.size(); }  // trailing absent ones are not counted
  size_t output_count() const { return outputs_.size(); }
  bool has(size_t i) const { return i < inputs_.size() && inputs_[i] != nullptr; }
  const Type& type(size_t i) const;  // kInvalidModel when absent
  DType dtype(size_t i) const { return type(i).dtype; }
  const Shape& shape(size_t i) const;  // see above
  int64_t rank(size_t i) const { return static_cast<int64_t>(shape(i).size()); }
  bool rank_known(size_t i) const { return has(i) && inputs_[i]->type.shape.has_value(); }
  const Tensor* constant(size_t i) const;  // null when the elements are not all known
  // Elements of an integer tensor of rank 0 or 1, symbols included; null when not known.
  const std::vector<Dim>* values(size_t i) const;
  std::optional<std::vector<int64_t>> ints(size_t i) const;  // the same when all are integers

  void set_type(size_t output, Type type);
  void set_dtype(size_t output, DType dtype);
  void set_shape(size_t output, Shape shape);
  void set_values(size_t output, std::vector<Dim> values);  // with a shape of rank 0 or 1
  std::vector<Known>& outputs() { return outputs_; }

  // Types of a body's outputs for the given formal inputs (captures are added).
  std::vector<Known> infer_body(size_t subgraph, std::vector<Known> formals) const;

 private:
  const Node& node_;
  std::vector<const Known*> inputs_;
  std::vector<Known> outputs_;
  friend class Inference;
  const std::vector<std::vector<Known>>* captures_ = nullptr;
};

// Type, shape values and elements of a constant.
Known known_constant(const Tensor& tensor);

// What is known of every value (by index) of a graph when its inputs are as given (default: as
// declared). Small integer tensors that follow from shapes are evaluated. kInvalidModel with the
// node where a rule fails.
std::vector<Known> infer(const Graph& graph, const std::vector<Known>& inputs);
std::vector<Known> infer(const Graph& graph);
// One node, given what is known of its inputs (null where absent) and, per subgraph, of its
// captures.
std::vector<Known> infer_node(const Node& node, const std::vector<const Known*>& inputs,
                              const std::vector<std::vector<Known>>& captures = {});
// Writes the inferred types into the values; a declared rank counts where inference has none.
void annotate(Graph& graph);

// Common rules.
void infer_same_shape(InferContext& c);  // output 0 has the shape of input 0
void infer_broadcast(InferContext& c);   // output 0 has the broadcast shape of all inputs

// ---- Evaluation

// Called by kernels that run for long or loop; throws kCancelled, kTimeout or kLimit.
struct RunControl {
  std::function<void()> check;  // may be empty
  void poll() const {
    if (check) check();
  }
};

// Given to a row's `eval`: inputs are there and of the declared types; shapes must be checked where
// they matter.
class EvalContext {
 public:
  using RunBody = std::function<std::vector<Value>(const Subgraph&, std::vector<Value> formals,
                                                   const std::vector<Value>& captures)>;
  EvalContext(const Node& node, std::vector<const Value*> inputs);
  const Node& node() const { return node_; }
  const Attributes& attributes() const { return node_.attributes; }
  size_t input_count() const { return inputs_.size(); }
  size_t output_count() const { return outputs_.size(); }
  bool has(size_t i) const {
    return i < inputs_.size() && inputs_[i] != nullptr && !inputs_[i]->empty();
  }
  const Value& value(size_t i) const;   // kInvalidModel when absent
  const Tensor& input(size_t i) const;  // the same, and a tensor
  DType dtype(size_t i) const { return input(i).dtype(); }
  bool wants(size_t i) const { return i < outputs_.size() && node_.outputs[i].valid(); }

  // The output's tensor, uninitialised: allocated here, or a buffer that the runtime has placed.
  Tensor& output(size_t i, DType dtype, const Dims& dims);
  Tensor& output(size_t i, const Dims& dims) { return output(i, input(0).dtype(), dims); }
  void set_output(size_t i, Value value);

  std::vector<Value> run_body(size_t subgraph, std::vector<Value> formals) const;
  const RunControl* control = nullptr;
  void poll() const {
    if (control != nullptr) control->poll();
  }

  // For the caller of `eval`.
  std::vector<Value>& outputs() { return outputs_; }
  void place_output(size_t i, Tensor tensor) { outputs_[i] = std::move(tensor); }
  std::vector<std::vector<Value>> captures;  // per subgraph
  RunBody run_body_with;                     // empty: the reference interpreter

 private:
  const Node& node_;
  std::vector<const Value*> inputs_;
  std::vector<Value> outputs_;
};

// Runs one node through its row (`eval`, or the decomposition's nodes). Adds the node to an error's
// context.
std::vector<Value> evaluate_node(const Node& node, const std::vector<const Value*>& inputs,
                                 const std::vector<std::vector<Value>>& captures = {},
                                 const RunControl* control = nullptr);
// Copies the elements of one tensor to another of the same dtype and count (strings too).
void copy_elements(const Tensor& from, Tensor& to);
// The reference interpreter: runs a graph node by node. `inputs` follow graph.inputs(); results
// graph.outputs().
std::vector<Value> evaluate(const Graph& graph, const std::vector<Value>& inputs,
                            const RunControl* control = nullptr);

}  // namespace treadle
