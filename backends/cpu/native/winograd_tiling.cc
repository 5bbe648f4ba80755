#include "backends/cpu/native/winograd_tiling.h"

#include <algorithm>

#include "backends/cpu/native/winograd_pack.h"
#include "backends/cpu/simd/gemm.h"
#include "backends/cpu/simd/winograd.h"

namespace treadle::cpu {
namespace {

// Below so many channels the transforms cost more than the products save.
constexpr int64_t kFewChannels = 16;

// Products and the reading of packed weights, in multiply-adds; packing takes as long as reading.
double cost(const ConvParams& p, const Tiling& t, bool packs) {
  constexpr double kReadWeight = 12;
  const auto lanes = static_cast<int64_t>(gemm_functions().lanes);
  const WindowMatrices m(p);
  const double matrix =
      static_cast<double>(p.in_channels) * static_cast<double>(ceil_div(m.outs, lanes) * lanes);
  return static_cast<double>(t.elements()) * matrix *
         (static_cast<double>(t.count) + (packs ? 2 : 1) * kReadWeight);
}

double direct_cost(const ConvParams& p) {
  return static_cast<double>(p.kernel[0] * p.kernel[1] * p.group_inputs()) *
         static_cast<double>(p.out_channels) *
         static_cast<double>(p.batch * p.output[0] * p.output[1]);
}

bool all_are(const Dims& values, int64_t x) {
  return std::ranges::all_of(values, [x](int64_t v) { return v == x; });
}

}  // namespace

Tiling tiling_of(const ConvParams& p, int64_t out) {
  const bool down = p.kernel[0] > 1, across = p.kernel[1] > 1;
  Tiling t{.out = out, .rows = down ? out : 1, .columns = across ? out : 1};
  t.row_step = down ? p.dilations[0] : 1;
  t.column_step = across ? p.dilations[1] : 1;
  t.row_phases = std::min(t.row_step, p.output[0]);
  t.column_phases = std::min(t.column_step, p.output[1]);
  t.down = ceil_div(p.output[0], t.rows * t.row_step);
  t.across = ceil_div(p.output[1], t.columns * t.column_step);
  t.count = p.batch * t.row_phases * t.column_phases * t.down * t.across;
  return t;
}

TileBlocks blocks_of(const Tiling& tiling, int64_t rows, int64_t tile_bytes, int64_t weight_bytes,
                     int threads) {
  // Elements of a block stay in a processor's own cache.
  constexpr int64_t kBlockBytes = 256 * 1024;
  const int64_t slots = std::clamp<int64_t>(tiling.count / rows, 1, threads);
  const int64_t share = ceil_div(tiling.count, slots);
  int64_t most = std::max(rows, kBlockBytes / tile_bytes / rows * rows);
  // Reading all weights again for each block would cost more than writing the elements out.
  if (weight_bytes > share * tile_bytes) most = share;
  const int64_t count = ceil_div(share, most) * slots;
  return {.slots = slots, .count = count, .most = ceil_div(tiling.count, count)};
}

Tiling choose_tiling(const ConvParams& p, bool packs) {
  const Tiling two = tiling_of(p, 2), four = tiling_of(p, 4);
  // It takes more memory, twice as much of a line and four times of a square, and rounds more.
  const double gain = four.is_line() ? 0.95 : 0.8;
  return cost(p, four, packs) < gain * cost(p, two, packs) ? four : two;
}

Support supports_tiling(const ConvParams& p, size_t lanes, Convolutions taken) {
  const bool general = taken == Convolutions::kAll;
  const bool line = general && (p.kernel == Dims{1, 3} || p.kernel == Dims{3, 1});
  if ((!all_are(p.kernel, 3) && !line) || !all_are(p.strides, 1))
    return Support::no("not three taps a dimension with stride 1");
  if (!all_are(p.dilations, 1) && !general) return Support::no("dilations");
  if (p.group != 1 && !general) return Support::no("groups");
  if (p.in_channels < static_cast<int64_t>(lanes))
    return Support::no(cat("channels fewer than ", lanes));
  return {};
}

Support supports_tiling(const ConvParams& p, Convolutions taken) {
  return supports_tiling(p, winograd_functions(2).lanes, taken);
}

double tiling_share(const ConvParams& p, bool packs) {
  return cost(p, choose_tiling(p, packs), packs) / direct_cost(p);
}

bool tiling_pays(const ConvParams& p, bool packs) {
  const Tiling tiling = choose_tiling(p, packs);
  constexpr int64_t kFewInGroup = 32;  // of products that gain little
  if (p.group > 1 && tiling.out == 2 && p.group_inputs() < kFewInGroup) return false;
  return std::min(p.group_inputs(), p.group_outputs()) >= kFewChannels &&
         tiling_share(p, packs) <= 0.7;
}

}  // namespace treadle::cpu
