#include "backends/cpu/native/elementwise.h"

#include <algorithm>
#include <array>

#include "backends/cpu/native/plan.h"
#include "backends/cpu/parallel.h"
#include "backends/cpu/simd/lookup.h"

namespace treadle::cpu {
namespace {

// Where a range of the work stands: the row, and each source's offset at its beginning.
struct Cursor {
  std::array<int64_t, kMaxRank> index{};  // of the outer dimensions
  std::array<int64_t, kMaxRegisters> offset{};
};

Cursor cursor_at(const TapePlan& plan, int64_t row) {
  Cursor cursor;
  for (size_t d = plan.outer.size(); d-- > 0;) {
    cursor.index[d] = row % plan.outer[d];
    row /= plan.outer[d];
    for (size_t s = 0; s < plan.sources.size(); ++s) {
      cursor.offset[s] += cursor.index[d] * plan.sources[s].outer_strides[d];
    }
  }
  return cursor;
}

void next_row(const TapePlan& plan, Cursor& cursor) {
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

void widen(const float* from, int64_t n, float* to) { std::copy_n(from, n, to); }
void widen(const uint8_t* from, int64_t n, float* to) {
  byte_functions().widen_uint8(from, to, static_cast<size_t>(n));
}
void widen(const int8_t* from, int64_t n, float* to) {
  byte_functions().widen_int8(from, to, static_cast<size_t>(n));
}

template <class T>
void gather_run(const T* from, int64_t stride, int64_t n, float* to) {
  if (stride == 0) {
    std::fill_n(to, n, static_cast<float>(*from));
  } else if (stride == 1) {
    widen(from, n, to);
  } else {
    for (int64_t i = 0; i < n; ++i) to[i] = static_cast<float>(from[i * stride]);
  }
}

// Elements [pos, pos + n) of a row that begins at `from`.
template <class T>
void gather(const PlannedSource& s, int64_t minor, const T* from, int64_t pos, int64_t n,
            float* to) {
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
  Registers(const TapePlan& plan, const KernelArgs& args) : plan_(plan), args_(args) {
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
      const PlannedSource& s = plan_.sources[i];
      const bool floats = s.tape.dtype == DType::kFloat;
      if (floats && s.access == Access::kDirect) {
        // Sources are never written.
        at_[i] = const_cast<float*>(static_cast<const float*>(base_[i]) + cursor.offset[i] + pos);
        continue;
      }
      // A tile is a whole number of periods: without a major stride each tile of the row is the
      // same.
      const bool repeats = s.major_stride == 0 && (s.minor_stride == 0 || plan_.repeating());
      if (repeats && held_[i] == cursor.offset[i] && held_count_[i] >= n) continue;
      const auto read = [&](const auto* from) {
        gather(s, plan_.minor, from + cursor.offset[i], pos, n, at_[i]);
      };
      if (floats) {
        read(static_cast<const float*>(base_[i]));
      } else if (s.tape.dtype == DType::kInt8) {
        read(static_cast<const int8_t*>(base_[i]));
      } else {
        read(static_cast<const uint8_t*>(base_[i]));
      }
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
      if (tape.results[i] == DType::kFloat || args_.outputs[i] == nullptr) continue;
      auto* to = static_cast<uint8_t*>(args_.outputs[i]) + at;
      const float* from = at_[tape.result(i)];
      const auto count = static_cast<size_t>(n);
      switch (tape.results[i]) {
        case DType::kInt8:
          byte_functions().narrow_int8(from, reinterpret_cast<int8_t*>(to), count);
          break;
        case DType::kUint8: byte_functions().narrow_uint8(from, to, count); break;
        default:
          for (size_t k = 0; k < count; ++k) to[k] = from[k] != 0;
      }
    }
  }

 private:
  const TapePlan& plan_;
  const KernelArgs& args_;
  alignas(64) float storage_[kMaxRegisters][kTile];
  float* at_[kMaxRegisters];
  const void* base_[kMaxRegisters];
  int64_t held_[kMaxRegisters];
  int64_t held_count_[kMaxRegisters];
};

void run_tiles(const TapePlan& plan, const KernelArgs& args, int64_t begin, int64_t end) {
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
void clear_padding(const TapePlan& plan, T* data) {
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
  ElementwiseKernel(TapePlan plan, int threads) : plan_(std::move(plan)), threads_(threads) {
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
  TapePlan plan_;
  int threads_;
  int64_t grain_ = 1;
};

// Of one tensor of bytes, to bytes.
class LookupKernel : public Kernel {
 public:
  using Table = std::array<uint8_t, kTableBytes>;
  LookupKernel(const Table& table, size_t input, int64_t count, int threads)
      : table_(table), input_(input), count_(count), threads_(threads) {}

  void run(const KernelArgs& args) const override {
    constexpr int64_t kGrain = 16 * kParallelGrain;
    const auto* from = static_cast<const uint8_t*>(args.inputs[input_]);
    auto* to = static_cast<uint8_t*>(args.outputs[0]);
    parallel_for(threads_, count_, kGrain, [&](int64_t begin, int64_t end) {
      function_.run(table_.data(), from + begin, static_cast<size_t>(end - begin), to + begin);
    });
  }

 private:
  Table table_;
  size_t input_;
  int64_t count_;
  int threads_;
  LookupFunction function_ = lookup_function();
};

// What the tape makes of each byte.
LookupKernel::Table table_of(const NodeSpec& spec, const Tape& tape) {
  NodeSpec each = spec;
  const size_t input = tape.sources[0].input;
  each.inputs[input].dims = each.outputs[0].dims = {kTableBytes};
  each.inputs[input].layout = each.outputs[0].layout = kPlain;
  LookupKernel::Table bytes, table;
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<uint8_t>(i);
  std::vector<const void*> inputs(spec.inputs.size());
  inputs[input] = bytes.data();
  void* output = table.data();
  ElementwiseKernel(*make_plan(each, tape, kPlain), 1)
      .run({.inputs = inputs.data(), .outputs = &output, .scratch = nullptr, .control = nullptr});
  return table;
}

// Few steps in vectors are faster than looking up bytes one by one.
bool looks_up(const NodeSpec& spec, const Tape& tape, Layout layout) {
  constexpr size_t kFewSteps = 2;
  if (tape.sources.size() != 1 || tape.results.size() != 1) return false;
  const TapeSource& source = tape.sources[0];
  const TensorSpec& out = spec.outputs[0];
  return source.dtype != DType::kFloat && !source.constant.defined() &&
         tape.results[0] != DType::kFloat && spec.inputs[source.input].dims == out.dims &&
         (layout == kPlain || layout == kChannelsLast) &&
         (lookup_function().vectors || tape.code.size() > kFewSteps);
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
  std::optional<TapePlan> plan = make_plan(spec, *tape, layout);
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
  for (PlannedSource& s : plan->sources) {
    if (s.tape.constant.defined()) {
      s.tape.constant = held_plain(context, s.tape.constant);
      continue;
    }
    compiled.reads[s.tape.input] = true;
    compiled.input_layouts[s.tape.input] = source_layout(spec.inputs[s.tape.input], out);
  }
  compiled.output_layouts.assign(spec.outputs.size(), layout);
  compiled.in_place = in_place_pairs(spec, *plan);
  if (looks_up(spec, *tape, layout)) {
    compiled.name += ", looked up";
    compiled.kernel =
        std::make_unique<LookupKernel>(table_of(spec, *tape), tape->sources[0].input,
                                       element_count(spec.outputs[0].dims), context.threads);
  } else {
    compiled.kernel = std::make_unique<ElementwiseKernel>(std::move(*plan), context.threads);
  }
  return compiled;
}

}  // namespace

const Family kNativeElementwise{"native elementwise", supports_elementwise, compile_elementwise};

}  // namespace treadle::cpu
