// THE ordered list of passes, and the loop that runs it.
#include <algorithm>
#include <chrono>

#include "graph/base/suggestion.h"
#include "optimizer/body_types.h"
#include "optimizer/passes.h"

namespace treadle {
namespace {

constexpr int kMaxDepth = 32;  // of subgraphs

struct Entry {
  const char* name;
  void (*run)(Pass&);
};

constexpr Entry kPasses[] = {
    {"widen_halves", widen_halves},            // before parts of composites round by themselves
    {"expand_composites", expand_composites},  // operators without a kernel of their own
    {"expand_batchnorm", expand_batchnorm},    // that trains, or is not of constants
    {"number_labels", number_labels},          // of trees, whose names follow
    {"expand_einsum", expand_einsum},          // before what it moves of constants is folded
    // Simplify: what is known before the run, and what does nothing.
    {"fold_constants", fold_constants},    // nodes of constants, and shapes that are known
    {"inline_branches", inline_branches},  // If with a constant condition
    {"eliminate", eliminate},              // nodes that pass their input on
    {"slice_sources", slice_sources},      // Gather of one index from views of something
    {"merge_views", merge_views},          // chains of Reshape, Squeeze, Transpose…
    {"merge_equal", merge_equal},          // equal nodes of equal inputs
    // Fold into weights; find what exporters took apart.
    {"recompose", recompose},            // Gelu, Swish, HardSwish, LayerNormalization
    {"fold_batchnorm", fold_batchnorm},  // and other per-channel arithmetic
    {"fold_pad", fold_pad},              // into Conv and pools
    // Quantized models: integers stay integers.
    {"expand_qlinear", expand_qlinear},      // to the other style of these models
    {"fuse_quantized", fuse_quantized},      // what stands between DequantizeLinear and its inverse
    {"fold_dequantized", fold_dequantized},  // weights of what is computed in floats after all
    // Fuse: fewer nodes, fewer tensors between them.
    {"fuse_update", fuse_update},            // steps of training by a product
    {"fuse_attention", fuse_attention},      // before MatMuls are taken
    {"fuse_heads", fuse_heads},              // Attention without transposes around it
    {"fuse_epilogue", fuse_epilogue},        // products with bias, residual, activation
    {"fuse_depthwise", fuse_depthwise},      // with what expands it
    {"recompute", recompute},                // in training: what is cheap to make again
    {"fuse_elementwise", fuse_elementwise},  // what elementwise nodes are left
    {"dead_code", dead_code},                // what no output needs
};

double milliseconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start)
      .count();
}

class Pipeline {
 public:
  Pipeline(const OptimizeOptions& options, OptimizeReport& report)
      : options_(options), report_(report), budget_(options.stop_after) {
    for (const Entry& entry : kPasses) report_.passes.push_back({entry.name, 0, 0, {}});
  }

  void run(Graph& graph, int depth) {
    for (size_t i = 0; i < std::size(kPasses); ++i) {
      if (options_.skip.count(kPasses[i].name) != 0 || budget_ == 0) continue;
      const auto start = std::chrono::steady_clock::now();
      Pass pass(graph, options_, report_.passes[i], budget_);
      try {
        kPasses[i].run(pass);
        if (options_.verify) verify(graph);
      } catch (Error& e) {
        e.add_context(cat("pass '", kPasses[i].name, "'"));
        throw;
      }
      report_.passes[i].milliseconds += milliseconds_since(start);
    }
    if (depth < kMaxDepth) run_bodies(graph, depth);
  }

 private:
  void run_bodies(Graph& graph, int depth) {
    for (NodeId id : graph.topological_order()) {
      const Node& node = graph.node(id);
      if (node.subgraphs.empty() || node.op->domain == "treadle") continue;
      for (const Subgraph& s : node.subgraphs) {
        set_body_types(graph, node, s);
        if (can_run(*s.graph)) run(*s.graph, depth + 1);
      }
    }
  }

  // A branch that its condition never takes may not fit the shapes at hand; it is left as it is.
  static bool can_run(const Graph& body) {
    try {
      infer(body);
      return true;
    } catch (const Error&) {
      return false;
    }
  }

  const OptimizeOptions& options_;
  OptimizeReport& report_;
  int64_t budget_;
};

size_t count_nodes(const Graph& graph) {
  size_t count = graph.node_count();
  for (NodeId id : graph.topological_order()) {
    for (const Subgraph& s : graph.node(id).subgraphs) count += count_nodes(*s.graph);
  }
  return count;
}

}  // namespace

std::vector<std::string> pass_names() {
  std::vector<std::string> names;
  for (const Entry& entry : kPasses) names.emplace_back(entry.name);
  return names;
}

OptimizeReport optimize(Graph& graph, const OptimizeOptions& options) {
  const std::vector<std::string> names = pass_names();
  for (const std::string& name : options.skip) {
    if (std::find(names.begin(), names.end(), name) != names.end()) continue;
    fail(Code::kInvalidArgument, "there is no pass '", name, "' to skip", suggestion(name, names));
  }
  OptimizeReport report;
  report.nodes_before = count_nodes(graph);
  Pipeline(options, report).run(graph, 0);
  report.nodes_after = count_nodes(graph);
  return report;
}

}  // namespace treadle
