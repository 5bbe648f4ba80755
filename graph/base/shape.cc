#include "graph/base/shape.h"

#include <algorithm>

namespace treadle {

int64_t element_count(const Dims& dims) {
  int64_t count = 1;
  bool empty = false;
  for (int64_t d : dims) {
    TREADLE_CHECK(d >= 0, kInvalidArgument, "negative dimension in shape ", shape_text(dims));
    empty = empty || d == 0;
    if (d != 0) count = checked_mul(count, d);
  }
  return empty ? 0 : count;
}

Dims strides_of(const Dims& dims) {
  Dims strides(dims.size());
  int64_t stride = 1;
  for (size_t i = dims.size(); i-- > 0;) {
    strides[i] = stride;
    stride = checked_mul(stride, std::max<int64_t>(dims[i], 1));
  }
  return strides;
}

std::string shape_text(const Dims& dims) { return shape_text(symbolic(dims)); }

std::string shape_text(const Shape& shape) {
  std::string out = "[";
  for (size_t i = 0; i < shape.size(); ++i) out += (i != 0 ? ", " : "") + shape[i].text();
  return out + "]";
}

bool is_static(const Shape& shape) {
  return std::all_of(shape.begin(), shape.end(), [](const Dim& d) { return d.known(); });
}

std::optional<Dims> concrete(const Shape& shape) {
  if (!is_static(shape)) return std::nullopt;
  Dims dims;
  dims.reserve(shape.size());
  for (const Dim& d : shape) dims.push_back(d.value());
  return dims;
}

Shape symbolic(const Dims& dims) { return {dims.begin(), dims.end()}; }

namespace {
// a = min(integer, b). Beside b that is b, or the run is in error: a table of positions cut to the
// length.
bool is_capped(const Dim& a, const Dim& b) {
  const std::string text = a.text(), end = ", " + b.text() + ")";
  if (!text.starts_with("min(") || !text.ends_with(end) || b.is_unknown()) return false;
  const std::string cap = text.substr(4, text.size() - 4 - end.size());
  return !cap.empty() && cap.find_first_not_of("0123456789") == std::string::npos;
}

Dim broadcast_dim(const Dim& a, const Dim& b) {
  if (a.is(1)) return b;
  if (b.is(1)) return a;
  if (a == b) return a;
  // A symbol beside an integer other than 1 can only be that integer (or 1, which gives the integer
  // too).
  if (a.known() && !b.known()) return a;
  if (b.known() && !a.known()) return b;
  if (a.known() && b.known()) fail(Code::kInvalidArgument, a.text(), " and ", b.text());
  if (is_capped(a, b)) return b;
  if (is_capped(b, a)) return a;
  return Dim::unknown();
}
}  // namespace

Shape broadcast(const Shape& a, const Shape& b) {
  const size_t rank = std::max(a.size(), b.size());
  Shape out(rank);
  for (size_t i = 0; i < rank; ++i) {
    const Dim da = i < rank - a.size() ? Dim(1) : a[i - (rank - a.size())];
    const Dim db = i < rank - b.size() ? Dim(1) : b[i - (rank - b.size())];
    TREADLE_CHECK(!(da.known() && db.known()) || da.is(1) || db.is(1) || da == db, kInvalidArgument,
                  "shapes ", shape_text(a), " and ", shape_text(b), " do not broadcast");
    out[i] = broadcast_dim(da, db);
  }
  return out;
}

Dims broadcast(const Dims& a, const Dims& b) {
  return *concrete(broadcast(symbolic(a), symbolic(b)));
}

Dims broadcast_strides(const Dims& dims, const Dims& target) {
  Dims out(target.size(), 0);
  const Dims own = strides_of(dims);
  bool fits = dims.size() <= target.size();
  for (size_t i = dims.size(), k = target.size(); fits && i-- > 0;) {
    --k;
    fits = dims[i] == 1 || dims[i] == target[k];
    out[k] = dims[i] == 1 ? 0 : own[i];
  }
  TREADLE_CHECK(fits, kInvalidArgument, "shape ", shape_text(dims), " does not broadcast to ",
                shape_text(target));
  return out;
}

}  // namespace treadle
