#include "backends/cpu/onednn/onednn.h"

#include <omp.h>
#include <oneapi/dnnl/dnnl_debug.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "backends/cpu/cpu.h"
#include "backends/cpu/parallel.h"
#include "backends/cpu/simd/amx.h"
#include "backends/cpu/simd/simd.h"
#include "graph/base/lasting.h"

namespace treadle::cpu {
namespace {

using dnnl::memory;

constexpr std::pair<std::string_view, dnnl_cpu_isa_t> kIsaNames[] = {
    {"scalar", dnnl_cpu_isa_sse41},
    {"sse41", dnnl_cpu_isa_sse41},
    {"avx", dnnl_cpu_isa_avx},
    {"avx2", dnnl_cpu_isa_avx2},
    {"avx2_vnni", dnnl_cpu_isa_avx2_vnni},
    {"avx512", dnnl_cpu_isa_avx512_core},
    {"avx512_vnni", dnnl_cpu_isa_avx512_core_vnni},
    {"avx512_core", dnnl_cpu_isa_avx512_core},
    {"avx512_core_vnni", dnnl_cpu_isa_avx512_core_vnni},
    {"avx512_core_bf16", dnnl_cpu_isa_avx512_core_bf16},
    {"avx512_core_fp16", dnnl_cpu_isa_avx512_core_fp16},
    {"avx512_amx", dnnl_cpu_isa_avx512_core_amx},
    {"avx512_core_amx", dnnl_cpu_isa_avx512_core_amx},
};
constexpr int kPrimitiveCache =
    64;  // plans hold what they need; this one only helps plans made in a row

dnnl_cpu_isa_t named_isa() {
  if (const char* name = std::getenv("TREADLE_ISA"); name != nullptr && *name != '\0') {
    for (const auto& [known, isa] : kIsaNames) {
      if (known == name) return isa;
    }
    fail(Code::kInvalidArgument, "TREADLE_ISA is ", name,
         ", expected one of scalar sse41 avx avx2 avx2_vnni avx512 avx512_vnni avx512_amx "
         "avx512_core … avx512_core_amx");
  }
  return dnnl_cpu_isa_default;
}

dnnl_cpu_isa_t wanted_isa() {
  const dnnl_cpu_isa_t named = named_isa();
  const bool may_be_amx = named == dnnl_cpu_isa_default || named == dnnl_cpu_isa_avx512_core_amx;
  return may_be_amx && amx_without_tiles() ? dnnl_cpu_isa_avx512_core_fp16 : named;
}

struct Process {
  Process() {
    const dnnl_cpu_isa_t isa = wanted_isa();
    // Refused when the application has used oneDNN before us: then it has chosen.
    if (isa != dnnl_cpu_isa_default) dnnl_set_max_cpu_isa(isa);
    dnnl_set_primitive_cache_capacity(kPrimitiveCache);
    engine = dnnl::engine(dnnl::engine::kind::cpu, 0);
    effective = dnnl_get_effective_cpu_isa();
  }
  dnnl::engine engine;
  dnnl_cpu_isa_t effective;
};

const Process& process() {
  static const Process p;
  return p;
}

DnnlTag layout_tag(Layout layout, size_t rank) {
  constexpr DnnlTag kBlocked[] = {DnnlTag::aBc16b, DnnlTag::aBcd16b, DnnlTag::aBcde16b};
  constexpr DnnlTag kLast[] = {DnnlTag::acb, DnnlTag::acdb, DnnlTag::acdeb};
  TREADLE_CHECK(rank >= 3 && rank <= 5, kInternal, "layout ", layout, " with rank ", rank);
  return layout == kBlocked16 ? kBlocked[rank - 3] : kLast[rank - 3];
}

void check(dnnl_status_t status, const char* what) {
  if (status != dnnl_success) [[unlikely]]
    rethrow_dnnl(what, dnnl::error(status, dnnl_status2str(status)));
}

}  // namespace

const dnnl::engine& engine() { return process().engine; }

memory::data_type dnnl_type(DType dtype) {
  using type = memory::data_type;
  switch (dtype) {
    case DType::kFloat: return type::f32;
    case DType::kFloat16: return type::f16;
    case DType::kBfloat16: return type::bf16;
    case DType::kInt32: return type::s32;
    case DType::kInt8: return type::s8;
    case DType::kUint8:
    case DType::kBool: return type::u8;
    default: return type::undef;
  }
}

DnnlDesc describe(const TensorSpec& spec) {
  if (spec.layout == kPlain) return describe(spec.dtype, spec.dims, strides_of(spec.dims));
  return describe(spec.dtype, spec.dims, layout_tag(spec.layout, spec.dims.size()));
}

DnnlDesc describe(DType dtype, const Dims& dims, DnnlTag tag) {
  return dnnl_guard("descriptor", [&] { return DnnlDesc(dims, dnnl_type(dtype), tag); });
}

DnnlDesc describe(DType dtype, const Dims& dims, const Dims& strides) {
  if (dims.empty()) return describe(dtype, {1}, DnnlTag::a);
  return dnnl_guard("descriptor", [&] { return DnnlDesc(dims, dnnl_type(dtype), strides); });
}

DnnlDesc any_layout(DType dtype, const Dims& dims) { return describe(dtype, dims, DnnlTag::any); }

void rethrow_dnnl(const char* what, const dnnl::error& error) {
  const Code code = error.status == dnnl_out_of_memory   ? Code::kOutOfMemory
                    : error.status == dnnl_unimplemented ? Code::kUnsupported
                                                         : Code::kInternal;
  fail(code, "oneDNN ", what, ": ", dnnl_status2str(error.status), " (", error.what(), ")");
}

ThreadScope::ThreadScope(int threads) : before_(omp_get_max_threads()) {
  omp_set_num_threads(threads);
}
ThreadScope::~ThreadScope() { omp_set_num_threads(before_); }

dnnl::primitive_attr user_scratch_attributes() {
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  return attributes;
}

std::string layout_key(const DnnlDesc& desc) {
  std::string key = cat("onednn ", static_cast<int>(desc.get_data_type()), ' ',
                        static_cast<int64_t>(desc.get_size()));
  for (const auto& list : {desc.get_dims(), desc.get_padded_dims(), desc.get_strides(),
                           desc.get_inner_blks(), desc.get_inner_idxs()}) {
    key += '|';
    for (const int64_t v : list) key += cat(v, ',');
  }
  return key;
}

std::shared_ptr<Buffer> reordered(const DnnlDesc& from, const DnnlDesc& to, const void* source) {
  std::shared_ptr<Buffer> target = allocate_lasting(to.get_size());
  dnnl_guard("reorder", [&] {
    dnnl::stream stream(engine());
    // oneDNN's memory takes no const pointer; a reorder's source is only read.
    memory a(from, engine(), const_cast<void*>(source));
    memory b(to, engine(), target->data());
    dnnl::reorder(a, b).execute(stream, a, b);
  });
  return target;
}

bool is_slow(const std::string& implementation) {
  constexpr std::string_view kSlow[] = {"ref", "gemm", "x64:gemm", "simple"};
  return std::any_of(std::begin(kSlow), std::end(kSlow),
                     [&](std::string_view name) { return implementation.starts_with(name); });
}

// ---- Kernels

// Runs primitives in order. oneDNN's memory objects hold the pointers, so every run needs a set of
// its own: a few sets wait in slots, taken by an exchange; a run that finds none makes one.
class PrimitiveKernel : public Kernel {
 public:
  PrimitiveKernel(std::vector<KernelBuilder::Call> calls, std::vector<std::shared_ptr<Buffer>> held,
                  KernelBuilder::Copy copy, int threads)
      : calls_(std::move(calls)), held_(std::move(held)), copy_(copy), threads_(threads) {
    give_back(new Instance(calls_));
  }
  ~PrimitiveKernel() override {
    for (auto& slot : slots_) delete slot.load();
  }

  void run(const KernelArgs& args) const override {
    if (copy_.bytes != 0 && args.inputs[copy_.input] != args.outputs[0]) {
      std::memcpy(args.outputs[0], args.inputs[copy_.input], copy_.bytes);
    }
    Instance* instance = take();
    try {
      instance->run(args, threads_);
    } catch (...) {
      give_back(instance);
      throw;
    }
    give_back(instance);
  }

 private:
  // The memory objects of one run and oneDNN's view of them.
  class Instance {
   public:
    explicit Instance(const std::vector<KernelBuilder::Call>& calls)
        : stream_(dnnl_guard("stream", [] { return dnnl::stream(engine()); })) {
      for (const KernelBuilder::Call& call : calls) {
        const size_t first = arguments_.size();
        for (const Argument& a : call.arguments) add(a);
        ranges_.push_back({call.primitive.get(), first, arguments_.size() - first});
      }
    }

    void run(const KernelArgs& args, int threads) {
      for (const auto& [memory, operand] : bound_) {
        dnnl_memory_set_data_handle(memory, pointer(args, operand));
      }
      parallel_for(threads, static_cast<int64_t>(ranges_.size()), 1,
                   [&](int64_t begin, int64_t end) {
                     for (int64_t i = begin; i < end; ++i) {
                       const Range& range = ranges_[static_cast<size_t>(i)];
                       check(dnnl_primitive_execute(range.primitive, stream_.get(),
                                                    static_cast<int>(range.count),
                                                    arguments_.data() + range.first),
                             "execution");
                     }
                   });
    }

   private:
    struct Range {
      const_dnnl_primitive_t primitive;
      size_t first;
      size_t count;
    };
    void add(const Argument& a) {
      const bool held = a.operand.from == Operand::From::kHeld;
      memory m = dnnl_guard("memory", [&] {
        return memory(a.desc, engine(),
                      held ? const_cast<void*>(a.operand.held) : DNNL_MEMORY_NONE);
      });
      if (!held) bound_.emplace_back(m.get(), a.operand);
      arguments_.push_back({a.id, m.get()});
      memories_.push_back(std::move(m));
    }
    static void* pointer(const KernelArgs& args, const Operand& operand) {
      switch (operand.from) {
        case Operand::From::kInput:
          return static_cast<std::byte*>(const_cast<void*>(args.inputs[operand.index])) +
                 operand.offset;
        case Operand::From::kOutput:
          return static_cast<std::byte*>(args.outputs[operand.index]) + operand.offset;
        default: return static_cast<std::byte*>(args.scratch) + operand.index;
      }
    }
    dnnl::stream stream_;
    std::vector<memory> memories_;
    std::vector<std::pair<dnnl_memory_t, Operand>> bound_;
    std::vector<dnnl_exec_arg_t> arguments_;
    std::vector<Range> ranges_;
  };

  Instance* take() const {
    for (auto& slot : slots_) {
      if (slot.load(std::memory_order_relaxed) == nullptr) continue;
      if (Instance* found = slot.exchange(nullptr, std::memory_order_acquire)) return found;
    }
    return new Instance(calls_);
  }
  void give_back(Instance* instance) const {
    for (auto& slot : slots_) {
      Instance* none = nullptr;
      if (slot.compare_exchange_strong(none, instance, std::memory_order_release,
                                       std::memory_order_relaxed))
        return;
    }
    delete instance;
  }

  std::vector<KernelBuilder::Call> calls_;
  std::vector<std::shared_ptr<Buffer>> held_;
  KernelBuilder::Copy copy_;
  int threads_;
  mutable std::array<std::atomic<Instance*>, 4> slots_{};
};

size_t KernelBuilder::take_scratch(size_t bytes) {
  const size_t offset = scratch_bytes_;
  scratch_bytes_ += (bytes + kAlignment - 1) / kAlignment * kAlignment;
  return offset;
}

Operand KernelBuilder::hold(std::shared_ptr<Buffer> buffer, const void* data) {
  held_.push_back(std::move(buffer));
  return {Operand::From::kHeld, 0, data};
}

Operand KernelBuilder::hold(std::shared_ptr<Buffer> buffer) {
  const void* data = buffer->data();
  return hold(std::move(buffer), data);
}

void KernelBuilder::add(const dnnl::primitive& primitive, const dnnl::primitive_desc_base& pd,
                        std::vector<Argument> arguments) {
  const DnnlDesc scratchpad = pd.scratchpad_desc();
  if (const size_t bytes = scratchpad.get_size(); bytes != 0) {
    arguments.push_back({DNNL_ARG_SCRATCHPAD, scratchpad, Operand::scratch(take_scratch(bytes))});
  }
  calls_.push_back({primitive, std::move(arguments)});
}

Operand KernelBuilder::add_reorder(const DnnlDesc& from, const DnnlDesc& to, Operand source) {
  if (from == to) return source;
  const Operand target = Operand::scratch(take_scratch(to.get_size()));
  add_reorder_to(from, to, source, target);
  return target;
}

void KernelBuilder::add_reorder_to(const DnnlDesc& from, const DnnlDesc& to, Operand source,
                                   Operand target) {
  dnnl_guard("reorder", [&] {
    const dnnl::reorder::primitive_desc pd(engine(), from, engine(), to, user_scratch_attributes());
    add(dnnl::reorder(pd), pd, {{DNNL_ARG_FROM, from, source}, {DNNL_ARG_TO, to, target}});
  });
}

Operand KernelBuilder::add_packed(const CompileContext& context, const Tensor& constant,
                                  const DnnlDesc& from, const DnnlDesc& to) {
  if (from == to) {
    const Tensor plain = held_plain(context, constant);
    return hold(plain.buffer(), plain.raw());
  }
  // The same bytes may be read under several views: the view is part of the key.
  return add_made(context, constant, layout_key(from) + layout_key(to),
                  [&](const Tensor& plain) { return reordered(from, to, plain.raw()); });
}

Operand KernelBuilder::add_made(const CompileContext& context, const Tensor& constant,
                                const std::string& key, const PackCache::Make& make) {
  return hold(packed(context, constant, key, make));
}

void KernelBuilder::copy_first(size_t input, size_t bytes) { copy_ = {input, bytes}; }

Compiled KernelBuilder::finish(std::string name, int threads) {
  Compiled compiled;
  compiled.name = "onednn " + std::move(name);
  compiled.scratch_bytes = scratch_bytes_;
  compiled.kernel =
      std::make_unique<PrimitiveKernel>(std::move(calls_), std::move(held_), copy_, threads);
  return compiled;
}

}  // namespace treadle::cpu

namespace treadle {

std::string cpu_libraries() {
  const dnnl_version_t& v = *dnnl_version();
  std::string_view isa = dnnl_cpu_isa2str(cpu::process().effective);
  if (isa.starts_with("cpu_isa_")) isa.remove_prefix(8);
  return cat("oneDNN ", v.major, ".", v.minor, ".", v.patch, " with ", isa,
             ", native kernels with ", cpu::simd_target());
}

}  // namespace treadle
