// The door of the runtime: Model (immutable), Session (one run at a time), and
// what a run reports.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "backends/backend.h"
#include "graph/graph.h"
#include "optimizer/optimizer.h"

namespace treadle {

struct Plan;
class PlanCache;

// Usable processors: min(scheduling affinity, cgroup quota rounded up), at
// least 1.
int default_threads();

struct ModelOptions {
  std::string device = "cpu";
  bool fallback = true;  // false: a node that the device declines is
                         // kUnsupported naming node and reason
  bool optimize = true;
  bool winograd = true;  // see CompileContext
  OptimizeOptions passes;
  size_t plan_cache = 32;                      // plans kept (one a shape and thread count), least
                                               // recently used first out
  size_t plan_cache_bytes = size_t{64} << 20;  // of weights, packed for kept plans, that
                                               // the last used one does not need
  int64_t max_bytes = int64_t{1} << 40;        // of one arena; above it planning ends with kLimit
  // Of the arena of a graph with states, in bytes. Where it needs more, values are made again
  // instead of being kept, as far as that helps. 0: as far as it takes little time; below: never.
  int64_t memory_budget = 0;
};

// An optimized graph with its weights. Immutable and thread-safe; owned by its
// sessions too.
class Model {
 public:
  // Takes a verified graph (importer.h). kUnsupported, kDevice, kInvalidModel.
  static std::shared_ptr<const Model> create(Graph graph, const ModelOptions& options = {});
  ~Model();
  const Graph& graph() const { return graph_; }
  const ModelOptions& options() const { return options_; }
  const OptimizeReport& report() const { return report_; }
  const Backend& backend() const { return *backend_; }
  PackCache& packs() const { return packs_; }
  PlanCache& plans() const { return *plans_; }
  size_t input_count() const { return graph_.inputs().size(); }
  size_t output_count() const { return graph_.outputs().size(); }
  const ValueDef& input(size_t i) const { return graph_.value(graph_.inputs()[i]); }
  const std::string& output_name(size_t i) const { return graph_.outputs()[i].name; }
  const Type& output_type(size_t i) const { return graph_.value(graph_.outputs()[i].value).type; }
  // kInvalidArgument with the close match when there is none.
  size_t find_input(std::string_view name) const;
  size_t find_output(std::string_view name) const;

 private:
  Model();
  Graph graph_;
  ModelOptions options_;
  OptimizeReport report_;
  const Backend* backend_ = nullptr;
  mutable PackCache packs_;
  std::unique_ptr<PlanCache> plans_;
};

// Set from any thread; the run it was given to ends with kCancelled at the next
// step.
class CancelToken {
 public:
  void cancel() { cancelled_.store(true, std::memory_order_relaxed); }
  bool cancelled() const { return cancelled_.load(std::memory_order_relaxed); }

 private:
  std::atomic<bool> cancelled_{false};
};

// One step of a plan, for profile and inspect.
struct StepInfo {
  std::string node;                  // name in the optimized graph
  std::string op;                    // "Conv", "treadle.FusedConv", "reorder", "copy"
  std::vector<std::string> origins;  // nodes of the imported file
  std::string backend;               // "cpu", "reference", "runtime"
  std::string kernel;
  std::string reason;  // why the model's device declined it; "" when it did not
  std::string shapes;  // "[1, 64, 56, 56] [64, 64, 1, 1] -> [1, 64, 56, 56]"
  int64_t multiply_adds = 0;
  int64_t bytes = 0;   // read and written, each tensor once
  int64_t calls = 0;   // profile only
  double seconds = 0;  // profile only: sum over the calls
};
struct MemoryInfo {
  size_t arena_bytes = 0;
  size_t constant_bytes = 0;  // unpacked weights that lie in memory
  size_t packed_bytes = 0;
};

// What a plan will do. Steps that only the run can plan follow the others, with
// the shapes that are known and a reason that says so; `memory` is without them.
struct PlanInfo {
  std::vector<StepInfo> steps;
  MemoryInfo memory;
};

struct NamedValue {
  std::string name;
  Value value;
};

struct RunOptions {
  std::vector<std::string> outputs;  // empty: all. Only what they need is computed
  double timeout_seconds = 0;        // 0: none; else kTimeout
  const CancelToken* cancel = nullptr;
};

struct SessionOptions {
  int threads = 0;  // 0: default_threads()
};

// Runs a model. One call at a time: any other, concurrent call gets kBusy.
// Cheap; many a model.
class Session {
 public:
  explicit Session(std::shared_ptr<const Model> model, const SessionOptions& options = {});
  ~Session();
  const Model& model() const { return *model_; }
  int threads() const { return threads_; }

  // `inputs` in any order. The results follow options.outputs (or the model's
  // outputs) and own their bytes. kInvalidArgument: a missing, unknown or
  // misshapen input; run-time errors name the node.
  std::vector<Value> run(std::span<const NamedValue> inputs, const RunOptions& options = {});
  // The same by position: inputs[i] is model input i (empty: its default, where
  // it has one); outputs[i] that is a
  // defined tensor is filled in place and must have the output's dtype and
  // dims; the other ones are set. Allocates nothing in a repeated run of a
  // static graph when all outputs are given. The tensor given for a state
  // (Graph::states) is overwritten with its new value, once the run has read
  // the old one for the last time; its output stays empty. A run that fails
  // may leave some states new and some old.
  void run_into(std::span<const Value> inputs, std::span<Value> outputs,
                const RunOptions& options = {});
  // The same with values that lie apart.
  void run_into(std::span<const Value* const> inputs, std::span<Value* const> outputs,
                const RunOptions& options = {});

  // The plan for the given input types (declared shapes where static), without
  // a run. kInvalidArgument when a shape is needed and missing.
  PlanInfo describe_plan(std::span<const Type> input_types);
  MemoryInfo memory() const;  // of what has been planned so far
  // Starts or stops measuring each step of the runs; starting forgets earlier
  // times.
  void profile(bool on);
  // What was measured since: one block of steps for each plan that ran.
  // kInvalidArgument while profiling is off.
  std::vector<StepInfo> profile() const;
  // Gives back arenas, and the model's cached plans with what they hold packed, which all its
  // sessions share.
  void trim();

 private:
  class Impl;
  std::shared_ptr<const Model> model_;
  int threads_;
  std::unique_ptr<Impl> impl_;
};

// The nodes of a graph and of its bodies, each once, with the shapes and
// multiply-adds that follow from the input types. No kernel is chosen.
std::vector<StepInfo> describe_nodes(const Graph& graph, std::span<const Type> input_types);

// Multiply-adds of one node at concrete shapes (0 for operators that have
// none; at most INT64_MAX).
int64_t multiply_adds(const NodeSpec& spec);

}  // namespace treadle
