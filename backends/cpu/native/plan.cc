#include "backends/cpu/native/plan.h"

#include <algorithm>
#include <cstring>

#include "backends/cpu/native/view.h"
#include "graph/ops/iterate.h"

namespace treadle::cpu {
namespace {

constexpr auto kLongRow = static_cast<int64_t>(kTile) / 4;

// What the layout of the results means for each source: its own layout, or none where the sources
// do not allow it.
bool fits(const TensorSpec& source, bool constant, const TensorSpec& out) {
  const bool full_rank = source.dims.size() == out.dims.size();
  if (full_rank) return true;  // the planner reorders it
  const Dims strides = broadcast_strides(source.dims, out.dims);
  return strides[1] == 0 || constant || out.dims[1] % channel_block(out.layout) == 0;
}

// A constant of one value a channel, its last block filled up with zeros, as [C] to be read over
// blocked results.
Tensor padded_channels(const Tensor& constant, int64_t channels, int64_t block) {
  const Dims dims{ceil_div(channels, block) * block};
  Tensor padded = Tensor::zeros(constant.dtype(), dims);
  std::memcpy(padded.raw(), constant.resident().raw(), constant.bytes());
  return padded;
}

bool one_per_channel(const Dims& dims, const Dims& out) {
  const Dims strides = broadcast_strides(dims, out);
  for (size_t i = 0; i < out.size(); ++i) {
    if (i != 1 && strides[i] != 0) return false;
  }
  return strides[1] == 1;
}

struct Reading {
  TensorSpec spec;
  Dims strides;
};

// Adjusts a constant source to a blocked result; false where that is not provided for.
bool read_source(TapeSource& source, const TensorSpec& out, Reading& reading) {
  const int64_t block = channel_block(out.layout);
  const bool padded = out.layout != kPlain && out.dims[1] % block != 0;
  if (source.constant.defined() && padded) {
    const Dims dims = source.constant.dims();
    if (broadcast_strides(dims, out.dims)[1] != 0) {
      if (!one_per_channel(dims, out.dims)) return false;
      reading.strides = physical_strides(reading.spec, out);
      source.constant = padded_channels(source.constant, out.dims[1], block);
      return true;
    }
  }
  reading.strides = physical_strides(reading.spec, out);
  return true;
}

void split_rows(TapePlan& plan, const Dims& dims, const std::vector<Dims>& strides) {
  size_t inner = dims.size() - 1;
  plan.minor = dims[inner];
  plan.row = plan.minor;
  if (plan.row < kLongRow && inner > 0) plan.row *= dims[--inner];
  plan.outer.assign(dims.begin(), dims.begin() + static_cast<ptrdiff_t>(inner));
  plan.rows = plan.row == 0 ? 0 : element_count(plan.outer);
  plan.minor = std::max<int64_t>(plan.minor, 1);
  plan.tiles = std::max<int64_t>(ceil_div(plan.row, static_cast<int64_t>(kTile)), 1);
  plan.tile = std::max<int64_t>(ceil_div(plan.row, plan.tiles), 1);
  if (plan.tiles > 1) {
    const bool short_minor = plan.minor < plan.row && plan.minor <= static_cast<int64_t>(kTile);
    const int64_t unit = short_minor ? plan.minor : 16;
    plan.tile = std::min(ceil_div(plan.tile, unit), static_cast<int64_t>(kTile) / unit) * unit;
    plan.tiles = ceil_div(plan.row, plan.tile);
  }
  for (size_t s = 0; s < plan.sources.size(); ++s) {
    PlannedSource& source = plan.sources[s];
    source.minor_stride = strides[s].back();
    source.major_stride = plan.minor < plan.row ? strides[s][inner] : 0;
    source.outer_strides.assign(strides[s].begin(),
                                strides[s].begin() + static_cast<ptrdiff_t>(inner));
    const bool dense =
        source.minor_stride == 1 && (plan.minor == plan.row || source.major_stride == plan.minor);
    source.access = dense ? Access::kDirect : Access::kGathered;
  }
}

}  // namespace

Layout choose_layout(const NodeSpec& spec, const Tape& tape) {
  TensorSpec out = spec.outputs[0];
  out.layout = kPlain;
  if (out.dims.size() < 3 || out.dims.size() > 5) return kPlain;
  for (const TapeSource& s : tape.sources) {
    if (s.constant.defined() || spec.inputs[s.input].dims != out.dims) continue;
    out.layout = std::max(out.layout, spec.inputs[s.input].layout);
  }
  if (out.layout == kPlain) return kPlain;
  for (const TapeSource& s : tape.sources) {
    const TensorSpec source = s.constant.defined() ? TensorSpec{s.dtype, s.constant.dims(), kPlain}
                                                   : spec.inputs[s.input];
    if (!fits(source, s.constant.defined(), out)) return kPlain;
  }
  return out.layout;
}

Layout source_layout(const TensorSpec& source, const TensorSpec& out) {
  if (out.layout == kPlain || source.dims.size() != out.dims.size()) return kPlain;
  if (source.dims == out.dims || source.layout == out.layout) return out.layout;
  const bool padded = out.dims[1] % channel_block(out.layout) != 0;
  return padded && source.dims[1] != 1 ? out.layout : kPlain;
}

std::optional<TapePlan> make_plan(const NodeSpec& spec, Tape tape, Layout layout) {
  TensorSpec out = spec.outputs[0];
  out.layout = layout;
  TapePlan plan;
  plan.run = tape_function();
  plan.physical = physical_dims(out.dims, layout);
  if (layout != kPlain) plan.valid_lanes = out.dims[1] % channel_block(layout);
  std::vector<Dims> strides;
  for (TapeSource& s : tape.sources) {
    Reading reading;
    reading.spec = s.constant.defined() ? TensorSpec{s.dtype, s.constant.dims(), kPlain}
                                        : spec.inputs[s.input];
    reading.spec.layout = s.constant.defined() ? kPlain : source_layout(spec.inputs[s.input], out);
    if (!read_source(s, out, reading)) return std::nullopt;
    strides.push_back(std::move(reading.strides));
    plan.sources.push_back({.tape = s, .outer_strides = {}});
  }
  Dims dims = plan.physical;
  strides.push_back(strides_of(dims));
  merge_dims(dims, strides);
  strides.pop_back();
  split_rows(plan, dims, strides);
  plan.tape = std::move(tape);
  return plan;
}

std::vector<InPlace> in_place_pairs(const NodeSpec& spec, const TapePlan& plan) {
  std::vector<InPlace> pairs;
  const Tape& tape = plan.tape;
  // Within a tile one instruction runs after the other.
  auto written = [&](size_t result) {
    size_t at = 0;
    while (tape.code[at].out != tape.result(result)) ++at;
    return at;
  };
  auto last_read = [&](size_t source) {
    size_t last = 0;
    for (size_t i = 0; i < tape.code.size(); ++i) {
      const TapeInstr& t = tape.code[i];
      if (t.a == source || t.b == source || t.c == source) last = i;
    }
    return last;
  };
  for (size_t s = 0; s < plan.sources.size(); ++s) {
    const TapeSource& source = plan.sources[s].tape;
    if (source.constant.defined() || spec.inputs[source.input].dims != spec.outputs[0].dims)
      continue;
    for (size_t r = 0; r < tape.results.size(); ++r) {
      if (source.dtype == tape.results[r] && last_read(s) <= written(r))
        pairs.push_back({source.input, r});
    }
  }
  return pairs;
}

}  // namespace treadle::cpu
