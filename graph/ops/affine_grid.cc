// AffineGrid: the places that an affine map sends an evenly spaced grid to, as GridSample reads
// them.
#include "graph/ops/arithmetic.h"
#include "graph/ops/families.h"
#include "graph/ops/op.h"

namespace treadle {
namespace {

// theta [N, d, d + 1] and a size of d + 2 numbers, d = 2 or 3.
void check_theta(const Shape& theta, size_t sizes) {
  TREADLE_CHECK(sizes == 4 || sizes == 5, kInvalidModel, "size has ", sizes,
                " elements, expected 4 (2-D) or 5 (3-D)");
  const auto d = static_cast<int64_t>(sizes) - 2;
  const bool fits = theta.size() == 3 && (!theta[1].known() || theta[1].is(d)) &&
                    (!theta[2].known() || theta[2].is(d + 1));
  TREADLE_CHECK(fits, kInvalidModel, "theta has shape ", shape_text(theta), ", expected [N, ", d,
                ", ", d + 1, "]");
}

void infer_affine_grid(InferContext& c) {
  const Shape& theta = c.shape(0);
  std::vector<Dim> size;
  if (const auto* values = c.values(1)) {
    size = *values;
  } else if (c.rank(1) == 1 && c.shape(1)[0].known()) {
    const int64_t count = c.shape(1)[0].value();
    TREADLE_CHECK(count == 4 || count == 5, kInvalidModel, "size has ", count,
                  " elements, expected 4 or 5");
    size.assign(static_cast<size_t>(count), Dim::unknown());
  } else {
    return;
  }
  check_theta(theta, size.size());
  Shape shape{theta[0]};
  shape.insert(shape.end(), size.begin() + 2, size.end());
  shape.emplace_back(static_cast<int64_t>(size.size()) - 2);
  c.set_shape(0, shape);
}

// Where cell i of n lies in [-1, 1].
double position(int64_t i, int64_t n, bool align_corners) {
  if (align_corners)
    return n == 1 ? -1 : 2.0 * static_cast<double>(i) / static_cast<double>(n - 1) - 1;
  return (2.0 * static_cast<double>(i) + 1) / static_cast<double>(n) - 1;
}

void eval_affine_grid(EvalContext& c) {
  const Tensor& theta = c.input(0);
  const std::vector<int64_t> size = c.input(1).to_ints();
  check_theta(symbolic(theta.dims()), size.size());
  TREADLE_CHECK(std::all_of(size.begin(), size.end(), [](int64_t n) { return n >= 0; }) &&
                    size[0] == theta.dim(0),
                kInvalidData, "size is ", shape_text(size), " for theta of shape ",
                shape_text(theta.dims()));
  const bool align = c.attributes().i("align_corners", 0) != 0;
  const Dims space(size.begin() + 2, size.end());
  const size_t d = space.size();
  Dims dims = space;
  dims.insert(dims.begin(), theta.dim(0));
  dims.push_back(static_cast<int64_t>(d));
  Tensor& y = c.output(0, dims);
  const int64_t places = element_count(space);
  const std::vector<double> maps = theta.to_doubles();
  dispatch(theta.dtype(), FloatTypes{}, [&]<class T>() {
    T* to = y.data<T>().data();
    std::vector<double> at(d + 1, 1);  // the last axis first, then the one that adds the offset
    for (int64_t n = 0; n < theta.dim(0); ++n) {
      c.poll();
      const double* map = maps.data() + static_cast<size_t>(n) * d * (d + 1);
      for (int64_t p = 0; p < places; ++p) {
        int64_t rest = p;
        for (size_t k = 0; k < d; ++k) {
          const int64_t cells = space[d - 1 - k];
          at[k] = position(rest % cells, cells, align);
          rest /= cells;
        }
        for (size_t row = 0; row < d; ++row) {
          double sum = 0;
          for (size_t k = 0; k <= d; ++k) sum += map[row * (d + 1) + k] * at[k];
          *to++ = convert<T>(sum);
        }
      }
    }
  });
}

constexpr OpDef kRows[] = {
    {.kind = "AffineGrid",
     .inputs = "theta:T1 size:int64",
     .outputs = "grid:T1",
     .types = "T1=floats",
     .attributes = "align_corners:i=0",
     .infer = infer_affine_grid,
     .eval = eval_affine_grid},
};

}  // namespace

std::span<const OpDef> affine_grid_ops() { return kRows; }

}  // namespace treadle
