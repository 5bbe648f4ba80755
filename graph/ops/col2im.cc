// Col2Im: adds the columns that a sliding window read back into the image.
#include <complex>

#include "graph/ops/conv_params.h"
#include "graph/ops/families.h"
#include "graph/ops/move.h"
#include "graph/ops/op.h"

namespace treadle {
namespace {

void infer_col2im(InferContext& c) {
  const Shape& x = c.shape(0);
  TREADLE_CHECK(x.size() == 3, kInvalidModel, "the input has shape ", shape_text(x),
                ", expected [N, C * block, L]");
  const auto* image = c.values(1);
  Shape shape{x[0], Dim::unknown()};
  if (image != nullptr) {
    shape.insert(shape.end(), image->begin(), image->end());
  } else {
    if (c.rank(1) != 1 || !c.shape(1)[0].known()) return;
    shape.resize(static_cast<size_t>(c.shape(1)[0].value()) + 2, Dim::unknown());
  }
  if (const auto block = c.ints(2)) {
    int64_t cells = 1;
    for (int64_t b : *block) {
      TREADLE_CHECK(b >= 1, kInvalidModel, "block_shape is ", shape_text(*block));
      cells = checked_mul(cells, b);
    }
    shape[1] = Dim::floor_div(x[1], cells);
  }
  c.set_shape(0, shape);
}

// The window whose columns the input holds.
ConvParams column_window(EvalContext& c) {
  const Dims& x = c.input(0).dims();
  const Dims image = c.input(1).to_ints();
  const Dims block = c.input(2).to_ints();
  TREADLE_CHECK(x.size() == 3, kInvalidData, "the input has shape ", shape_text(x),
                ", expected [N, C * block, L]");
  const bool positive = std::all_of(block.begin(), block.end(), [](int64_t b) { return b >= 1; }) &&
                        std::all_of(image.begin(), image.end(), [](int64_t n) { return n >= 0; });
  TREADLE_CHECK(!image.empty() && image.size() == block.size() &&
                    image.size() + 2 <= static_cast<size_t>(kMaxRank) && positive,
                kInvalidData, "image_shape is ", shape_text(image), " and block_shape ",
                shape_text(block));
  const int64_t cells = element_count(block);
  TREADLE_CHECK(x[1] % cells == 0, kInvalidData, "dimension 1 of the input is ", x[1],
                ", which is no multiple of the block's ", cells, " cells");
  Dims whole{x[0], x[1] / cells};
  Dims kernel{1, x[1] / cells};
  whole.insert(whole.end(), image.begin(), image.end());
  kernel.insert(kernel.end(), block.begin(), block.end());
  ConvParams p = conv_params(c.attributes(), whole, kernel);
  TREADLE_CHECK(element_count(p.output) == x[2], kInvalidData, "the input has ", x[2],
                " columns, expected ", shape_text(p.output), " of them");
  return p;
}

// The image's cell for each cell of each column, -1 in the padding.
std::vector<int64_t> cells_of(const ConvParams& p) {
  const int64_t columns = element_count(p.output);
  const int64_t kernel = element_count(p.kernel);
  std::vector<int64_t> cells;
  Dims at(p.rank());
  Dims tap(p.rank());
  for (int64_t k = 0; k < kernel; ++k) {
    for (int64_t l = 0; l < columns; ++l) {
      unravel(k, p.kernel, tap);
      unravel(l, p.output, at);
      int64_t cell = 0;
      for (size_t d = 0; d < p.rank() && cell >= 0; ++d) {
        const int64_t i = at[d] * p.strides[d] + tap[d] * p.dilations[d] - p.pads_begin[d];
        cell = i < 0 || i >= p.input[d] ? -1 : cell * p.input[d] + i;
      }
      cells.push_back(cell);
    }
  }
  return cells;
}

template <class T>
struct SumOf {
  using type = Accumulate<T>;
};
template <class T>
struct SumOf<std::complex<T>> {
  using type = std::complex<T>;
};

template <class T>
void add_columns(const Tensor& x, const std::vector<int64_t>& cells, Tensor& y) {
  using Sum = typename SumOf<T>::type;
  const int64_t planes = y.dim(0) * y.dim(1);
  const auto plane = static_cast<size_t>(planes == 0 ? 0 : y.count() / planes);
  std::vector<Sum> sums(plane);
  const T* from = x.data<T>().data();
  T* to = y.data<T>().data();
  for (int64_t i = 0; i < planes; ++i, from += cells.size(), to += plane) {
    std::fill(sums.begin(), sums.end(), Sum{});
    for (size_t k = 0; k < cells.size(); ++k) {
      if (cells[k] < 0) continue;
      Sum& sum = sums[static_cast<size_t>(cells[k])];
      if constexpr (std::is_integral_v<T>) {  // wraps
        sum = static_cast<Sum>(static_cast<uint64_t>(sum) + static_cast<uint64_t>(from[k]));
      } else {
        sum += static_cast<Sum>(from[k]);
      }
    }
    for (size_t k = 0; k < plane; ++k) {
      if constexpr (is_reduced_float<T>) {
        to[k] = T(static_cast<float>(sums[k]));
      } else {
        to[k] = static_cast<T>(sums[k]);
      }
    }
  }
}

using SummedTypes =
    Types<float, double, Float16, Bfloat16, int8_t, int16_t, int32_t, int64_t, uint8_t, uint16_t,
          uint32_t, uint64_t, bool, std::complex<float>, std::complex<double>>;

void eval_col2im(EvalContext& c) {
  const Tensor& x = c.input(0);
  const ConvParams p = column_window(c);
  Dims dims{p.batch, p.in_channels};
  dims.insert(dims.end(), p.input.begin(), p.input.end());
  Tensor& y = c.output(0, dims);
  if (y.count() == 0) return;  // the columns may be many all the same
  const std::vector<int64_t> cells = cells_of(p);
  dispatch(x.dtype(), SummedTypes{}, [&]<class T>() { add_columns<T>(x, cells, y); });
}

constexpr OpDef kRows[] = {
    {.kind = "Col2Im",
     .inputs = "input:T image_shape:int64 block_shape:int64",
     .outputs = "output:T",
     .types = "T=numbers,bool,complex64,complex128",  // strings cannot be added
     .attributes = "dilations:is pads:is strides:is",
     .infer = infer_col2im,
     .eval = eval_col2im},
};

}  // namespace

std::span<const OpDef> col2im_ops() { return kRows; }

}  // namespace treadle
