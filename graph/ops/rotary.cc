// RotaryEmbedding: rotates pairs of each head's elements by an angle that follows from the
// position.
#include <algorithm>

#include "graph/ops/arithmetic.h"
#include "graph/ops/families.h"
#include "graph/ops/op.h"

namespace treadle {
namespace {

struct RotaryProblem {
  Dims sizes;        // batch, sequence, heads, size
  Dims strides;      // of x, likewise
  int64_t half = 0;  // pairs of a head that are rotated
  bool interleaved = false;
};

RotaryProblem read_problem(EvalContext& c) {
  const Tensor& x = c.input(0);
  const Attributes& a = c.attributes();
  RotaryProblem p;
  if (x.rank() == 4) {  // [batch, heads, sequence, size]
    p.sizes = {x.dim(0), x.dim(2), x.dim(1), x.dim(3)};
    const Dims s = strides_of(x.dims());
    p.strides = {s[0], s[2], s[1], s[3]};
  } else {
    const int64_t heads = a.i("num_heads", 0);
    TREADLE_CHECK(x.rank() == 3 && heads > 0 && x.dim(2) % heads == 0, kInvalidModel,
                  "X has shape ", shape_text(x.dims()), " and num_heads is ", heads,
                  ": expected rank 4, or rank 3 that splits into the heads");
    p.sizes = {x.dim(0), x.dim(1), heads, x.dim(2) / heads};
    p.strides = strides_of(p.sizes);
  }
  const int64_t wanted = a.i("rotary_embedding_dim", 0);
  const int64_t rotated = wanted == 0 ? p.sizes[3] : wanted;
  TREADLE_CHECK(rotated >= 0 && rotated % 2 == 0 && rotated <= p.sizes[3], kInvalidModel,
                "cannot rotate ", rotated, " of ", p.sizes[3], " elements");
  p.half = rotated / 2;
  p.interleaved = a.i("interleaved", 0) != 0;
  return p;
}

// Row of the caches for each (batch, sequence).
std::vector<int64_t> cache_rows(EvalContext& c, const RotaryProblem& p) {
  const Dims& cache = c.input(1).dims();
  TREADLE_CHECK(cache == c.input(2).dims() && !cache.empty() && cache.back() == p.half,
                kInvalidArgument, "cos_cache and sin_cache have shapes ", shape_text(cache),
                " and ", shape_text(c.input(2).dims()), ", expected the same with ", p.half,
                " columns");
  const int64_t positions = p.sizes[0] * p.sizes[1];
  const int64_t rows = element_count(Dims(cache.begin(), cache.end() - 1));
  std::vector<int64_t> chosen;
  if (c.has(3)) {
    chosen = c.input(3).to_ints();
    for (int64_t& row : chosen) {
      TREADLE_CHECK(row >= -rows && row < rows, kInvalidData, "position ", row,
                    " is outside the cache of ", rows);
      if (row < 0) row += rows;
    }
  } else {
    for (int64_t i = 0; i < rows; ++i) chosen.push_back(i);
  }
  TREADLE_CHECK(static_cast<int64_t>(chosen.size()) == positions, kInvalidArgument, "got ",
                chosen.size(), " positions, expected ", positions);
  return chosen;
}

template <class T>
void rotate(EvalContext& c, const RotaryProblem& p, const std::vector<int64_t>& rows, Tensor& y) {
  using C = Compute<T>;
  const T* cos = c.input(1).data<T>().data();
  const T* sin = c.input(2).data<T>().data();
  for (int64_t n = 0; n < p.sizes[0] * p.sizes[1]; ++n) {
    const int64_t row = rows[static_cast<size_t>(n)] * p.half;
    for (int64_t h = 0; h < p.sizes[2]; ++h) {
      const int64_t at =
          n / p.sizes[1] * p.strides[0] + n % p.sizes[1] * p.strides[1] + h * p.strides[2];
      const T* from = c.input(0).data<T>().data() + at;
      T* to = y.data<T>().data() + at;
      for (int64_t i = 0; i < p.half; ++i) {
        const int64_t first = p.interleaved ? 2 * i : i;
        const int64_t second = p.interleaved ? 2 * i + 1 : i + p.half;
        const auto u = static_cast<C>(from[first]);
        const auto v = static_cast<C>(from[second]);
        to[first] = convert<T>(static_cast<C>(cos[row + i]) * u - static_cast<C>(sin[row + i]) * v);
        to[second] =
            convert<T>(static_cast<C>(sin[row + i]) * u + static_cast<C>(cos[row + i]) * v);
      }
      std::copy(from + 2 * p.half, from + p.sizes[3], to + 2 * p.half);
    }
  }
}

void eval_rotary(EvalContext& c) {
  const RotaryProblem p = read_problem(c);
  const std::vector<int64_t> rows = cache_rows(c, p);
  Tensor& y = c.output(0, c.input(0).dims());
  dispatch(y.dtype(), FloatTypes{}, [&]<class T>() { rotate<T>(c, p, rows, y); });
}

constexpr OpDef kRows[] = {
    {.kind = "RotaryEmbedding",
     .inputs = "X:T cos_cache:T sin_cache:T position_ids?:int64",
     .outputs = "Y:T",
     .types = "T=floats",
     .attributes = "num_heads:i rotary_embedding_dim:i=0 interleaved:i=0",
     .infer = infer_same_shape,
     .eval = eval_rotary},
};

}  // namespace

std::span<const OpDef> rotary_ops() { return kRows; }

}  // namespace treadle
