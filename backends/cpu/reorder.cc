#include "backends/cpu/reorder.h"

#include "backends/cpu/native/copy.h"
#include "backends/cpu/onednn/onednn.h"
#include "backends/cpu/simd/transpose.h"

namespace treadle::cpu {
namespace {

bool is_plain_or_last(const TensorSpec& spec) {
  return spec.layout == kPlain || spec.layout == kChannelsLast;
}

// oneDNN lacks some types, and is slower where there are vectors of the elements.
bool is_transposed(const TensorSpec& from, const TensorSpec& to) {
  if (from.layout == to.layout || !is_plain_or_last(from) || !is_plain_or_last(to)) return false;
  if (dnnl_type(from.dtype) == dnnl::memory::data_type::undef) return true;
  const int64_t channels = from.dims[1];
  const bool picture = to.layout == kChannelsLast && channels == 3;
  return dtype_bits(from.dtype) == 32 ||
         (dtype_bits(from.dtype) == 8 &&
          (picture || channels >= static_cast<int64_t>(kTransposedBytes)));
}

// Between N C S and N S C.
Compiled transposing(const TensorSpec& from, const TensorSpec& to, int threads) {
  const int64_t n = from.dims[0], channels = from.dims[1];
  const int64_t plane = n * channels == 0 ? 0 : element_count(from.dims) / (n * channels);
  const bool last = to.layout == kChannelsLast;
  const int64_t rows = last ? channels : plane, columns = last ? plane : channels;
  const CopyJob job{.dims = {n, columns, rows},
                    .from = {rows * columns, 1, columns},
                    .to = {rows * columns, rows, 1}};
  Compiled compiled;
  compiled.name = "native reorder";
  compiled.kernel = make_copy_kernel({job}, from.dtype, {}, threads);
  return compiled;
}

Compiled onednn_reorder(const TensorSpec& from, const TensorSpec& to, int threads) {
  TREADLE_CHECK(dnnl_type(from.dtype) != dnnl::memory::data_type::undef, kInternal,
                "no reorder of ", dtype_name(from.dtype), ' ', shape_text(from.dims));
  const ThreadScope scope(threads);
  KernelBuilder builder;
  return dnnl_guard("reorder", [&] {
    const dnnl::reorder::primitive_desc pd(engine(), describe(from), engine(), describe(to),
                                           user_scratch_attributes());
    builder.add(dnnl::reorder(pd), pd,
                {{DNNL_ARG_FROM, describe(from), Operand::input(0)},
                 {DNNL_ARG_TO, describe(to), Operand::output(0)}});
    return builder.finish(cat("reorder ", pd.impl_info_str()));
  });
}

}  // namespace

Compiled compile_reorder(const TensorSpec& from, const TensorSpec& to,
                         const CompileContext& context) {
  TREADLE_CHECK(from.dtype == to.dtype && from.dims == to.dims, kInternal, "no reorder of ",
                dtype_name(from.dtype), ' ', shape_text(from.dims));
  Compiled compiled = is_transposed(from, to) ? transposing(from, to, context.threads)
                                              : onednn_reorder(from, to, context.threads);
  compiled.input_layouts = {from.layout};
  compiled.output_layouts = {to.layout};
  return compiled;
}

}  // namespace treadle::cpu
