// Pools over windows and over whole planes.
#include <cmath>
#include <limits>

#include "graph/ops/conv_params.h"
#include "graph/ops/families.h"
#include "graph/ops/op.h"
#include "graph/ops/window.h"

namespace treadle {
namespace {

void infer_pool(InferContext& c) { c.set_shape(0, pool_shape(c.attributes(), c.shape(0))); }

void infer_max_pool(InferContext& c) {
  const Shape shape = pool_shape(c.attributes(), c.shape(0));
  c.set_shape(0, shape);
  c.set_shape(1, shape);
}

void infer_global_pool(InferContext& c) { c.set_shape(0, global_pool_shape(c.shape(0))); }

// For each output row of each plane: begin(plane, row), add(column, the plane of x, offset of
// column.first in it) for each run of cells that a kernel cell meets, end(plane, row).
template <class T, class Begin, class Add, class End>
void pool(const PoolParams& p, T* x, Begin&& begin, Add&& add, End&& end) {
  WindowRows rows(p);
  for (int64_t row = 0; row < rows.row_count(); ++row) {
    const auto& taps = rows.taps(row);
    for (int64_t plane = 0; plane < p.batch * p.channels; ++plane) {
      begin(plane, row);
      for (const auto& tap : taps) {
        for (const auto& column : rows.columns())
          add(column, x + plane * rows.input_plane(), tap.input + column.first);
      }
      end(plane, row);
    }
  }
}

template <class T>
void average(EvalContext& c, const PoolParams& p, Tensor& y) {
  const WindowRows rows(p);
  const int64_t stride = rows.stride();
  std::vector<double> sums(static_cast<size_t>(rows.row_length()));
  std::vector<double> counts;
  for (int64_t o = 0; o < rows.row_length(); ++o) {
    counts.push_back(static_cast<double>(p.counted_on_axis(p.rank() - 1, o)));
  }
  pool(
      p, c.input(0).data<T>().data(),
      [&](int64_t, int64_t) { std::fill(sums.begin(), sums.end(), 0.0); },
      [&](const WindowRows::Column& column, const T* x, int64_t offset) {
        double* sum = sums.data();
        for (int64_t o = column.begin; o < column.end; ++o)
          sum[o] += static_cast<double>(x[offset + o * stride]);
      },
      [&](int64_t plane, int64_t row) {
        const double row_count = p.counted_in_row(row);
        T* to = y.data<T>().data() + plane * rows.output_plane() + row * rows.row_length();
        for (size_t o = 0; o < sums.size(); ++o) {
          to[o] = T(static_cast<Compute<T>>(sums[o] / (row_count * counts[o])));
        }
      });
}

void eval_average(EvalContext& c, const PoolParams& p) {
  Tensor& y = c.output(0, p.output_dims());
  dispatch(c.dtype(0), FloatTypes{}, [&]<class T>() { average<T>(c, p, y); });
}
void eval_average_pool(EvalContext& c) {
  eval_average(c, pool_params(c.attributes(), c.input(0).dims()));
}
void eval_global_average_pool(EvalContext& c) {
  eval_average(c, global_pool_params(c.input(0).dims()));
}

template <class T>
void lp_norm(EvalContext& c, const PoolParams& p, Tensor& y) {
  const double power = static_cast<double>(c.attributes().i("p", 2));
  const WindowRows rows(p);
  const int64_t stride = rows.stride();
  std::vector<double> sums(static_cast<size_t>(rows.row_length()));
  pool(
      p, c.input(0).data<T>().data(),
      [&](int64_t, int64_t) { std::fill(sums.begin(), sums.end(), 0.0); },
      [&](const WindowRows::Column& column, const T* x, int64_t offset) {
        for (int64_t o = column.begin; o < column.end; ++o) {
          sums[static_cast<size_t>(o)] +=
              std::pow(std::abs(static_cast<double>(x[offset + o * stride])), power);
        }
      },
      [&](int64_t plane, int64_t row) {
        T* to = y.data<T>().data() + plane * rows.output_plane() + row * rows.row_length();
        for (const double sum : sums) *to++ = T(static_cast<Compute<T>>(std::pow(sum, 1 / power)));
      });
}

void eval_lp(EvalContext& c, const PoolParams& p) {
  TREADLE_CHECK(c.attributes().i("p", 2) >= 1, kInvalidModel, "attribute p is ",
                c.attributes().i("p", 2), ", expected at least 1");
  Tensor& y = c.output(0, p.output_dims());
  dispatch(c.dtype(0), FloatTypes{}, [&]<class T>() { lp_norm<T>(c, p, y); });
}
void eval_lp_pool(EvalContext& c) { eval_lp(c, pool_params(c.attributes(), c.input(0).dims())); }
void eval_global_lp_pool(EvalContext& c) { eval_lp(c, global_pool_params(c.input(0).dims())); }

using MaxTypes = Types<float, double, Float16, Bfloat16, int8_t, uint8_t>;

template <class T>
Compute<T> lowest() {
  return is_reduced_float<T> ? -std::numeric_limits<Compute<T>>::infinity()
                             : std::numeric_limits<Compute<T>>::lowest();
}

// The offset of a cell of a plane when the first axis varies fastest.
int64_t column_major(const Dims& sizes, int64_t offset) {
  int64_t result = 0;
  for (size_t i = sizes.size(); i-- > 0;) {
    int64_t stride = 1;
    for (size_t k = 0; k < i; ++k) stride *= sizes[k];
    result += offset % sizes[i] * stride;
    offset /= sizes[i];
  }
  return result;
}

// The largest element of each window, NaN being the largest, and where it lies (the first of
// equals).
template <class T>
void maximum(const Tensor& x, const PoolParams& p, Tensor& y, int64_t* indices) {
  const WindowRows rows(p);
  const int64_t stride = rows.stride();
  const auto length = static_cast<size_t>(rows.row_length());
  std::vector<Compute<T>> best(length);
  std::vector<int64_t> where(length);
  pool(
      p, x.data<T>().data(),
      [&](int64_t, int64_t) {
        std::fill(best.begin(), best.end(), lowest<T>());
        std::fill(where.begin(), where.end(), -1);
      },
      [&](const WindowRows::Column& column, const T* cells, int64_t offset) {
        for (int64_t o = column.begin; o < column.end; ++o) {
          const Compute<T> v = cells[offset + o * stride];
          const auto k = static_cast<size_t>(o);
          if (where[k] >= 0 && !(v > best[k]) && (v == v || best[k] != best[k])) continue;
          best[k] = v;
          where[k] = offset + o * stride;
        }
      },
      [&](int64_t plane, int64_t row) {
        const int64_t at = plane * rows.output_plane() + row * rows.row_length();
        for (size_t o = 0; o < length; ++o) {
          y.data<T>()[static_cast<size_t>(at) + o] = T(best[o]);
          if (indices == nullptr) continue;
          const int64_t in_plane =
              p.column_major && where[o] >= 0 ? column_major(p.input, where[o]) : where[o];
          indices[at + static_cast<int64_t>(o)] = plane * rows.input_plane() + in_plane;
        }
      });
}

void eval_maximum(EvalContext& c, const PoolParams& p) {
  Tensor& y = c.output(0, p.output_dims());
  int64_t* indices = nullptr;
  if (c.wants(1)) indices = c.output(1, DType::kInt64, p.output_dims()).data<int64_t>().data();
  dispatch(c.dtype(0), MaxTypes{}, [&]<class T>() { maximum<T>(c.input(0), p, y, indices); });
}
void eval_max_pool(EvalContext& c) {
  eval_maximum(c, pool_params(c.attributes(), c.input(0).dims()));
}
void eval_global_max_pool(EvalContext& c) {
  eval_maximum(c, global_pool_params(c.input(0).dims()));
}

// What a MaxPool with these attributes was given, when nothing was cut off: the transposed window.
Shape unpooled_shape(const Attributes& attributes, const Shape& x) {
  const Dims kernel = attributes.ints("kernel_shape");
  TREADLE_CHECK(x.size() >= 3 && kernel.size() == x.size() - 2, kInvalidModel, "kernel_shape ",
                shape_text(kernel), " for an input of shape ", shape_text(x));
  Shape w{x[1], 1};
  w.insert(w.end(), kernel.begin(), kernel.end());
  Shape shape = conv_transpose_shape(attributes, x, w);
  shape[1] = x[1];
  return shape;
}

void infer_max_unpool(InferContext& c) {
  if (c.has(2)) {
    if (const auto* sizes = c.values(2)) c.set_shape(0, Shape(sizes->begin(), sizes->end()));
    return;
  }
  c.set_shape(0, unpooled_shape(c.attributes(), c.shape(0)));
}

void eval_max_unpool(EvalContext& c) {
  const Tensor& x = c.input(0);
  const auto at = c.input(1).data<int64_t>();
  TREADLE_CHECK(c.input(1).dims() == x.dims(), kInvalidData, "indices have shape ",
                shape_text(c.input(1).dims()), ", expected that of the input, ",
                shape_text(x.dims()));
  // Indices always count in the default size, even where output_shape asks for more.
  const Dims inferred = *concrete(unpooled_shape(c.attributes(), symbolic(x.dims())));
  const Dims dims = c.has(2) ? c.input(2).to_ints() : inferred;
  TREADLE_CHECK(dims.size() == inferred.size(), kInvalidData, "output_shape is ", shape_text(dims),
                ", expected ", inferred.size(), " sizes");
  const Dims strides = strides_of(dims);
  const int64_t bound = element_count(inferred);
  Tensor& y = c.output(0, dims);
  dispatch(x.dtype(), FloatTypes{}, [&]<class T>() {
    std::fill(y.data<T>().begin(), y.data<T>().end(), T(0.0F));
    for (size_t i = 0; i < at.size(); ++i) {
      TREADLE_CHECK(at[i] >= 0 && at[i] < bound, kInvalidData, "index ", at[i],
                    " is out of range for shape ", shape_text(inferred));
      int64_t rest = at[i];
      int64_t offset = 0;
      for (size_t d = dims.size(); d-- > 0;) {
        TREADLE_CHECK(rest % inferred[d] < dims[d], kInvalidData, "index ", at[i],
                      " lies outside of output_shape ", shape_text(dims));
        offset += rest % inferred[d] * strides[d];
        rest /= inferred[d];
      }
      y.data<T>()[static_cast<size_t>(offset)] = x.data<T>()[i];
    }
  });
}

constexpr OpDef kRows[] = {
    {.kind = "AveragePool",
     .inputs = "X:T",
     .outputs = "Y:T",
     .types = "T=floats",
     .attributes = "auto_pad:s=NOTSET ceil_mode:i=0 count_include_pad:i=0 dilations:is "
                   "kernel_shape:is! pads:is "
                   "strides:is",
     .infer = infer_pool,
     .eval = eval_average_pool},
    {.kind = "GlobalAveragePool",
     .inputs = "X:T",
     .outputs = "Y:T",
     .types = "T=floats",
     .infer = infer_global_pool,
     .eval = eval_global_average_pool},
    {.kind = "GlobalLpPool",
     .inputs = "X:T",
     .outputs = "Y:T",
     .types = "T=floats",
     .attributes = "p:i=2",
     .infer = infer_global_pool,
     .eval = eval_global_lp_pool},
    {.kind = "GlobalMaxPool",
     .inputs = "X:T",
     .outputs = "Y:T",
     .types = "T=floats",
     .infer = infer_global_pool,
     .eval = eval_global_max_pool},
    {.kind = "LpPool",
     .inputs = "X:T",
     .outputs = "Y:T",
     .types = "T=floats",
     .attributes =
         "auto_pad:s=NOTSET ceil_mode:i=0 dilations:is kernel_shape:is! p:i=2 pads:is strides:is",
     .infer = infer_pool,
     .eval = eval_lp_pool},
    {.kind = "MaxPool",
     .inputs = "X:T",
     .outputs = "Y:T Indices?:int64",
     .types = "T=floats,int8,uint8",
     .attributes =
         "auto_pad:s=NOTSET ceil_mode:i=0 dilations:is kernel_shape:is! pads:is storage_order:i=0 "
         "strides:is",
     .infer = infer_max_pool,
     .eval = eval_max_pool},
    {.kind = "MaxUnpool",
     .inputs = "X:T I:int64 output_shape?:int64",
     .outputs = "output:T",
     .types = "T=floats",
     .attributes = "kernel_shape:is! pads:is strides:is",
     .infer = infer_max_unpool,
     .eval = eval_max_unpool},
};

}  // namespace

std::span<const OpDef> pool_ops() { return kRows; }

}  // namespace treadle
