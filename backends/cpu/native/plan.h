// How an elementwise tape walks over its operands: their layouts, strides and tiles.
#pragma once

#include "backends/cpu/native/lower.h"

namespace treadle::cpu {

// How a source is read along a row: where it lies, or gathered into a register.
enum class Access : uint8_t { kDirect, kGathered };

// The index space is seen as rows of `major` x `minor` elements. Results are dense: row r begins at
// r * row.
struct PlannedSource {
  TapeSource tape;
  Access access = Access::kDirect;
  int64_t major_stride = 0;
  int64_t minor_stride = 0;
  Dims outer_strides;
};

struct TapePlan {
  Tape tape;
  TapeFn run = nullptr;
  std::vector<PlannedSource> sources;
  Dims outer;  // dimensions of the rows' index
  int64_t rows = 1;
  int64_t row = 1;
  int64_t minor = 1;
  int64_t tile = 1;
  int64_t tiles = 1;  // a row
  // In a blocked result whose last block is padded: its channels there, and the result's physical
  // dimensions.
  int64_t valid_lanes = 0;
  Dims physical;

  bool repeating() const { return tile % minor == 0; }
};

// The layout of the results that suits those of the inputs.
Layout choose_layout(const NodeSpec& spec, const Tape& tape);
// The layout in which a source of the node is read beside results in `out`'s.
Layout source_layout(const TensorSpec& source, const TensorSpec& out);
// Nothing where a constant cannot be read beside results in `layout`; never for kPlain.
std::optional<TapePlan> make_plan(const NodeSpec& spec, Tape tape, Layout layout);
std::vector<InPlace> in_place_pairs(const NodeSpec& spec, const TapePlan& plan);

}  // namespace treadle::cpu
