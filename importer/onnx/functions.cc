#include "importer/onnx/functions.h"

#include <algorithm>
#include <unordered_map>

#include "graph/base/checked.h"

namespace treadle::onnx {
namespace {

// Of messages: what a node's attributes take in memory is bounded by a multiple of it.
constexpr int64_t kMaxBytes = int64_t{1} << 30;

// One function, or the model's graph, while it is counted.
struct Count {
  const pb::FunctionProto* function = nullptr;
  int64_t nodes = 0;  // so far, bodies included
  int64_t bytes = 0;  // of the nodes' messages, likewise
  std::vector<const pb::FunctionProto*> calls;
  size_t next = 0;  // of the calls
};

Count count_of(const NodeList& list, const pb::FunctionProto* function,
               const Functions& functions) {
  Count count;
  count.function = function;
  std::vector<const NodeList*> todo = {&list};
  while (!todo.empty()) {
    const NodeList& nodes = *todo.back();
    todo.pop_back();
    count.nodes += nodes.size();
    for (const auto& node : nodes) {
      if (function != nullptr && &nodes == &list)
        count.bytes += static_cast<int64_t>(node.ByteSizeLong());
      if (const auto* called = called_function(node, functions)) {
        count.calls.push_back(called);
        continue;
      }
      for (const auto& a : node.attribute()) {
        if (a.has_g()) todo.push_back(&a.g().node());
      }
    }
  }
  return count;
}

void check_count(const Count& count, const LoadLimits& limits) {
  const std::string what =
      count.function != nullptr ? cat("function '", count.function->name(), "'") : "the model";
  TREADLE_CHECK(count.nodes <= limits.max_nodes, kLimit, what,
                " has more than max_nodes = ", limits.max_nodes,
                " nodes when the functions that it calls are inlined");
  TREADLE_CHECK(count.bytes <= kMaxBytes, kLimit, what, " has more than ", kMaxBytes,
                " bytes of nodes when the functions that it calls are inlined");
}

void check_call(const pb::FunctionProto& called, const std::vector<Count>& callers,
                const LoadLimits& limits) {
  const bool recursive =
      std::ranges::any_of(callers, [&](const Count& c) { return c.function == &called; });
  TREADLE_CHECK(!recursive, kInvalidModel, "function '", called.name(), "' calls itself",
                callers.back().function == &called
                    ? std::string()
                    : cat(" through '", callers.back().function->name(), "'"));
  TREADLE_CHECK(
      static_cast<int64_t>(callers.size()) <= std::min<int64_t>(limits.max_depth, kDeepest), kLimit,
      "function '", called.name(), "' is called deeper than max_depth = ", limits.max_depth);
}

}  // namespace

void check_expansion(const pb::GraphProto& graph, const Functions& functions,
                     const LoadLimits& limits) {
  if (functions.empty()) return;
  std::unordered_map<const pb::FunctionProto*, Count> known;
  std::vector<Count> stack;
  stack.push_back(count_of(graph.node(), nullptr, functions));
  while (!stack.empty()) {
    Count& top = stack.back();
    check_count(top, limits);
    if (top.next == top.calls.size()) {
      known.emplace(top.function, std::move(top));
      stack.pop_back();
      continue;
    }
    const pb::FunctionProto& called = *top.calls[top.next];
    if (const auto it = known.find(&called); it != known.end()) {
      top.nodes = checked_add(top.nodes, it->second.nodes);
      top.bytes = checked_add(top.bytes, it->second.bytes);
      ++top.next;
    } else {
      check_call(called, stack, limits);
      stack.push_back(count_of(called.node(), &called, functions));
    }
  }
}

ValueId input_value(const std::string& name, Scope& scope) {
  if (name.empty()) return {};
  const std::optional<ValueId> id = scope.find(name);
  TREADLE_CHECK(id, kInvalidModel, "input '", name,
                "' is missing: no node, initializer or graph input has this name");
  return *id;
}

Frame call_frame(const pb::FunctionProto& function, const pb::NodeProto& call, const Frame& caller,
                 const std::string& name) {
  TREADLE_CHECK(
      call.input_size() <= function.input_size() && call.output_size() <= function.output_size(),
      kInvalidModel, "calls function '", function.name(), "' with ", call.input_size(),
      " inputs and ", call.output_size(), " outputs, at most ", function.input_size(), " and ",
      function.output_size(), " expected");
  Frame frame;
  frame.nodes = &function.node();
  frame.order = reading_order(function.node());
  frame.own_scope = std::make_unique<Scope>(Scope{caller.scope->build, nullptr, {}});
  frame.scope = frame.own_scope.get();
  for (int i = 0; i < function.input_size(); ++i) {
    const ValueId v = i < call.input_size() ? input_value(call.input(i), *caller.scope) : ValueId{};
    frame.scope->define(function.input(i), v);
  }
  for (const auto& a : function.attribute_proto()) frame.attributes[a.name()] = &a;
  for (const auto& a : call.attribute()) {
    if (const auto* value = caller.resolve(a)) frame.attributes[a.name()] = value;
  }
  frame.opsets = std::make_shared<const Opsets>(opsets_of(function, *caller.opsets));
  frame.prefix = name + "/";
  frame.origin = caller.origin.empty() ? name : caller.origin;
  frame.function = &function;
  frame.call = &call;
  return frame;
}

}  // namespace treadle::onnx
