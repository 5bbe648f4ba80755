// Pad and CenterCropPad: an output index is an input index or the fill value, axis by axis.
#include <algorithm>

#include "graph/ops/axes.h"
#include "graph/ops/families.h"
#include "graph/ops/move.h"
#include "graph/ops/op.h"

namespace treadle {
namespace {

enum class PadMode { kConstant, kReflect, kEdge, kWrap };

PadMode pad_mode(const Attributes& attributes) {
  const std::string mode = attributes.s("mode", "constant");
  if (mode == "constant") return PadMode::kConstant;
  if (mode == "reflect") return PadMode::kReflect;
  if (mode == "edge") return PadMode::kEdge;
  if (mode == "wrap") return PadMode::kWrap;
  fail(Code::kInvalidModel, "mode is '", mode, "', expected constant, reflect, edge or wrap");
}

// One axis: where each output index comes from, -1 for the fill value. Negative pads crop before
// the rest pads; what they crop beyond the dimension comes off the other side's padding.
std::vector<int64_t> pad_map(int64_t dim, int64_t before, int64_t after, PadMode mode) {
  const int64_t out = checked_add(checked_add(dim, before), after);
  TREADLE_CHECK(out >= 0, kInvalidData, "pads ", before, " and ", after,
                " crop more than the dimension ", dim);
  const int64_t first = std::min(before < 0 ? checked_sub(0, before) : 0, dim);
  const int64_t last = std::max(checked_add(dim, std::min<int64_t>(after, 0)), first);
  const int64_t kept = last - first;
  const int64_t lead = std::min(std::max<int64_t>(before, 0), out);
  TREADLE_CHECK(kept > 0 || out == 0 || mode == PadMode::kConstant, kInvalidData, "mode ",
                "needs elements to repeat, but a padded dimension is 0");
  std::vector<int64_t> map(static_cast<size_t>(out));
  const int64_t period = std::max<int64_t>(1, 2 * (kept - 1));
  for (int64_t i = 0; i < out; ++i) {
    int64_t at = i - lead;
    if (at < 0 || at >= kept) {
      switch (mode) {
        case PadMode::kConstant: at = -1; break;
        case PadMode::kEdge: at = std::clamp<int64_t>(at, 0, kept - 1); break;
        case PadMode::kWrap: at = (at % kept + kept) % kept; break;
        case PadMode::kReflect:
          at = (at % period + period) % period;
          at = std::min(at, period - at);
          if (kept == 1) at = 0;
          break;
      }
    }
    map[static_cast<size_t>(i)] = at < 0 ? -1 : at + first;
  }
  return map;
}

// Fills `to`, whose dims are the sizes of the maps. `fill` has one element.
void copy_mapped(const Tensor& from, std::vector<std::vector<int64_t>> maps, const Tensor& fill,
                 Tensor& to) {
  if (to.count() == 0) return;
  if (maps.empty()) return copy_elements(from, to);
  const Dims strides = strides_of(from.dims());
  for (size_t d = 0; d < maps.size(); ++d) {
    for (int64_t& at : maps[d]) at = at < 0 ? -1 : at * strides[d];
  }
  const std::vector<int64_t>& last = maps.back();
  const Dims outer(to.dims().begin(), to.dims().end() - 1);
  const int64_t rows = element_count(outer);
  move_elements({&from, &fill}, to, [&]<class T>(const std::vector<const T*>& source, T* target) {
    const T value = *source[1];
    Dims index(outer.size(), 0);
    for (int64_t row = 0; row < rows; ++row) {
      int64_t base = 0;
      for (size_t d = 0; d < outer.size() && base >= 0; ++d) {
        const int64_t at = maps[d][static_cast<size_t>(index[d])];
        base = at < 0 ? -1 : base + at;
      }
      for (int64_t at : last) *target++ = base < 0 || at < 0 ? value : source[0][base + at];
      for (size_t d = outer.size(); d-- > 0;) {
        if (++index[d] < outer[d]) break;
        index[d] = 0;
      }
    }
  });
}

Dims mapped_dims(const std::vector<std::vector<int64_t>>& maps) {
  Dims dims;
  for (const auto& m : maps) dims.push_back(static_cast<int64_t>(m.size()));
  return dims;
}

// Before anything is allocated: the output's size must be representable.
void check_count(const std::vector<std::pair<int64_t, int64_t>>& pads, const Dims& dims) {
  Dims out = dims;
  for (size_t d = 0; d < dims.size(); ++d) {
    out[d] = std::max<int64_t>(0, checked_add(checked_add(dims[d], pads[d].first), pads[d].second));
  }
  element_count(out);
}

std::vector<int64_t> all_axes(int64_t rank) {
  std::vector<int64_t> axes;
  for (int64_t i = 0; i < rank; ++i) axes.push_back(i);
  return axes;
}

void infer_pad(InferContext& c) {
  pad_mode(c.attributes());
  Shape shape = c.shape(0);
  const auto* pads = c.values(1);
  const auto given = c.ints(3);
  const bool unknown_axes = c.has(3) && !given;
  if (pads == nullptr || unknown_axes) {
    for (Dim& d : shape) d = Dim::unknown();
    return c.set_shape(0, shape);
  }
  const std::vector<int64_t> axes = given ? distinct_axes(*given, c.rank(0)) : all_axes(c.rank(0));
  TREADLE_CHECK(pads->size() == 2 * axes.size(), kInvalidModel, "'pads' has ", pads->size(),
                " entries for ", axes.size(), " axes");
  for (size_t i = 0; i < axes.size(); ++i) {
    Dim& d = shape[static_cast<size_t>(axes[i])];
    d = d + (*pads)[i] + (*pads)[i + axes.size()];
  }
  c.set_shape(0, shape);
}

void eval_pad(EvalContext& c) {
  const Tensor& x = c.input(0);
  const PadMode mode = pad_mode(c.attributes());
  const std::vector<int64_t> pads = c.input(1).to_ints();
  const std::vector<int64_t> axes =
      c.has(3) ? distinct_axes(c.input(3).to_ints(), x.rank()) : all_axes(x.rank());
  TREADLE_CHECK(pads.size() == 2 * axes.size(), kInvalidData, "'pads' has ", pads.size(),
                " entries for ", axes.size(), " axes");
  std::vector<std::pair<int64_t, int64_t>> of_axis(x.dims().size());
  for (size_t i = 0; i < axes.size(); ++i) {
    of_axis[static_cast<size_t>(axes[i])] = {pads[i], pads[i + axes.size()]};
  }
  check_count(of_axis, x.dims());
  std::vector<std::vector<int64_t>> maps;
  for (size_t d = 0; d < of_axis.size(); ++d) {
    maps.push_back(pad_map(x.dim(d), of_axis[d].first, of_axis[d].second, mode));
  }
  const Tensor fill = c.has(2) ? c.input(2) : Tensor::zeros(x.dtype(), {});
  TREADLE_CHECK(fill.count() == 1, kInvalidData, "'constant_value' has ", fill.count(),
                " elements, expected 1");
  copy_mapped(x, maps, fill, c.output(0, mapped_dims(maps)));
}

// ---- CenterCropPad

std::vector<int64_t> crop_axes(const Attributes& attributes, int64_t rank) {
  return attributes.has("axes") ? distinct_axes(attributes.ints("axes"), rank) : all_axes(rank);
}

void infer_center_crop_pad(InferContext& c) {
  Shape shape = c.shape(0);
  const std::vector<int64_t> axes = crop_axes(c.attributes(), c.rank(0));
  const auto* sizes = c.values(1);
  TREADLE_CHECK(sizes == nullptr || sizes->size() == axes.size(), kInvalidModel,
                "'shape' has the wrong length for ", axes.size(), " axes");
  for (size_t i = 0; i < axes.size(); ++i) {
    shape[static_cast<size_t>(axes[i])] = sizes != nullptr ? (*sizes)[i] : Dim::unknown();
  }
  c.set_shape(0, shape);
}

void eval_center_crop_pad(EvalContext& c) {
  const Tensor& x = c.input(0);
  const std::vector<int64_t> axes = crop_axes(c.attributes(), x.rank());
  const std::vector<int64_t> sizes = c.input(1).to_ints();
  TREADLE_CHECK(sizes.size() == axes.size(), kInvalidData, "'shape' has ", sizes.size(),
                " entries for ", axes.size(), " axes");
  std::vector<std::pair<int64_t, int64_t>> pads(x.dims().size());
  for (size_t i = 0; i < axes.size(); ++i) {
    const auto axis = static_cast<size_t>(axes[i]);
    TREADLE_CHECK(sizes[i] >= 0, kInvalidData, "a size of ", sizes[i], ": expected at least 0");
    const int64_t more = sizes[i] - x.dim(axis);
    const int64_t before = more < 0 ? -(-more / 2) : more / 2;  // an odd element goes after
    pads[axis] = {before, more - before};
  }
  check_count(pads, x.dims());
  std::vector<std::vector<int64_t>> maps;
  for (size_t d = 0; d < pads.size(); ++d) {
    maps.push_back(pad_map(x.dim(d), pads[d].first, pads[d].second, PadMode::kConstant));
  }
  copy_mapped(x, maps, Tensor::zeros(x.dtype(), {}), c.output(0, mapped_dims(maps)));
}

constexpr OpDef kRows[] = {
    {.kind = "Pad",
     .inputs = "data:T pads:int64 constant_value?:T axes?:Tind",
     .outputs = "output:T",
     .types = "T=all Tind=int32,int64",
     .attributes = "mode:s=constant",
     .infer = infer_pad,
     .eval = eval_pad},
    {.kind = "CenterCropPad",
     .inputs = "input_data:T shape:Tind",
     .outputs = "output_data:T",
     .types = "T=all Tind=int32,int64",
     .attributes = "axes:is",
     .infer = infer_center_crop_pad,
     .eval = eval_center_crop_pad},
};

}  // namespace

std::span<const OpDef> pad_ops() { return kRows; }

}  // namespace treadle
