// GroupNormalization and InstanceNormalization: channels in groups, each of which is a dense row.
#include "backends/cpu/native/rows.h"

#include <algorithm>

#include "backends/cpu/parallel.h"
#include "backends/cpu/simd/rows.h"

namespace treadle::cpu {
namespace {

struct Groups {
  int64_t count = 1;  // of a sample
  int64_t samples = 1;
  int64_t members = 1;  // channels of a group
  int64_t plane = 1;    // elements of a channel
  float epsilon = 0;
};

class GroupNormKernel : public Kernel {
 public:
  GroupNormKernel(const Groups& groups, int threads)
      : g_(groups), threads_(threads), rows_(row_functions()) {}
  void run(const KernelArgs& args) const override {
    const int64_t size = g_.members * g_.plane;
    const int64_t grain = std::max<int64_t>(1, kParallelGrain / (4 * size));
    parallel_for(threads_, g_.samples * g_.count, grain, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) normalize(args, i, size);
    });
  }

 private:
  void normalize(const KernelArgs& args, int64_t group, int64_t size) const {
    const auto* x = static_cast<const float*>(args.inputs[0]) + group * size;
    auto* y = static_cast<float*>(args.outputs[0]) + group * size;
    const int64_t channel = group % g_.count * g_.members;
    const auto* scale = static_cast<const float*>(args.inputs[1]) + channel;
    const auto* shift = static_cast<const float*>(args.inputs[2]) + channel;
    const NormResult r = rows_.moments(x, static_cast<size_t>(size), g_.epsilon, true);
    for (int64_t k = 0; k < g_.members; ++k) {
      rows_.spread(x + k * g_.plane, {r.mean, r.inverse_deviation * scale[k], shift[k]},
                   y + k * g_.plane, static_cast<size_t>(g_.plane));
    }
  }

  Groups g_;
  int threads_;
  const RowFunctions& rows_;
};

// One channel is a group of its own in InstanceNormalization.
Groups groups_of(const NodeSpec& spec) {
  const Dims& dims = spec.inputs[0].dims;
  Groups g;
  g.samples = dims[0];
  g.count =
      spec.node->is("GroupNormalization") ? spec.node->attributes.i("num_groups", 0) : dims[1];
  g.members = g.count > 0 ? dims[1] / g.count : 0;
  for (size_t d = 2; d < dims.size(); ++d) g.plane *= dims[d];
  g.epsilon = spec.node->attributes.f("epsilon", 1e-5f);
  return g;
}

Support supports_group_norm(const NodeSpec& spec) {
  for (const TensorSpec& in : spec.inputs) {
    if (in.dtype != DType::kFloat) return Support::no("not float");
  }
  const Dims& dims = spec.inputs[0].dims;
  if (dims.size() < 2 || element_count(dims) == 0) return Support::no("no channels");
  const Groups g = groups_of(spec);
  if (g.count <= 0 || dims[1] % g.count != 0) return Support::no("groups of different sizes");
  for (const size_t i : {1, 2}) {
    if (element_count(spec.inputs[i].dims) != dims[1])
      return Support::no("scale or bias that does not fit");
  }
  return {};
}

Compiled compile_group_norm(const NodeSpec& spec, const CompileContext& context) {
  Compiled compiled;
  compiled.name = "native group_norm";
  compiled.in_place = {{0}};
  compiled.kernel = std::make_unique<GroupNormKernel>(groups_of(spec), context.threads);
  return compiled;
}

}  // namespace

const Family kNativeGroupNorm{"native group_norm", supports_group_norm, compile_group_norm};

}  // namespace treadle::cpu
