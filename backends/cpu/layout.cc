#include "backends/cpu/layout.h"

#include "backends/cpu/onednn.h"

namespace treadle::cpu {
namespace {

constexpr int64_t kBlock = 16;

}  // namespace

size_t layout_bytes(const TensorSpec& spec) {
  Dims dims = spec.dims;
  if (spec.layout == kBlocked16) dims[1] = checked_mul(ceil_div(dims[1], kBlock), kBlock);
  return static_cast<size_t>(byte_size(spec.dtype, element_count(dims)));
}

std::vector<size_t> adjacent_parts(const TensorSpec& whole, const std::vector<TensorSpec>& parts,
                                   int64_t axis) {
  if (whole.layout == kPlain) return plain_adjacent_parts(whole, parts, axis);
  if (whole.layout != kBlocked16 || axis != 1 || whole.dims[0] != 1) return {};
  std::vector<size_t> offsets;
  size_t offset = 0;
  for (const TensorSpec& part : parts) {
    if (part.dims[1] % kBlock != 0 && offsets.size() + 1 != parts.size()) return {};
    offsets.push_back(offset);
    offset += layout_bytes(part);
  }
  return offsets;
}

Compiled compile_reorder(const TensorSpec& from, const TensorSpec& to,
                         const CompileContext& context) {
  TREADLE_CHECK(from.dtype == to.dtype && from.dims == to.dims &&
                    dnnl_type(from.dtype) != dnnl::memory::data_type::undef,
                kInternal, "no reorder of ", dtype_name(from.dtype), ' ', shape_text(from.dims));
  const ThreadScope threads(context.threads);
  KernelBuilder builder;
  Compiled compiled = dnnl_guard("reorder", [&] {
    const dnnl::reorder::primitive_desc pd(engine(), describe(from), engine(), describe(to),
                                           user_scratch_attributes());
    builder.add(dnnl::reorder(pd), pd,
                {{DNNL_ARG_FROM, describe(from), Operand::input(0)},
                 {DNNL_ARG_TO, describe(to), Operand::output(0)}});
    return builder.finish(cat("reorder ", pd.impl_info_str()));
  });
  compiled.input_layouts = {from.layout};
  compiled.output_layouts = {to.layout};
  return compiled;
}

}  // namespace treadle::cpu
