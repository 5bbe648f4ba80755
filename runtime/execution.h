// One session's execution state: arenas by nesting depth, and plans bound to
// them.
#pragma once

#include <chrono>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "runtime/plan.h"

namespace treadle {

// A plan's steps with every pointer resolved, but the caller's inputs and
// outputs.
struct Bound {
  std::shared_ptr<const Plan> plan;
  size_t depth = 0;
  const std::byte* arena = nullptr;  // of the binding; a grown arena makes it stale
  std::vector<void*> pointers;       // each step's inputs, then its outputs, then its scratch
  struct Patch {
    uint32_t at;     // into pointers
    uint32_t index;  // of the input or output
    size_t offset;
  };
  std::vector<Patch> input_patches;
  std::vector<Patch> output_patches;
  std::vector<Known> types;  // the request, to find it again
};

// What the runs of a session took, by plan: each plan's infos, one block after another.
class Profile {
 public:
  const std::vector<StepInfo>& steps() const { return steps_; }
  // Index of the plan's first row.
  size_t block_of(const std::shared_ptr<const Plan>& plan);
  // Adds one call that took `seconds`; returns the sum of all seconds so far.
  void add(size_t row, double seconds);
  double total() const { return total_; }

 private:
  std::map<std::weak_ptr<const Plan>, size_t, std::owner_less<>> blocks_;
  std::vector<StepInfo> steps_;
  double total_ = 0;
};

using Clock = std::chrono::steady_clock;
inline double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

using Inputs = std::span<const Value* const>;
using Outputs = std::span<Value* const>;

// A tensor's first byte; null of other kinds.
void* bytes_of(const Value& value);
// The tensor that the caller gave for an output of this type, or null when it gave none.
// kInvalidArgument when it has another type.
Tensor* given_for(const std::string& name, DType dtype, const Dims& dims, Value& output);

class Execution {
 public:
  Execution(const Model& model, int threads) : model_(model), threads_(threads) {}
  // Runs a graph on the calling thread and its OpenMP team; *outputs[i] that is
  // a defined tensor is filled in place, the others are set. `control` may be
  // null. Errors name the node.
  void run(const std::shared_ptr<const Graph>& graph, Inputs inputs, Outputs outputs,
           const RunControl* control);
  std::optional<Profile> profile;  // there while runs are measured
  size_t arena_bytes() const;
  void clear();

 private:
  Bound& bind(const std::shared_ptr<const Graph>& graph, Inputs inputs);
  void resolve(Bound& bound);
  void run_steps(const Bound& bound, const RunControl* control);
  // late.cc: the nodes whose shapes follow from data, then what depends on them.
  void run_late(const Bound& bound, Inputs inputs, Outputs outputs, const RunControl* control);
  void run_dynamic(const std::shared_ptr<const Plan>& plan, std::vector<Value>& values,
                   const RunControl* control);
  void run_rest(const Plan& plan, std::vector<Value>& values, const RunControl* control);
  std::vector<Value> run_node(const Graph& graph, const Node& node, std::vector<Value>& values,
                              const RunControl* control);
  std::byte* arena(size_t depth, size_t bytes);
  std::byte* arena_for(const Plan& plan);  // at this depth; errors name the plan's largest node

  const Model& model_;
  int threads_;
  size_t depth_ = 0;
  size_t bodies_ = 0;  // running within each other
  std::vector<std::shared_ptr<Buffer>> arenas_;
  std::list<Bound> bounds_;  // most recently used first
};

}  // namespace treadle
