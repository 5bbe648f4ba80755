// What a family of CPU kernels gives to the backend; table.cc lists the families in order of
// preference.
#pragma once

#include "backends/backend.h"

namespace treadle::cpu {

// Candidates are tried in the table's order, those that pay before those that do not; the first
// that supports a node compiles it, unless it declines even then by kUnsupported.
struct Family {
  const char* name;  // "onednn conv"
  // Whether it can, not whether it is fast.
  Support (*supports)(const NodeSpec& spec);
  Compiled (*compile)(const NodeSpec& spec, const CompileContext& context);
  // Of a node it supports: whether it is faster than what follows in the table. Null: always.
  bool (*pays)(const NodeSpec& spec) = nullptr;
};

// A row of the table: which kinds a family is asked about.
struct Candidate {
  const char* kind;    // as the rows spell it
  const char* domain;  // as the rows spell it
  const Family* family;
};

// A part of `supports` that families share: f32 inputs and outputs, none of them empty.
Support supports_f32(const NodeSpec& spec);

// Layouts of the CPU backend. kBlocked16: channels (dimension 1) in blocks of 16 innermost,
// N(C/16)…16c, the last block padded with zeros; ranks 3 to 5. kChannelsLast: N…C.
inline constexpr Layout kBlocked16 = 1;
inline constexpr Layout kChannelsLast = 2;

}  // namespace treadle::cpu
