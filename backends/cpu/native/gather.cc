// Gather with indices known at run time, and Cast between the common types.
#include <cstring>

#include "backends/cpu/native/move.h"
#include "backends/cpu/parallel.h"
#include "backends/cpu/simd/halves.h"
#include "graph/ops/arithmetic.h"
#include "graph/ops/iterate.h"
#include "graph/ops/move.h"

namespace treadle::cpu {
namespace {

struct GatherShape {
  AxisSplit split;
  int64_t count = 0;  // of indices
  size_t block = 0;   // bytes of `inner` elements
  bool wide = true;   // int64 indices, else int32
};

class GatherKernel : public Kernel {
 public:
  GatherKernel(const GatherShape& shape, int threads) : s_(shape), threads_(threads) {}
  void run(const KernelArgs& args) const override {
    const auto* from = static_cast<const std::byte*>(args.inputs[0]);
    auto* to = static_cast<std::byte*>(args.outputs[0]);
    const auto cost = static_cast<int64_t>(s_.block / 4) + 4;
    parallel_for(threads_, s_.split.outer * s_.count, std::max<int64_t>(1, kParallelGrain / cost),
                 [&](int64_t begin, int64_t end) {
                   for (int64_t i = begin; i < end; ++i) {
                     const int64_t index = index_at(args.inputs[1], i % s_.count);
                     const int64_t row = i / s_.count * s_.split.size + index;
                     std::memcpy(to + static_cast<size_t>(i) * s_.block,
                                 from + static_cast<size_t>(row) * s_.block, s_.block);
                   }
                 });
  }

 private:
  int64_t index_at(const void* indices, int64_t i) const {
    int64_t index = 0;
    if (s_.wide) {
      std::memcpy(&index, static_cast<const int64_t*>(indices) + i, sizeof index);
    } else {
      index = static_cast<const int32_t*>(indices)[i];
    }
    return checked_index(index, s_.split.size);
  }
  GatherShape s_;
  int threads_;
};

Support supports_gather(const NodeSpec& spec) {
  return dtype_bits(spec.inputs[0].dtype) >= 8 ? Support{}
                                               : Support::no("elements that are no whole bytes");
}

Compiled compile_gather(const NodeSpec& spec, const CompileContext& context) {
  GatherShape s;
  s.split = split_axis(spec.inputs[0].dims, spec.node->attributes.i("axis", 0));
  s.count = element_count(spec.inputs[1].dims);
  s.block = static_cast<size_t>(byte_size(spec.inputs[0].dtype, s.split.inner));
  s.wide = spec.inputs[1].dtype == DType::kInt64;
  Compiled compiled;
  compiled.name = "native gather";
  compiled.kernel = std::make_unique<GatherKernel>(s, context.threads);
  return compiled;
}

using CastTypes = Types<float, Float16, Bfloat16, int8_t, int32_t, int64_t, uint8_t, bool>;

template <class From, class To>
void cast_run(const HalfFunctions&, const From* from, To* to, size_t n) {
  for (size_t i = 0; i < n; ++i) to[i] = convert<To>(static_cast<Compute<From>>(from[i]));
}
void cast_run(const HalfFunctions& f, const Float16* from, float* to, size_t n) {
  f.widen_float16(from, to, n);
}
void cast_run(const HalfFunctions& f, const Bfloat16* from, float* to, size_t n) {
  f.widen_bfloat16(from, to, n);
}
void cast_run(const HalfFunctions& f, const float* from, Float16* to, size_t n) {
  f.narrow_float16(from, to, n);
}
void cast_run(const HalfFunctions& f, const float* from, Bfloat16* to, size_t n) {
  f.narrow_bfloat16(from, to, n);
}

template <class From, class To>
class CastKernel : public Kernel {
 public:
  CastKernel(int64_t count, int threads) : count_(count), threads_(threads) {}
  void run(const KernelArgs& args) const override {
    const auto* from = static_cast<const From*>(args.inputs[0]);
    auto* to = static_cast<To*>(args.outputs[0]);
    parallel_for(threads_, count_, kParallelGrain, [&](int64_t begin, int64_t end) {
      cast_run(halves_, from + begin, to + begin, static_cast<size_t>(end - begin));
    });
  }

 private:
  int64_t count_;
  int threads_;
  const HalfFunctions& halves_ = half_functions();
};

bool castable(DType dtype) {
  return dtype == DType::kFloat || dtype == DType::kFloat16 || dtype == DType::kBfloat16 ||
         dtype == DType::kInt8 || dtype == DType::kInt32 || dtype == DType::kInt64 ||
         dtype == DType::kUint8 || dtype == DType::kBool;
}

Support supports_cast(const NodeSpec& spec) {
  return castable(spec.inputs[0].dtype) && castable(spec.outputs[0].dtype)
             ? Support{}
             : Support::no("a type that is rarely cast");
}

Compiled compile_cast(const NodeSpec& spec, const CompileContext& context) {
  Compiled compiled;
  compiled.name = cat("native cast to ", dtype_name(spec.outputs[0].dtype));
  const int64_t count = element_count(spec.outputs[0].dims);
  dispatch(spec.inputs[0].dtype, CastTypes{}, [&]<class From>() {
    dispatch(spec.outputs[0].dtype, CastTypes{}, [&]<class To>() {
      compiled.kernel = std::make_unique<CastKernel<From, To>>(count, context.threads);
    });
  });
  return compiled;
}

}  // namespace

const Family kNativeGather{"native gather", supports_gather, compile_gather};
const Family kNativeCast{"native cast", supports_cast, compile_cast};

}  // namespace treadle::cpu
