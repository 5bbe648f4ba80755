// Plan: a graph at concrete input shapes. Kernels bound, layouts chosen, every
// buffer at a fixed offset of one arena.
#pragma once

#include <list>
#include <memory>
#include <mutex>
#include <vector>

#include "backends/backend.h"
#include "runtime/runtime.h"

namespace treadle {

// Where a tensor lies in the run.
struct Place {
  enum class Kind : uint8_t { kNone, kArena, kInput, kOutput, kConstant };
  Kind kind = Kind::kNone;
  uint32_t index = 0;  // of the input, output or constant
  size_t offset = 0;   // bytes
};

struct Step {
  const Kernel* kernel = nullptr;
  std::vector<Place> inputs;
  std::vector<Place> outputs;
  Place scratch;
  NodeId node;        // invalid for reorders and copies
  uint32_t info = 0;  // index into Plan::infos
};

// A value that leaves the steps: for dynamic nodes, the rest or an output.
struct Exported {
  ValueId value;
  TensorSpec spec;
  Place place;
};

// Immutable; shared by sessions.
struct Plan {
  std::shared_ptr<const Graph> graph;
  std::vector<std::shared_ptr<const Kernel>> kernels;  // of the steps, which may share one
  std::vector<Step> steps;
  std::vector<StepInfo> infos;    // of the steps, then of `dynamic`
  std::vector<Tensor> constants;  // undefined where no step reads them any more
  // What of the model's constants is in memory for the kernels and steps: packed, or read for them.
  std::vector<std::shared_ptr<Buffer>> held;
  size_t arena_bytes = 0;
  NodeId largest;  // of the step that reads and writes most bytes; invalid without steps

  struct Output {
    TensorSpec spec;  // present when a step writes it
    bool is_static = false;
    int32_t state = -1;  // the input that it replaces
    // Steps write it into that input. Otherwise it is copied there when everything has run.
    bool in_input = false;
  };
  std::vector<Output> outputs;  // of the graph

  // The part whose shapes follow from data: empty for a wholly static graph.
  std::vector<NodeId> dynamic;        // run one by one, in this order
  std::vector<Exported> exported;     // static values that `dynamic` and `rest` read
  std::shared_ptr<const Graph> rest;  // what follows; null when nothing does
  std::vector<ValueId> rest_inputs;   // values of `graph`, parallel to rest->inputs()
  std::vector<std::pair<uint32_t, uint32_t>> rest_outputs;  // output of `rest` → output of `graph`
};

struct PlanRequest {
  const Model* model = nullptr;
  std::shared_ptr<const Graph> graph;
  std::vector<Known> inputs;  // concrete types, parallel to graph->inputs();
                              // non-tensors as they are
  int threads = 1;
};

// Errors name the node: kUnsupported, kInvalidModel (shapes that do not fit),
// kLimit.
std::shared_ptr<const Plan> make_plan(const PlanRequest& request);

// Plans of one model by graph, input types and thread count. Thread-safe;
// bounded, least recently used out first. `bytes` bounds what plans hold beside what the last used
// one of each graph (the model's, and those of bodies) holds.
class PlanCache {
 public:
  PlanCache(size_t capacity, size_t bytes) : capacity_(capacity), bytes_(bytes) {}
  // The plan, made when there is none yet.
  std::shared_ptr<const Plan> get(const PlanRequest& request);
  void clear();

 private:
  struct Entry {
    const Graph* graph;
    int threads;
    std::vector<Type> types;
    std::shared_ptr<const Plan> plan;
  };
  std::shared_ptr<const Plan> find(const PlanRequest& request);
  void evict();
  std::mutex mutex_;
  std::list<Entry> entries_;  // most recently used first
  size_t capacity_;
  size_t bytes_;
};

// ---- memory.cc: from buffers and their lifetimes to offsets

struct Lifetime {
  size_t bytes = 0;
  size_t first = 0;   // step that writes it first
  size_t last = 0;    // step that reads it last
  size_t offset = 0;  // result
};
// Sets every offset (multiples of 64) so that buffers alive at the same step do
// not overlap; the arena's size.
size_t place_buffers(std::vector<Lifetime>& buffers);

}  // namespace treadle
