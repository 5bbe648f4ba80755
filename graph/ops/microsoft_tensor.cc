// Operators of com.microsoft that came before their like in ai.onnx, as graphs of those, and two
// that have no like: Inverse and CDist.
#include <algorithm>
#include <cmath>

#include "graph/ops/arithmetic.h"
#include "graph/ops/composite.h"
#include "graph/ops/families.h"
#include "graph/ops/microsoft.h"

namespace treadle {
namespace {

using Values = std::vector<ValueId>;

// ---- Inverse

// Gauss-Jordan elimination with the largest pivot of each column; of a singular matrix infinities
// and NaN.
void invert(std::vector<double>& m, std::vector<double>& inverse, size_t n) {
  std::fill(inverse.begin(), inverse.end(), 0.0);
  for (size_t i = 0; i < n; ++i) inverse[i * n + i] = 1;
  for (size_t k = 0; k < n; ++k) {
    size_t pivot = k;
    for (size_t i = k + 1; i < n; ++i) {
      if (std::fabs(m[i * n + k]) > std::fabs(m[pivot * n + k])) pivot = i;
    }
    const double divisor = m[pivot * n + k];
    for (auto* matrix : {&m, &inverse}) {
      const auto at = [&](size_t row) { return matrix->begin() + static_cast<ptrdiff_t>(row * n); };
      if (pivot != k) std::swap_ranges(at(k), at(k + 1), at(pivot));
      for (size_t j = 0; j < n; ++j) (*matrix)[k * n + j] /= divisor;
    }
    for (size_t i = 0; i < n; ++i) {
      const double factor = m[i * n + k];
      if (i == k || factor == 0) continue;
      for (size_t j = 0; j < n; ++j) {
        m[i * n + j] -= factor * m[k * n + j];
        inverse[i * n + j] -= factor * inverse[k * n + j];
      }
    }
  }
}

template <class D>
void check_square(const std::vector<D>& x) {
  TREADLE_CHECK(x.size() >= 2, kInvalidModel, "X has shape ", shape_text(x),
                ", expected square matrices");
  const Dim rows = x[x.size() - 2];
  const Dim columns = x.back();
  TREADLE_CHECK(!rows.known() || !columns.known() || rows == columns, kInvalidModel, "X has shape ",
                shape_text(x), ", expected square matrices");
}

void eval_inverse(EvalContext& c) {
  const Tensor& x = c.input(0);
  check_square(x.dims());
  const auto n = static_cast<size_t>(x.dims().back());
  Tensor& y = c.output(0, x.dims());
  if (y.count() == 0) return;  // the matrices may be of any size
  dispatch(x.dtype(), FloatTypes{}, [&]<class T>() {
    std::vector<double> matrix(n * n);
    std::vector<double> inverse(n * n);
    for (size_t start = 0; start < y.data<T>().size(); start += n * n) {
      c.poll();
      for (size_t i = 0; i < n * n; ++i) matrix[i] = static_cast<double>(x.data<T>()[start + i]);
      invert(matrix, inverse, n);
      for (size_t i = 0; i < n * n; ++i) y.data<T>()[start + i] = convert<T>(inverse[i]);
    }
  });
}

void infer_inverse(InferContext& c) {
  check_square(c.shape(0));
  infer_same_shape(c);
}

// ---- CDist

bool takes_root(const Attributes& a) {
  const std::string metric = a.s("metric", "sqeuclidean");
  TREADLE_CHECK(metric == "euclidean" || metric == "sqeuclidean", kUnsupported, "metric '", metric,
                "'");
  return metric == "euclidean";
}

void eval_cdist(EvalContext& c) {
  const Tensor& a = c.input(0);
  const Tensor& b = c.input(1);
  TREADLE_CHECK(a.rank() == 2 && b.rank() == 2 && a.dim(1) == b.dim(1), kInvalidArgument,
                "expected two matrices with as many columns, got ", shape_text(a.dims()), " and ",
                shape_text(b.dims()));
  const bool root = takes_root(c.attributes());
  const int64_t columns = a.dim(1);
  Tensor& y = c.output(0, {a.dim(0), b.dim(0)});
  dispatch(y.dtype(), Types<float, double>{}, [&]<class T>() {
    T* to = y.data<T>().data();
    for (int64_t i = 0; i < a.dim(0); ++i) {
      c.poll();
      const T* left = a.data<T>().data() + i * columns;
      for (int64_t j = 0; j < b.dim(0); ++j) {
        const T* right = b.data<T>().data() + j * columns;
        double sum = 0;
        for (int64_t k = 0; k < columns; ++k) {
          const double d = static_cast<double>(left[k]) - static_cast<double>(right[k]);
          sum += d * d;
        }
        *to++ = static_cast<T>(root ? std::sqrt(sum) : sum);
      }
    }
  });
}

void infer_cdist(InferContext& c) {
  takes_root(c.attributes());
  TREADLE_CHECK(c.rank(0) == 2 && c.rank(1) == 2, kInvalidModel, "expected two matrices, got ",
                shape_text(c.shape(0)), " and ", shape_text(c.shape(1)));
  c.set_shape(0, {c.shape(0)[0], c.shape(1)[0]});
}

// ---- ConvTransposeWithDynamicPads

// The unpadded result without its borders.
Values conv_transpose(Builder& b, const Node& n) {
  const ValueId whole = b.op("ConvTranspose", {n.input(0), n.input(1), n.input(3)},
                             attributes_for("ConvTranspose", n.attributes));
  const ValueId pads = n.input(2);
  if (!pads.valid()) return {whole};
  const auto rank = static_cast<int64_t>(known_rank(b, n.input(0)));
  std::vector<int64_t> axes;
  for (int64_t d = 2; d < rank; ++d) axes.push_back(d);
  const ValueId count = b.ints({rank - 2});
  const ValueId starts = b.op("Slice", {pads, b.ints({0}), count});
  const ValueId back = b.op("Slice", {pads, count, b.ints({2 * (rank - 2)})});
  const ValueId sizes = b.op("Shape", {whole}, {{"start", int64_t{2}}});
  return {b.op("Slice", {whole, starts, b.op("Sub", {sizes, back}), b.ints(axes)})};
}

// ---- Forerunners

Values same(Builder& b, const Node& n, std::string_view kind) {
  return {b.op(kind, n.inputs, attributes_for(kind, n.attributes))};
}
Values trilu(Builder& b, const Node& n) { return same(b, n, "Trilu"); }
Values gather_nd(Builder& b, const Node& n) {
  return {b.op("GatherND", {n.input(0), cast(b, n.input(1), DType::kInt64)})};
}

ValueId flat(Builder& b, ValueId x, const std::vector<int64_t>& shape) {
  return x.valid() ? b.op("Reshape", {x, b.ints(shape)}) : x;
}

Values pad(Builder& b, const Node& n) {
  return {b.op("Pad", {n.input(0), flat(b, n.input(1), {-1}), flat(b, n.input(2), {})},
               attributes_for("Pad", n.attributes))};
}

// Elements in the order in which they first occur.
Values unique(Builder& b, const Node& n) {
  const Values all = b.add("Unique", {n.input(0)}, {{"sorted", int64_t{0}}}, 4);
  return {all[0], all[2], all[3]};
}

Values expand_dims(Builder& b, const Node& n) {
  const ValueId axis = cast(b, n.input(1), DType::kInt64);
  return {b.op("Unsqueeze", {n.input(0), flat(b, axis, {1})})};
}

Values range(Builder& b, const Node& n) {
  ValueId step = n.input(2);
  if (!step.valid()) step = b.scalar(b.type(n.input(0)).dtype, 1);
  return {b.op("Range", {flat(b, n.input(0), {}), flat(b, n.input(1), {}), flat(b, step, {})})};
}

Values grid_sample(Builder& b, const Node& n) {
  Attributes a = n.attributes;
  const std::string mode = a.s("mode", "bilinear");
  if (mode != "nearest") a.set("mode", std::string(mode == "bicubic" ? "cubic" : "linear"));
  return {b.op("GridSample", {n.input(0), n.input(1)}, a)};
}

constexpr OpDef row(const char* kind, const char* inputs, const char* outputs, const char* types,
                    const char* attributes) {
  return {.kind = kind,
          .inputs = inputs,
          .outputs = outputs,
          .types = types,
          .attributes = attributes,
          .infer = infer_composite,
          .domain = "com.microsoft"};
}
constexpr OpDef with(OpDef def, DecomposeFn decompose, uint32_t traits = 0) {
  def.decompose = decompose;
  def.traits = traits;
  return def;
}
constexpr OpDef with(OpDef def, InferFn infer, EvalFn eval) {
  def.infer = infer;
  def.eval = eval;
  return def;
}

constexpr OpDef kRows[] = {
    with(row("Inverse", "X:T", "Y:T", "T=floats", ""), infer_inverse, eval_inverse),
    with(row("CDist", "A:T B:T", "C:T", "T=float,double", "metric:s=sqeuclidean"), infer_cdist,
         eval_cdist),
    with(row("ConvTransposeWithDynamicPads", "X:T W:T Pads?:int64 B?:T", "Y:T", "T=floats",
             "auto_pad:s=NOTSET dilations:is group:i=1 kernel_shape:is output_padding:is "
             "strides:is"),
         conv_transpose),
    with(row("Trilu", "X:T k?:int64", "Y:T", "T=numbers,bool", "upper:i=1"), trilu),
    with(row("GatherND", "data:T indices:Tind", "output:T", "T=all Tind=int32,int64", ""),
         gather_nd),
    with(row("Pad", "data:T pads:int64 value?:T", "output:T", "T=numbers", "mode:s=constant"), pad),
    with(row("Unique", "x:T", "y:T idx:int64 counts:int64",
             "T=numbers,bool,string,complex64,complex128", ""),
         unique, kDataDependent),
    with(row("ExpandDims", "X:T axis:int32", "Y:T", "T=all", ""), expand_dims),
    with(row("Range", "start:T limit:T delta?:T", "Y:T", "T=float,double,int16,int32,int64", ""),
         range),
    with(row("GridSample", "X:T1 Grid:T2", "Y:T1",
             "T1=numbers,bool,string,complex64,complex128 T2=floats",
             "align_corners:i=0 mode:s=bilinear padding_mode:s=zeros"),
         grid_sample),
};

}  // namespace

std::span<const OpDef> microsoft_tensor_ops() { return kRows; }

}  // namespace treadle
