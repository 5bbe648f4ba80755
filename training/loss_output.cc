#include "training/loss_output.h"

#include <algorithm>

#include "graph/base/suggestion.h"
#include "graph/ops/op.h"
#include "training/capture_constants.h"
#include "training/loss_expression.h"

namespace treadle {
namespace {

std::vector<std::string> output_names(const Graph& graph) {
  std::vector<std::string> names;
  for (const GraphOutput& o : graph.outputs()) names.push_back(o.name);
  return names;
}

std::string list_text(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += cat(text.empty() ? "'" : ", '", name, "'");
  return text;
}

// The model's output or other value of this name; invalid where there is none.
ValueId value_of(const Graph& graph, const std::string& name) {
  const auto it = std::ranges::find(graph.outputs(), name, &GraphOutput::name);
  return it != graph.outputs().end() ? it->value : graph.find_value(name);
}

// The values that the loss's inputs stand for. What the model has not, a batch must hold.
std::vector<ValueId> loss_inputs(Graph& graph, const JointOptions& options, std::string& target) {
  const Graph& loss = *options.loss.graph;
  std::vector<ValueId> values;
  std::vector<std::string> added, names;
  for (ValueId v : loss.inputs()) {
    const ValueDef& def = loss.value(v);
    names.push_back(def.name);
    values.push_back(value_of(graph, def.name));
    if (!values.back().valid()) {
      added.push_back(def.name);
      values.back() = graph.add_input(def.name, def.type);
      continue;
    }
    const Type& type = graph.value(values.back()).type;
    TREADLE_CHECK(type.kind == def.type.kind && type.dtype == def.type.dtype, kInvalidArgument,
                  "the loss '", options.loss.kind, "' takes '", def.name, "' as ", def.type.text(),
                  ", the model has ", type.text());
  }
  TREADLE_CHECK(added.size() < values.size(), kInvalidArgument, "the loss '", options.loss.kind,
                "' reads nothing of the model: it takes ", list_text(names),
                ", the model's outputs are ", list_text(output_names(graph)));
  const bool usual = std::ranges::find(added, options.target) != added.end();
  if (!added.empty()) target = usual ? options.target : added[0];
  return values;
}

// Of several elements, their mean or sum.
Expr as_scalar(const JointOptions& options, const Expr& loss) {
  LossOptions whole;
  whole.kind = "output";
  whole.reduction = options.loss.reduction;
  return add_loss(whole, loss, {});
}

std::string put_graph(Graph& graph, const JointOptions& options) {
  Graph loss = options.loss.graph->clone();
  TREADLE_CHECK(loss.outputs().size() == 1, kInvalidArgument, "the loss '", options.loss.kind,
                "' has ", loss.outputs().size(), " outputs, expected one");
  capture_constants(loss);
  std::string target;
  const std::vector<ValueId> inputs = loss_inputs(graph, options, target);
  const ValueId result = inline_graph(graph, loss, inputs, "loss/")[0];
  annotate(graph);
  Builder builder(graph, "loss/");
  graph.add_output(kLossOutput, as_scalar(options, {builder, result}).id());
  return target;
}

ValueId read_output(const Graph& graph, const JointOptions& options) {
  TREADLE_CHECK(!graph.outputs().empty(), kInvalidArgument, "the model has no output");
  if (options.output.empty()) return graph.outputs()[0].value;
  const std::vector<std::string> names = output_names(graph);
  const auto it = std::ranges::find(names, options.output);
  TREADLE_CHECK(it != names.end(), kInvalidArgument, "the model has no output '", options.output,
                "' for the loss", suggestion(options.output, names));
  return graph.outputs()[static_cast<size_t>(it - names.begin())].value;
}

}  // namespace

std::string put_loss(Graph& graph, const JointOptions& options) {
  const ValueId output = read_output(graph, options);
  if (options.loss.graph != nullptr) return put_graph(graph, options);
  Builder builder(graph, "loss/");
  if (is_loss_expression(options.loss.kind)) {
    const WrittenLoss written = add_written_loss({builder, output}, options);
    graph.add_output(kLossOutput, as_scalar(options, written.loss).id());
    return written.target;
  }
  const std::optional<Type> type = loss_target(options.loss, graph.value(output).type);
  ValueId target;
  if (type) {
    TREADLE_CHECK(!graph.find_value(options.target).valid(), kInvalidArgument,
                  "the model has a value '", options.target,
                  "' already: name the target otherwise");
    target = graph.add_input(options.target, *type);
  }
  const Expr loss =
      add_loss(options.loss, {builder, output}, type ? Expr(builder, target) : Expr());
  graph.add_output(kLossOutput, loss.id());
  return type ? options.target : "";
}

}  // namespace treadle
