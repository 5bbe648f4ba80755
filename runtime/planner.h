// The planner's working state: steps as drafts over slots. plan.cc chooses
// kernels, placement.cc buffers.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "runtime/partition.h"
#include "runtime/plan.h"
#include "runtime/slots.h"

namespace treadle {

struct Draft {
  std::shared_ptr<const Kernel> kernel;  // null: only a moment
  size_t scratch_bytes = 0;
  std::vector<InPlace> in_place;
  std::vector<SlotId> inputs;  // kNoSlot where absent or not read
  std::vector<SlotId> outputs;
  StepInfo info;
  NodeId node;

  void take(Compiled compiled) {
    kernel = std::move(compiled.kernel);
    scratch_bytes = compiled.scratch_bytes;
    in_place = std::move(compiled.in_place);
    info.kernel = std::move(compiled.name);
  }
};

// A Concat whose inputs can be written where they belong: no kernel, but copies
// for those that cannot.
struct Gathering {
  std::vector<SlotId> parts;
  std::vector<size_t> offsets;
  SlotId whole;
  size_t draft;  // an empty draft that marks the moment
};

// A part's bytes into the whole, right before a draft.
struct Copy {
  size_t draft;
  SlotId part, whole;
  size_t offset;
};

struct Drafts {
  Slots slots;
  std::vector<Draft> drafts;
  std::vector<Gathering> gatherings;
  std::vector<Copy> copies;     // in the order of their drafts, once the gatherings are resolved
  std::vector<SlotId> outputs;  // of the graph: a plain slot each, kNoSlot when late
  // States that steps may write in place: the output's plain slot, the input's slot.
  std::vector<std::pair<SlotId, SlotId>> states;
  std::vector<SlotId> exported;  // plain slots that live to the end
  std::vector<Tensor> constants;
};

// placement.cc: decides which slots share buffers, places the buffers and
// writes plan.steps, infos, outputs' places.
void place_drafts(Drafts& drafts, Plan& plan, const ModelOptions& options);
// Where a slot lies once placed.
Place place_of(Drafts& drafts, SlotId slot);

// Copies `bytes` bytes from input 0 to output 0.
std::unique_ptr<Kernel> copy_kernel(size_t bytes);

}  // namespace treadle
