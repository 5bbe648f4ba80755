// OneHot, NonZero, Unique: indices made into elements and elements into indices.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "graph/ops/families.h"
#include "graph/ops/move.h"
#include "graph/ops/op.h"

namespace treadle {
namespace {

// ---- OneHot

// Numbers as int64, floats truncated; far-off ones (and NaN) become INT64_MIN, which is no index.
std::vector<int64_t> as_ints(const Tensor& t) {
  if (!is_float(t.dtype())) return t.to_ints();
  std::vector<int64_t> out;
  for (double x : t.to_doubles())
    out.push_back(std::abs(x) < 0x1p62 ? static_cast<int64_t>(x) : INT64_MIN);
  return out;
}

int64_t depth_of(const Tensor& t) {
  TREADLE_CHECK(t.count() == 1, kInvalidData, "'depth' has ", t.count(), " elements, expected 1");
  const int64_t depth = as_ints(t)[0];
  TREADLE_CHECK(depth >= 0, kInvalidData, "'depth' is ", depth, ", expected at least 0");
  return depth;
}

void infer_one_hot(InferContext& c) {
  Shape shape = c.shape(0);
  const int64_t axis = resolve_axis(c.attributes().i("axis", -1), c.rank(0) + 1);
  const auto* values = c.values(1);
  Dim depth = values != nullptr && values->size() == 1 ? values->front() : Dim::unknown();
  if (const Tensor* t = c.constant(1)) depth = depth_of(*t);
  shape.insert(shape.begin() + static_cast<ptrdiff_t>(axis), depth);
  c.set_shape(0, shape);
}

void eval_one_hot(EvalContext& c) {
  const Tensor& indices = c.input(0);
  const Tensor& values = c.input(2);
  const int64_t depth = depth_of(c.input(1));
  TREADLE_CHECK(values.count() == 2, kInvalidData, "'values' has ", values.count(),
                " elements, expected 2");
  const auto axis =
      static_cast<size_t>(resolve_axis(c.attributes().i("axis", -1), indices.rank() + 1));
  Dims dims = indices.dims();
  dims.insert(dims.begin() + static_cast<ptrdiff_t>(axis), depth);
  const int64_t inner = product(dims, axis + 1, dims.size());
  const std::vector<int64_t> hot = as_ints(indices);
  Tensor& out = c.output(0, values.dtype(), dims);
  move_elements({&values}, out, [&]<class T>(const std::vector<const T*>& from, T* to) {
    std::fill_n(to, out.count(), from[0][0]);
    for (size_t i = 0; i < hot.size(); ++i) {
      const int64_t at = hot[i] < 0 ? hot[i] + depth : hot[i];
      if (at < 0 || at >= depth) continue;
      const auto flat = static_cast<int64_t>(i);
      to[(flat / inner * depth + at) * inner + flat % inner] = from[0][1];
    }
  });
}

// ---- NonZero

std::vector<int64_t> nonzero_offsets(const Tensor& x) {
  std::vector<int64_t> found;
  const auto scan = [&]<class T>() {
    const auto elements = x.data<T>();
    for (size_t i = 0; i < elements.size(); ++i) {
      if (elements[i] != T{}) found.push_back(static_cast<int64_t>(i));
    }
  };
  using Rest = Types<std::string, std::complex<float>, std::complex<double>>;
  if (kNumbers.has(x.dtype()) || x.dtype() == DType::kBool) {
    dispatch(x.dtype(), NumberOrBoolTypes{}, scan);
  } else {
    dispatch(x.dtype(), Rest{}, scan);
  }
  return found;
}

void infer_non_zero(InferContext& c) { c.set_shape(0, {Dim(c.rank(0)), Dim::unknown()}); }

void eval_non_zero(EvalContext& c) {
  const Tensor& x = c.input(0);
  const std::vector<int64_t> found = nonzero_offsets(x);
  const auto count = static_cast<int64_t>(found.size());
  Tensor& out = c.output(0, DType::kInt64, {x.rank(), count});
  const auto to = out.data<int64_t>();
  Dims index;
  for (size_t i = 0; i < found.size(); ++i) {
    unravel(found[i], x.dims(), index);
    for (size_t d = 0; d < index.size(); ++d) to[d * found.size() + i] = index[d];
  }
}

// ---- Unique

// Below 0, 0 or above it; NaN is the largest and equal to itself. Of complex numbers the real part
// counts first.
template <class T>
int compare(const T& a, const T& b) {
  if constexpr (requires { a.real(); }) {
    const int r = compare(a.real(), b.real());
    return r != 0 ? r : compare(a.imag(), b.imag());
  } else if constexpr (!std::is_same_v<T, std::string>) {
    if (a != a || b != b) return (a != a) - (b != b);
    return a < b ? -1 : b < a ? 1 : 0;
  } else {
    return a.compare(b);
  }
}

// The rows of a [count, run] tensor in groups of equal ones.
struct Groups {
  std::vector<int64_t> first;    // of each group, its first row
  std::vector<int64_t> inverse;  // of each row, its group
  std::vector<int64_t> sizes;
};

template <class T>
Groups group_rows(std::span<const T> elements, int64_t count, int64_t run, bool sorted) {
  const auto compare_rows = [&](int64_t a, int64_t b) {
    for (int64_t i = 0; i < run; ++i) {
      const int r = compare<T>(elements[static_cast<size_t>(a * run + i)],
                               elements[static_cast<size_t>(b * run + i)]);
      if (r != 0) return r;
    }
    return 0;
  };
  std::vector<int64_t> order(static_cast<size_t>(count));
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](int64_t a, int64_t b) { return compare_rows(a, b) < 0; });
  Groups g;
  g.inverse.resize(order.size());
  for (size_t i = 0; i < order.size(); ++i) {
    if (i == 0 || compare_rows(order[i - 1], order[i]) != 0) {
      g.first.push_back(order[i]);
      g.sizes.push_back(0);
    }
    g.inverse[static_cast<size_t>(order[i])] = static_cast<int64_t>(g.first.size()) - 1;
    ++g.sizes.back();
  }
  if (sorted) return g;
  std::vector<size_t> by_first(g.first.size());
  std::iota(by_first.begin(), by_first.end(), size_t{0});
  std::sort(by_first.begin(), by_first.end(),
            [&](size_t a, size_t b) { return g.first[a] < g.first[b]; });
  Groups out{.first = {}, .inverse = g.inverse, .sizes = {}};
  std::vector<int64_t> place(by_first.size());
  for (size_t i = 0; i < by_first.size(); ++i) {
    out.first.push_back(g.first[by_first[i]]);
    out.sizes.push_back(g.sizes[by_first[i]]);
    place[by_first[i]] = static_cast<int64_t>(i);
  }
  for (int64_t& i : out.inverse) i = place[static_cast<size_t>(i)];
  return out;
}

void infer_unique(InferContext& c) {
  for (size_t i = 1; i < c.output_count(); ++i) c.set_shape(i, {Dim::unknown()});
  if (!c.attributes().has("axis")) return c.set_shape(0, {Dim::unknown()});
  Shape shape = c.shape(0);
  shape[static_cast<size_t>(resolve_axis(c.attributes().i("axis", 0), c.rank(0)))] = Dim::unknown();
  c.set_shape(0, shape);
}

void write_ints(EvalContext& c, size_t output, const std::vector<int64_t>& ints) {
  if (!c.wants(output)) return;
  std::copy(
      ints.begin(), ints.end(),
      c.output(output, DType::kInt64, {static_cast<int64_t>(ints.size())}).data<int64_t>().begin());
}

void eval_unique(EvalContext& c) {
  const Tensor& x = c.input(0);
  const bool flat = !c.attributes().has("axis");
  const Dims dims = flat ? Dims{x.count()} : x.dims();
  const int64_t axis = flat ? 0 : resolve_axis(c.attributes().i("axis", 0), x.rank());
  const AxisSplit split = split_axis(dims, axis);
  // One row a subtensor: the axis first.
  Tensor rows(x.dtype(), {split.size, split.outer, split.inner});
  copy_strided(x, {split.inner, split.size * split.inner, 1}, 0, rows);
  using All =
      Types<float, double, Float16, Bfloat16, int8_t, int16_t, int32_t, int64_t, uint8_t, uint16_t,
            uint32_t, uint64_t, bool, std::string, std::complex<float>, std::complex<double>>;
  const int64_t run = split.outer * split.inner;
  const bool sorted = c.attributes().i("sorted", 1) != 0;
  const Groups g = dispatch(x.dtype(), All{}, [&]<class T>() {
    return group_rows<T>(std::as_const(rows).data<T>(), split.size, run, sorted);
  });
  Dims out_dims = dims;
  out_dims[static_cast<size_t>(axis)] = static_cast<int64_t>(g.first.size());
  const auto count = static_cast<int64_t>(g.first.size());
  move_elements(
      {&x}, c.output(0, out_dims), [&]<class T>(const std::vector<const T*>& from, T* to) {
        for (int64_t o = 0; o < split.outer; ++o) {
          for (int64_t i = 0; i < count; ++i) {
            const int64_t row = g.first[static_cast<size_t>(i)];
            to = std::copy_n(from[0] + (o * split.size + row) * split.inner, split.inner, to);
          }
        }
      });
  write_ints(c, 1, g.first);
  write_ints(c, 2, g.inverse);
  write_ints(c, 3, g.sizes);
}

constexpr OpDef kRows[] = {
    {.kind = "OneHot",
     .inputs = "indices:T1 depth:T2 values:T3",
     .outputs = "output:T3",
     .types = "T1=numbers T2=numbers T3=all",
     .attributes = "axis:i=-1",
     .infer = infer_one_hot,
     .eval = eval_one_hot},
    {.kind = "NonZero",
     .inputs = "X:T",
     .outputs = "Y:int64",
     .types = "T=numbers,bool,string,complex64,complex128",
     .infer = infer_non_zero,
     .eval = eval_non_zero,
     .traits = kDataDependent},
    {.kind = "Unique",
     .inputs = "X:T",
     .outputs = "Y:T indices?:int64 inverse_indices?:int64 counts?:int64",
     .types = "T=numbers,bool,string,complex64,complex128",
     .attributes = "axis:i sorted:i=1",
     .infer = infer_unique,
     .eval = eval_unique,
     .traits = kDataDependent},
};

}  // namespace

std::span<const OpDef> select_ops() { return kRows; }

}  // namespace treadle
