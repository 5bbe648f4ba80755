// Col2Im for differentiation: a scatter of the columns' cells.
#include "graph/base/checked.h"
#include "graph/ops/conv_params.h"
#include "graph/ops/move.h"
#include "training/gradients/families.h"

namespace treadle {
namespace {

using Context = GradientContext;

// The image's cell of each cell of each column, from 1; 0 in the padding.
std::vector<int64_t> image_cells(const ConvParams& p) {
  std::vector<int64_t> cells;
  Dims at(p.rank());
  Dims tap(p.rank());
  for (int64_t k = 0; k < element_count(p.kernel); ++k) {
    for (int64_t l = 0; l < element_count(p.output); ++l) {
      unravel(k, p.kernel, tap);
      unravel(l, p.output, at);
      int64_t cell = 0;
      bool inside = true;
      for (size_t d = 0; d < p.rank(); ++d) {
        const int64_t i = at[d] * p.strides[d] + tap[d] * p.dilations[d] - p.pads_begin[d];
        inside = inside && i >= 0 && i < p.input[d];
        cell = cell * p.input[d] + i;
      }
      cells.push_back(inside ? cell + 1 : 0);
    }
  }
  return cells;
}

std::vector<Expr> col2im(Context& c) {
  const Expr x = c.x(0);
  const std::vector<int64_t> image = c.known_ints(1);
  const std::vector<int64_t> block = c.known_ints(2);
  Dims whole = {1, 1};
  Dims kernel = {1, 1};
  whole.insert(whole.end(), image.begin(), image.end());
  kernel.insert(kernel.end(), block.begin(), block.end());
  constexpr int64_t kMost = 1 << 24;
  const ConvParams window = conv_params(c.attributes(), whole, kernel);
  if (checked_mul(element_count(window.kernel), element_count(window.output)) > kMost) {
    Context::refuse(cat("its columns have more than ", kMost, " cells"));
  }
  const std::vector<int64_t> cells = image_cells(window);
  const Dim rows = x.shape()[1];
  const int64_t in_block = element_count(block);
  const Expr channels =
      rows.known() ? c.ints({rows.value() / in_block}) : size_of(x, 1) / c.ints({in_block});
  const auto count = static_cast<int64_t>(cells.size());
  const Expr planes = size_of(x, 0) * channels;
  const Expr columns = transpose(reshape(x, concat({planes, c.ints({count})}, 0)), {1, 0});
  const Expr slots = concat({c.ints({element_count(image) + 1}), planes}, 0);
  const Expr index = unsqueeze(c.ints(cells), {1});
  const Expr sums =
      x.number(0).op("Expand", {slots}).op("ScatterND", {index, columns}, {{"reduction", "add"}});
  const Expr inside = transpose(slice(sums, 0, 1, INT64_MAX), {1, 0});
  return {reshape(inside, concat({size_of(x, 0), channels, c.ints(image)}, 0))};
}

constexpr GradientDef kRules[] = {
    {.kind = "Col2Im", .parts = col2im},
};

}  // namespace

std::span<const GradientDef> col2im_gradients() { return kRules; }

}  // namespace treadle
