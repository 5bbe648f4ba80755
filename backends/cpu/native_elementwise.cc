#include "backends/cpu/native_elementwise.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "backends/cpu/layout.h"
#include "backends/cpu/native_lower.h"
#include "backends/cpu/native_view.h"
#include "backends/cpu/parallel.h"
#include "graph/ops/iterate.h"

namespace treadle::cpu {
namespace {

// How a source is read along a row: where it lies, or gathered into a register.
enum class Access : uint8_t { kDirect, kGathered };

// The index space is seen as rows of `major` x `minor` elements. Results are dense: row r begins at
// r * row.
struct Source {
  TapeSource tape;
  Access access = Access::kDirect;
  int64_t major_stride = 0;
  int64_t minor_stride = 0;
  Dims outer_strides;
};

struct Plan {
  Tape tape;
  TapeFn run = nullptr;
  std::vector<Source> sources;
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

constexpr auto kLongRow = static_cast<int64_t>(kTile) / 4;

// Where a range of the work stands: the row, and each source's offset at its beginning.
struct Cursor {
  Dims index;
  std::array<int64_t, kMaxRegisters> offset{};
};

Cursor cursor_at(const Plan& plan, int64_t row) {
  Cursor cursor;
  cursor.index.resize(plan.outer.size());
  for (size_t d = plan.outer.size(); d-- > 0;) {
    cursor.index[d] = row % plan.outer[d];
    row /= plan.outer[d];
    for (size_t s = 0; s < plan.sources.size(); ++s) {
      cursor.offset[s] += cursor.index[d] * plan.sources[s].outer_strides[d];
    }
  }
  return cursor;
}

void next_row(const Plan& plan, Cursor& cursor) {
  for (size_t d = plan.outer.size(); d-- > 0;) {
    const bool wraps = ++cursor.index[d] == plan.outer[d];
    const int64_t steps = wraps ? 1 - plan.outer[d] : 1;
    for (size_t s = 0; s < plan.sources.size(); ++s) {
      cursor.offset[s] += steps * plan.sources[s].outer_strides[d];
    }
    if (!wraps) return;
    cursor.index[d] = 0;
  }
}

template <class T>
void gather_run(const T* from, int64_t stride, int64_t n, float* to) {
  if (stride == 0) {
    std::fill_n(to, n, static_cast<float>(*from));
  } else if (stride == 1) {
    for (int64_t i = 0; i < n; ++i) to[i] = static_cast<float>(from[i]);
  } else {
    for (int64_t i = 0; i < n; ++i) to[i] = static_cast<float>(from[i * stride]);
  }
}

// Elements [pos, pos + n) of a row that begins at `from`.
template <class T>
void gather(const Source& s, int64_t minor, const T* from, int64_t pos, int64_t n, float* to) {
  int64_t major = pos / minor;
  int64_t at = pos % minor;
  while (n > 0) {
    const int64_t run = std::min(n, minor - at);
    gather_run(from + major * s.major_stride + at * s.minor_stride, s.minor_stride, run, to);
    to += run;
    n -= run;
    at = 0;
    ++major;
  }
}

// The registers of one range of tiles, and what the gathered ones hold.
class Registers {
 public:
  Registers(const Plan& plan, const KernelArgs& args) : plan_(plan), args_(args) {
    const Tape& tape = plan.tape;
    for (size_t i = 0; i < tape.registers; ++i) at_[i] = storage_[i];
    for (size_t i = 0; i < tape.splats.size(); ++i) {
      std::fill_n(storage_[tape.sources.size() + i], plan.tile, tape.splats[i]);
    }
    for (size_t i = 0; i < plan.sources.size(); ++i) {
      const TapeSource& source = plan.sources[i].tape;
      base_[i] = source.constant.defined() ? source.constant.raw() : args.inputs[source.input];
      held_[i] = -1;
    }
  }

  void load(const Cursor& cursor, int64_t pos, int64_t n) {
    for (size_t i = 0; i < plan_.sources.size(); ++i) {
      const Source& s = plan_.sources[i];
      if (s.tape.dtype == DType::kBool) {
        gather(s, plan_.minor, static_cast<const uint8_t*>(base_[i]) + cursor.offset[i], pos, n,
               at_[i]);
        continue;
      }
      const float* from = static_cast<const float*>(base_[i]) + cursor.offset[i];
      if (s.access == Access::kDirect) {
        at_[i] = const_cast<float*>(from + pos);  // sources are never written
        continue;
      }
      // A tile is a whole number of periods: without a major stride each tile of the row is the
      // same.
      const bool repeats = s.major_stride == 0 && (s.minor_stride == 0 || plan_.repeating());
      if (repeats && held_[i] == cursor.offset[i] && held_count_[i] >= n) continue;
      gather(s, plan_.minor, from, pos, n, at_[i]);
      held_[i] = cursor.offset[i];
      held_count_[i] = n;
    }
  }

  void run(int64_t at, int64_t n) {
    const Tape& tape = plan_.tape;
    for (size_t i = 0; i < tape.results.size(); ++i) {
      if (tape.results[i] == DType::kFloat && args_.outputs[i] != nullptr) {
        at_[tape.result(i)] = static_cast<float*>(args_.outputs[i]) + at;
      }
    }
    plan_.run(tape.code.data(), tape.code.size(), at_, static_cast<size_t>(n));
    for (size_t i = 0; i < tape.results.size(); ++i) {
      if (tape.results[i] != DType::kBool || args_.outputs[i] == nullptr) continue;
      auto* to = static_cast<uint8_t*>(args_.outputs[i]) + at;
      const float* from = at_[tape.result(i)];
      for (int64_t k = 0; k < n; ++k) to[k] = from[k] != 0;
    }
  }

 private:
  const Plan& plan_;
  const KernelArgs& args_;
  alignas(64) float storage_[kMaxRegisters][kTile];
  float* at_[kMaxRegisters];
  const void* base_[kMaxRegisters];
  int64_t held_[kMaxRegisters];
  int64_t held_count_[kMaxRegisters];
};

void run_tiles(const Plan& plan, const KernelArgs& args, int64_t begin, int64_t end) {
  Registers registers(plan, args);
  int64_t row = begin / plan.tiles;
  int64_t pos = begin % plan.tiles * plan.tile;
  Cursor cursor = cursor_at(plan, row);
  for (int64_t t = begin; t < end; ++t) {
    const int64_t n = std::min(plan.tile, plan.row - pos);
    registers.load(cursor, pos, n);
    registers.run(row * plan.row + pos, n);
    pos += n;
    if (pos == plan.row) {
      pos = 0;
      ++row;
      next_row(plan, cursor);
    }
  }
}

template <class T>
void clear_padding(const Plan& plan, T* data) {
  const int64_t lanes = plan.physical.back();
  const int64_t blocks = plan.physical[1];
  int64_t spatial = 1;
  for (size_t d = 2; d + 1 < plan.physical.size(); ++d) spatial *= plan.physical[d];
  for (int64_t n = 0; n < plan.physical[0]; ++n) {
    T* block = data + ((n * blocks) + blocks - 1) * spatial * lanes;
    for (int64_t i = 0; i < spatial; ++i) {
      std::fill(block + i * lanes + plan.valid_lanes, block + (i + 1) * lanes, T{});
    }
  }
}

class ElementwiseKernel : public Kernel {
 public:
  ElementwiseKernel(Plan plan, int threads) : plan_(std::move(plan)), threads_(threads) {
    const auto cost = static_cast<int64_t>(plan_.tape.code.size() + plan_.sources.size());
    grain_ = std::max<int64_t>(1, kParallelGrain / (plan_.tile * cost));
  }
  void run(const KernelArgs& args) const override {
    parallel_for(threads_, plan_.rows * plan_.tiles, grain_,
                 [&](int64_t begin, int64_t end) { run_tiles(plan_, args, begin, end); });
    if (plan_.valid_lanes == 0) return;
    for (size_t i = 0; i < plan_.tape.results.size(); ++i) {
      if (args.outputs[i] == nullptr) continue;
      if (plan_.tape.results[i] == DType::kFloat) {
        clear_padding(plan_, static_cast<float*>(args.outputs[i]));
      } else {
        clear_padding(plan_, static_cast<uint8_t*>(args.outputs[i]));
      }
    }
  }

 private:
  Plan plan_;
  int threads_;
  int64_t grain_ = 1;
};

// What the layout of the results means for each source: its own layout, or none where the sources
// do not allow it.
bool fits(const TensorSpec& source, bool constant, const TensorSpec& out) {
  const bool full_rank = source.dims.size() == out.dims.size();
  if (full_rank) return true;  // the planner reorders it
  const Dims strides = broadcast_strides(source.dims, out.dims);
  return strides[1] == 0 || constant || out.dims[1] % channel_block(out.layout) == 0;
}

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

// The layout in which a source of the node is read beside results in `out`'s.
Layout source_layout(const TensorSpec& source, const TensorSpec& out) {
  if (out.layout == kPlain || source.dims.size() != out.dims.size()) return kPlain;
  if (source.dims == out.dims || source.layout == out.layout) return out.layout;
  const bool padded = out.dims[1] % channel_block(out.layout) != 0;
  return padded && source.dims[1] != 1 ? out.layout : kPlain;
}

// A constant of one value a channel, its last block filled up with zeros, as [C] to be read over
// blocked results.
Tensor padded_channels(const Tensor& constant, int64_t channels, int64_t block) {
  const Dims dims{ceil_div(channels, block) * block};
  Tensor padded = Tensor::zeros(constant.dtype(), dims);
  std::memcpy(padded.raw(), constant.raw(), constant.bytes());
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

void split_rows(Plan& plan, const Dims& dims, const std::vector<Dims>& strides) {
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
    Source& source = plan.sources[s];
    source.minor_stride = strides[s].back();
    source.major_stride = plan.minor < plan.row ? strides[s][inner] : 0;
    source.outer_strides.assign(strides[s].begin(),
                                strides[s].begin() + static_cast<ptrdiff_t>(inner));
    const bool dense =
        source.minor_stride == 1 && (plan.minor == plan.row || source.major_stride == plan.minor);
    source.access = dense ? Access::kDirect : Access::kGathered;
  }
}

std::optional<Plan> make_plan(const NodeSpec& spec, Tape tape, Layout layout) {
  TensorSpec out = spec.outputs[0];
  out.layout = layout;
  Plan plan;
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

// Inputs whose buffer the first result may take: read for the last time no later than it is
// written.
std::vector<size_t> in_place_inputs(const NodeSpec& spec, const Plan& plan) {
  std::vector<size_t> inputs;
  const Tape& tape = plan.tape;
  size_t written = 0;
  while (tape.code[written].out != tape.result(0)) ++written;
  for (size_t s = 0; s < plan.sources.size(); ++s) {
    const TapeSource& source = plan.sources[s].tape;
    if (source.constant.defined() || source.dtype != tape.results[0]) continue;
    if (spec.inputs[source.input].dims != spec.outputs[0].dims) continue;
    bool read_later = false;
    for (size_t i = written + 1; i < tape.code.size(); ++i) {
      const TapeInstr& t = tape.code[i];
      read_later = read_later || t.a == s || t.b == s || t.c == s;
    }
    if (!read_later) inputs.push_back(source.input);
  }
  return inputs;
}

Support supports_elementwise(const NodeSpec& spec) {
  for (const TensorSpec& out : spec.outputs) {
    if (out.dims != spec.outputs[0].dims) return Support::no("outputs of different shapes");
  }
  for (const Subgraph& s : spec.node->subgraphs) {
    if (!s.captures.empty()) return Support::no("captured values");
  }
  std::string why;
  return lower(spec, &why) ? Support{} : Support::no(why);
}

std::string name_of(const NodeSpec& spec, const Tape& tape) {
  std::string name = "native ";
  for (char c : spec.node->op->kind) name += static_cast<char>(std::tolower(c));
  return spec.node->subgraphs.empty() ? name : cat(name, " ", tape.code.size(), " steps");
}

Compiled compile_elementwise(const NodeSpec& spec, const CompileContext& context) {
  std::string why;
  std::optional<Tape> tape = lower(spec, &why);
  TREADLE_CHECK(tape.has_value(), kInternal, why);
  Layout layout = choose_layout(spec, *tape);
  std::optional<Plan> plan = make_plan(spec, *tape, layout);
  if (!plan) {
    layout = kPlain;
    plan = make_plan(spec, *tape, layout);
  }
  TensorSpec out = spec.outputs[0];
  out.layout = layout;
  Compiled compiled;
  compiled.name = name_of(spec, *tape);
  compiled.reads.assign(spec.inputs.size(), false);
  compiled.input_layouts.assign(spec.inputs.size(), kPlain);
  for (const Source& s : plan->sources) {
    if (s.tape.constant.defined()) continue;
    compiled.reads[s.tape.input] = true;
    compiled.input_layouts[s.tape.input] = source_layout(spec.inputs[s.tape.input], out);
  }
  compiled.output_layouts.assign(spec.outputs.size(), layout);
  compiled.in_place = in_place_inputs(spec, *plan);
  compiled.kernel = std::make_unique<ElementwiseKernel>(std::move(*plan), context.threads);
  return compiled;
}

}  // namespace

const Family kNativeElementwise{"native elementwise", supports_elementwise, compile_elementwise};

}  // namespace treadle::cpu
