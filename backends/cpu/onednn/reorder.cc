#include "backends/cpu/onednn/reorder.h"

#include "backends/cpu/onednn/onednn.h"

namespace treadle::cpu {

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
