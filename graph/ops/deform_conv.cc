// DeformConv: a convolution whose window's cells are read at places shifted by data, for any number
// of spatial axes.
#include "graph/ops/arithmetic.h"
#include "graph/ops/conv_params.h"
#include "graph/ops/families.h"
#include "graph/ops/move.h"
#include "graph/ops/op.h"

namespace treadle {
namespace {

void infer_deform_conv(InferContext& c) {
  c.set_shape(0, conv_shape(c.attributes(), c.shape(0), c.shape(1)));
}

struct Tap {
  int64_t offset;
  double weight;
};

// Extends each tap along one more axis: linear between the two cells around x, zeros outside.
void extend(std::vector<Tap>& taps, int64_t size, double x) {
  if (!(x > -1 && x < static_cast<double>(size))) return taps.clear();
  const double whole = std::floor(x);
  const auto first = static_cast<int64_t>(whole);
  const double f = x - whole;
  std::vector<Tap> next;
  for (const Tap& tap : taps) {
    if (first >= 0) next.push_back({tap.offset * size + first, tap.weight * (1 - f)});
    if (first + 1 < size) next.push_back({tap.offset * size + first + 1, tap.weight * f});
  }
  taps = std::move(next);
}

struct DeformParams : ConvParams {
  int64_t offset_groups;
  int64_t cells;   // of the window
  int64_t places;  // of the output's plane
};

DeformParams deform_params(EvalContext& c) {
  DeformParams p{conv_params(c.attributes(), c.input(0).dims(), c.input(1).dims()), 0, 0, 0};
  p.offset_groups = c.attributes().i("offset_group", 1);
  p.cells = element_count(p.kernel);
  p.places = element_count(p.output);
  TREADLE_CHECK(p.offset_groups >= 1 && p.in_channels % p.offset_groups == 0, kInvalidModel,
                "offset_group is ", p.offset_groups, " for ", p.in_channels, " channels");
  const int64_t groups = checked_mul(p.offset_groups, p.cells);
  Dims expected{p.batch, checked_mul(groups, static_cast<int64_t>(p.rank()))};
  expected.insert(expected.end(), p.output.begin(), p.output.end());
  TREADLE_CHECK(c.input(2).dims() == expected, kInvalidArgument, "the offsets have shape ",
                shape_text(c.input(2).dims()), ", expected ", shape_text(expected));
  expected[1] = groups;
  TREADLE_CHECK(!c.has(4) || c.input(4).dims() == expected, kInvalidArgument, "the mask has shape ",
                shape_text(c.input(4).dims()), ", expected ", shape_text(expected));
  TREADLE_CHECK(!c.has(3) || c.input(3).dims() == Dims{p.out_channels}, kInvalidArgument,
                "the bias has shape ", shape_text(c.input(3).dims()), ", expected [",
                p.out_channels, "]");
  return p;
}

// What the window of one place reads: for each channel and cell of the window.
template <class T>
class Column {
 public:
  Column(EvalContext& c, const DeformParams& p)
      : p_(p),
        x_(c.input(0).data<T>().data()),
        plane_(element_count(p.input)),
        offsets_(c.input(2).to_doubles()),
        place_(p.rank()),
        cell_(p.rank()),
        values_(static_cast<size_t>(p.in_channels * p.cells)) {
    if (c.has(4)) mask_ = c.input(4).to_doubles();
  }

  const std::vector<double>& at(int64_t batch, int64_t place) {
    unravel(place, p_.output, place_);
    const int64_t channels = p_.in_channels / p_.offset_groups;
    for (int64_t g = 0; g < p_.offset_groups; ++g) {
      for (int64_t k = 0; k < p_.cells; ++k) {
        const int64_t entry = (batch * p_.offset_groups + g) * p_.cells + k;
        find_taps(entry, k, place);
        const double mask =
            mask_.empty() ? 1 : mask_[static_cast<size_t>(entry * p_.places + place)];
        for (int64_t i = g * channels; i < (g + 1) * channels; ++i) {
          const T* plane = x_ + (batch * p_.in_channels + i) * plane_;
          double sum = 0;
          for (const Tap& tap : taps_) sum += tap.weight * static_cast<double>(plane[tap.offset]);
          values_[static_cast<size_t>(i * p_.cells + k)] = sum * mask;
        }
      }
    }
    return values_;
  }

 private:
  void find_taps(int64_t entry, int64_t k, int64_t place) {
    unravel(k, p_.kernel, cell_);
    taps_.assign(1, {0, 1});
    const auto rank = static_cast<int64_t>(p_.rank());
    for (size_t d = 0; d < p_.rank(); ++d) {
      const int64_t whole =
          place_[d] * p_.strides[d] + cell_[d] * p_.dilations[d] - p_.pads_begin[d];
      const int64_t at = (entry * rank + static_cast<int64_t>(d)) * p_.places + place;
      extend(taps_, p_.input[d], static_cast<double>(whole) + offsets_[static_cast<size_t>(at)]);
    }
  }

  const DeformParams& p_;
  const T* x_;
  int64_t plane_;
  std::vector<double> offsets_;
  std::vector<double> mask_;
  Dims place_;
  Dims cell_;
  std::vector<Tap> taps_;
  std::vector<double> values_;
};

void eval_deform_conv(EvalContext& c) {
  const DeformParams p = deform_params(c);
  Tensor& y = c.output(0, p.output_dims());
  const std::vector<double> weights = c.input(1).to_doubles();
  const std::vector<double> bias =
      c.has(3) ? c.input(3).to_doubles()
               : std::vector<double>(static_cast<size_t>(p.out_channels), 0);
  const auto length = static_cast<size_t>(p.group_inputs() * p.cells);
  dispatch(c.dtype(0), FloatTypes{}, [&]<class T>() {
    Column<T> column(c, p);
    T* to = y.data<T>().data();
    for (int64_t n = 0; n < p.batch; ++n) {
      for (int64_t place = 0; place < p.places; ++place) {
        c.poll();
        const std::vector<double>& read = column.at(n, place);
        for (int64_t m = 0; m < p.out_channels; ++m) {
          const double* from = read.data() + static_cast<size_t>(m / p.group_outputs()) * length;
          const double* weight = weights.data() + static_cast<size_t>(m) * length;
          double sum = bias[static_cast<size_t>(m)];
          for (size_t i = 0; i < length; ++i) sum += from[i] * weight[i];
          to[(n * p.out_channels + m) * p.places + place] = convert<T>(sum);
        }
      }
    }
  });
}

constexpr OpDef kRows[] = {
    {.kind = "DeformConv",
     .inputs = "X:T W:T offset:T B?:T mask?:T",
     .outputs = "Y:T",
     .types = "T=floats",
     .attributes = "dilations:is group:i=1 kernel_shape:is offset_group:i=1 pads:is strides:is",
     .infer = infer_deform_conv,
     .eval = eval_deform_conv},
};

}  // namespace

std::span<const OpDef> deform_conv_ops() { return kRows; }

}  // namespace treadle
