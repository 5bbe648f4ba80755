// One resolution for known and symbolic sizes: everything is computed on `Dim`, which an integer is
// too.
#include "graph/ops/conv_params.h"

#include <algorithm>

namespace treadle {
namespace {

enum class AutoPad { kExplicit, kValid, kSameUpper, kSameLower };

AutoPad read_auto_pad(const Attributes& attributes) {
  const std::string text = attributes.s("auto_pad", "NOTSET");
  if (text == "NOTSET" || text.empty()) return AutoPad::kExplicit;
  if (text == "VALID") return AutoPad::kValid;
  if (text == "SAME_UPPER") return AutoPad::kSameUpper;
  TREADLE_CHECK(text == "SAME_LOWER", kInvalidModel, "auto_pad is '", text,
                "', expected NOTSET, VALID, SAME_UPPER or SAME_LOWER");
  return AutoPad::kSameLower;
}

bool is_same(AutoPad pad) { return pad == AutoPad::kSameUpper || pad == AutoPad::kSameLower; }

// An integer list with `count` entries, each at least `least`.
Dims read_list(const Attributes& attributes, const char* name, size_t count, int64_t fallback,
               int64_t least) {
  Dims list = attributes.ints(name);
  if (list.empty()) list.assign(count, fallback);
  TREADLE_CHECK(list.size() == count, kInvalidModel, "attribute ", name, " has ", list.size(),
                " entries, expected ", count);
  for (int64_t v : list) {
    TREADLE_CHECK(v >= least && v <= INT32_MAX, kInvalidModel, "attribute ", name, " is ",
                  shape_text(list), ", expected ", least, " to ", INT32_MAX);
  }
  return list;
}

struct SymbolicWindow {
  AutoPad auto_pad = AutoPad::kExplicit;
  Shape kernel;
  Dims strides;
  Dims dilations;
  Shape pads_begin;
  Shape pads_end;
  Shape input;
  Shape output;

  size_t rank() const { return input.size(); }
  Dim extent(size_t i) const { return (kernel[i] - 1) * dilations[i] + 1; }
};

size_t spatial_rank(const Shape& x) {
  TREADLE_CHECK(x.size() >= 3, kInvalidModel, "input of shape ", shape_text(x),
                " has no spatial axes: expected [N, C, spatial…]");
  return x.size() - 2;
}

SymbolicWindow read_window(const Attributes& attributes, const Shape& x) {
  const size_t rank = spatial_rank(x);
  SymbolicWindow w;
  w.auto_pad = read_auto_pad(attributes);
  w.input.assign(x.begin() + 2, x.end());
  w.strides = read_list(attributes, "strides", rank, 1, 1);
  w.dilations = read_list(attributes, "dilations", rank, 1, 1);
  w.pads_begin.assign(rank, 0);
  w.pads_end.assign(rank, 0);
  if (w.auto_pad == AutoPad::kExplicit) {
    const Dims pads = read_list(attributes, "pads", 2 * rank, 0, 0);
    for (size_t i = 0; i < rank; ++i) {
      w.pads_begin[i] = pads[i];
      w.pads_end[i] = pads[rank + i];
    }
  }
  return w;
}

void read_kernel(SymbolicWindow& w, const Attributes& attributes) {
  TREADLE_CHECK(!attributes.ints("kernel_shape").empty(), kInvalidModel,
                "attribute kernel_shape is missing");
  for (int64_t k : read_list(attributes, "kernel_shape", w.rank(), 1, 1)) w.kernel.emplace_back(k);
}

void read_kernel(SymbolicWindow& w, const Attributes& attributes, const Shape& weights) {
  TREADLE_CHECK(weights.size() == w.rank() + 2, kInvalidModel, "weights of shape ",
                shape_text(weights), " for an input with ", w.rank(),
                " spatial axes: expected rank ", w.rank() + 2);
  w.kernel.assign(weights.begin() + 2, weights.end());
  const Dims given = attributes.ints("kernel_shape");
  TREADLE_CHECK(given.empty() || given.size() == w.rank(), kInvalidModel,
                "attribute kernel_shape is ", shape_text(given), ", expected ", w.rank(),
                " entries");
  for (size_t i = 0; i < w.rank(); ++i) {
    if (!given.empty()) {
      TREADLE_CHECK(!w.kernel[i].known() || w.kernel[i].value() == given[i], kInvalidModel,
                    "kernel_shape is ", shape_text(given), " but the weights have shape ",
                    shape_text(weights));
      w.kernel[i] = given[i];
    }
    TREADLE_CHECK(
        !w.kernel[i].known() || (w.kernel[i].value() >= 1 && w.kernel[i].value() <= INT32_MAX),
        kInvalidModel, "weights of shape ", shape_text(weights), " have an empty kernel");
  }
}

// Splits the padding that SAME needs; the odd cell goes to the end (upper) or to the begin (lower).
// Of a negative one the begin has half, rounded towards zero; what the end has no window reaches.
void split_padding(SymbolicWindow& w, size_t i, const Dim& total, bool odd_at_end) {
  const Dim half = total.known() ? Dim(total.value() / 2) : Dim::floor_div(total, 2);
  const bool cut = total.known() && total.value() < 0;
  w.pads_begin[i] = odd_at_end || cut ? half : total - half;
  w.pads_end[i] = cut ? Dim(0) : odd_at_end ? total - half : half;
}

// Positions of the window on one axis.
Dim window_count(const SymbolicWindow& w, size_t i, bool ceil_mode) {
  const Dim room = w.input[i] + w.pads_begin[i] + w.pads_end[i] - w.extent(i);
  if (w.input[i].is(0)) return 0;
  const Dim count =
      (ceil_mode ? Dim::ceil_div(room, w.strides[i]) : Dim::floor_div(room, w.strides[i])) + 1;
  TREADLE_CHECK(!count.known() || count.value() >= (ceil_mode ? 0 : 1), kInvalidModel,
                "a window of extent ", w.extent(i).text(), " does not fit on spatial axis ", i,
                " of size ", w.input[i].text(), " with pads ", w.pads_begin[i].text(), " and ",
                w.pads_end[i].text());
  if (!ceil_mode) return count;
  // A last window that would begin in the padding at the end does not count; with stride 1 and
  // small pads none does.
  const Dim slack = w.extent(i) - w.pads_end[i];
  if (w.strides[i] == 1 && slack.known() && slack.value() > 0) return count;
  return Dim::min(count, Dim::ceil_div(w.input[i] + w.pads_begin[i], w.strides[i]));
}

// The padding of SAME where the windows leave cells between them: ONNX's formula for the pools may
// be negative; a convolution has none then.
enum class Gaps { kCut, kIgnore };

void slide(SymbolicWindow& w, bool ceil_mode, Gaps gaps) {
  for (size_t i = 0; i < w.rank(); ++i) {
    if (is_same(w.auto_pad)) {
      w.output.push_back(Dim::ceil_div(w.input[i], w.strides[i]));
      const Dim total = (w.output[i] - 1) * w.strides[i] + w.extent(i) - w.input[i];
      split_padding(w, i, gaps == Gaps::kCut ? total : Dim::max(0, total),
                    w.auto_pad == AutoPad::kSameUpper);
    } else {
      w.output.push_back(window_count(w, i, ceil_mode && w.auto_pad == AutoPad::kExplicit));
    }
  }
}

Dims known_dims(const Shape& shape) {
  const auto dims = concrete(shape);
  TREADLE_CHECK(dims.has_value(), kInternal, "sizes ", shape_text(shape), " are not known");
  return *dims;
}

Window known_window(const SymbolicWindow& w) {
  return {.kernel = known_dims(w.kernel),
          .strides = w.strides,
          .dilations = w.dilations,
          .pads_begin = known_dims(w.pads_begin),
          .pads_end = known_dims(w.pads_end),
          .input = known_dims(w.input),
          .output = known_dims(w.output)};
}

int64_t read_group(const Attributes& attributes) {
  const int64_t group = attributes.i("group", 1);
  TREADLE_CHECK(group >= 1 && group <= INT32_MAX, kInvalidModel, "attribute group is ", group,
                ", expected at least 1");
  return group;
}

void check_channels(const Dim& channels, const Dim& expected, const Shape& x, const Shape& w,
                    int64_t group) {
  TREADLE_CHECK(!channels.known() || !expected.known() || channels == expected, kInvalidModel,
                "input of shape ", shape_text(x), " has ", channels.text(),
                " channels, but weights of shape ", shape_text(w), " with group ", group, " take ",
                expected.text());
}

SymbolicWindow conv_window(const Attributes& attributes, const Shape& x, const Shape& w) {
  SymbolicWindow window = read_window(attributes, x);
  read_kernel(window, attributes, w);
  const int64_t group = read_group(attributes);
  check_channels(x[1], w[1] * group, x, w, group);
  TREADLE_CHECK(!w[0].known() || w[0].value() % group == 0, kInvalidModel, "weights of shape ",
                shape_text(w), " give ", w[0].text(), " channels, which group ", group,
                " does not divide");
  slide(window, false, Gaps::kIgnore);
  return window;
}

// The sizes that attribute output_shape asks for; empty when absent. It may hold batch and channels
// too.
Dims read_output_shape(const Attributes& attributes, size_t rank) {
  Dims sizes = attributes.ints("output_shape");
  if (sizes.size() == rank + 2) sizes.erase(sizes.begin(), sizes.begin() + 2);
  TREADLE_CHECK(sizes.empty() || sizes.size() == rank, kInvalidModel, "attribute output_shape has ",
                sizes.size(), " entries, expected ", rank);
  for (int64_t v : sizes) {
    TREADLE_CHECK(v >= 0, kInvalidModel, "attribute output_shape is ", shape_text(sizes));
  }
  return sizes;
}

SymbolicWindow conv_transpose_window(const Attributes& attributes, const Shape& x, const Shape& w) {
  SymbolicWindow window = read_window(attributes, x);
  read_kernel(window, attributes, w);
  check_channels(x[1], w[0], x, w, read_group(attributes));
  TREADLE_CHECK(!x[1].known() || x[1].value() % read_group(attributes) == 0, kInvalidModel,
                "group ", read_group(attributes), " does not divide the ", x[1].text(),
                " channels of the input");
  const size_t rank = window.rank();
  const Dims output_padding = read_list(attributes, "output_padding", rank, 0, 0);
  const Dims wanted = read_output_shape(attributes, rank);
  for (size_t i = 0; i < rank; ++i) {
    const Dim full =
        (window.input[i] - 1) * window.strides[i] + output_padding[i] + window.extent(i);
    if (wanted.empty() && !is_same(window.auto_pad)) {
      window.output.push_back(full - window.pads_begin[i] - window.pads_end[i]);
      TREADLE_CHECK(!window.output[i].known() || window.output[i].value() >= 0, kInvalidModel,
                    "pads ", window.pads_begin[i].text(), " and ", window.pads_end[i].text(),
                    " leave nothing of spatial axis ", i, " of size ", full.text());
      continue;
    }
    window.output.push_back(wanted.empty() ? window.input[i] * window.strides[i] : Dim(wanted[i]));
    split_padding(window, i, Dim::max(0, full - window.output[i]),
                  window.auto_pad == AutoPad::kSameUpper);
  }
  return window;
}

SymbolicWindow pool_window(const Attributes& attributes, const Shape& x) {
  SymbolicWindow window = read_window(attributes, x);
  read_kernel(window, attributes);
  slide(window, attributes.i("ceil_mode", 0) != 0, Gaps::kCut);
  for (size_t i = 0; i < window.rank(); ++i) {
    for (const Dim& pad : {window.pads_begin[i], window.pads_end[i]}) {
      TREADLE_CHECK(
          !pad.known() || pad.value() < window.extent(i).value(), kInvalidModel, "a pad of ",
          pad.text(), " on spatial axis ", i,
          " leaves whole windows in the padding, expected less than the window's extent, ",
          window.extent(i).text());
    }
  }
  return window;
}

Dims with_channels(int64_t batch, int64_t channels, const Dims& spatial) {
  Dims dims{batch, channels};
  dims.insert(dims.end(), spatial.begin(), spatial.end());
  return dims;
}

Shape with_channels(const Dim& batch, const Dim& channels, const Shape& spatial) {
  Shape shape{batch, channels};
  shape.insert(shape.end(), spatial.begin(), spatial.end());
  return shape;
}

}  // namespace

Dims ConvParams::output_dims() const { return with_channels(batch, out_channels, output); }
Dims PoolParams::output_dims() const { return with_channels(batch, channels, output); }

int64_t PoolParams::counted_on_axis(size_t axis, int64_t at) const {
  const int64_t start = at * strides[axis] - pads_begin[axis];
  const int64_t low = count_include_pad ? -pads_begin[axis] : 0;
  const int64_t high = input[axis] + (count_include_pad ? pads_end[axis] : 0);
  const int64_t first = std::max<int64_t>(0, ceil_div(low - start, dilations[axis]));
  const int64_t after = std::min(kernel[axis], floor_div(high - 1 - start, dilations[axis]) + 1);
  return std::max<int64_t>(0, after - first);
}

double PoolParams::counted_in_row(int64_t row) const {
  double count = 1;
  for (size_t i = rank() - 1; i-- > 0;) {
    count *= static_cast<double>(counted_on_axis(i, row % output[i]));
    row /= output[i];
  }
  return count;
}

ConvParams conv_params(const Attributes& attributes, const Dims& x, const Dims& w) {
  ConvParams p;
  static_cast<Window&>(p) = known_window(conv_window(attributes, symbolic(x), symbolic(w)));
  p.batch = x[0];
  p.in_channels = x[1];
  p.out_channels = w[0];
  p.group = read_group(attributes);
  p.output_padding.assign(p.rank(), 0);
  return p;
}

ConvParams conv_transpose_params(const Attributes& attributes, const Dims& x, const Dims& w) {
  ConvParams p;
  static_cast<Window&>(p) =
      known_window(conv_transpose_window(attributes, symbolic(x), symbolic(w)));
  p.batch = x[0];
  p.in_channels = x[1];
  p.group = read_group(attributes);
  p.out_channels = checked_mul(w[1], p.group);
  p.output_padding = read_list(attributes, "output_padding", p.rank(), 0, 0);
  return p;
}

PoolParams pool_params(const Attributes& attributes, const Dims& x) {
  PoolParams p;
  static_cast<Window&>(p) = known_window(pool_window(attributes, symbolic(x)));
  p.batch = x[0];
  p.channels = x[1];
  p.ceil_mode = attributes.i("ceil_mode", 0) != 0;
  p.count_include_pad = attributes.i("count_include_pad", 0) != 0;
  p.column_major = attributes.i("storage_order", 0) != 0;
  return p;
}

PoolParams global_pool_params(const Dims& x) {
  const size_t rank = spatial_rank(symbolic(x));
  PoolParams p;
  p.batch = x[0];
  p.channels = x[1];
  p.input.assign(x.begin() + 2, x.end());
  p.kernel = p.input;
  p.strides.assign(rank, 1);
  p.dilations.assign(rank, 1);
  p.pads_begin.assign(rank, 0);
  p.pads_end.assign(rank, 0);
  p.output.assign(rank, 1);
  return p;
}

Shape conv_shape(const Attributes& attributes, const Shape& x, const Shape& w) {
  return with_channels(x[0], w[0], conv_window(attributes, x, w).output);
}

Shape conv_transpose_shape(const Attributes& attributes, const Shape& x, const Shape& w) {
  const SymbolicWindow window = conv_transpose_window(attributes, x, w);
  return with_channels(x[0], w[1] * read_group(attributes), window.output);
}

Shape pool_shape(const Attributes& attributes, const Shape& x) {
  return with_channels(x[0], x[1], pool_window(attributes, x).output);
}

Shape global_pool_shape(const Shape& x) {
  return with_channels(x[0], x[1], Shape(spatial_rank(x), Dim(1)));
}

ConvParams in_planes(ConvParams p) {
  if (p.rank() != 1) return p;
  for (Dims* one : {&p.kernel, &p.strides, &p.dilations, &p.input, &p.output})
    one->insert(one->begin(), 1);
  for (Dims* none : {&p.pads_begin, &p.pads_end, &p.output_padding}) none->insert(none->begin(), 0);
  return p;
}

}  // namespace treadle
