#include "graph/ops/stack.h"

#include <algorithm>

#include "graph/ops/move.h"

namespace treadle {

Type merge_types(const Type& a, const Type& b) {
  if (a.kind != b.kind) {
    // A branch may give a value where the other gives an optional of it.
    return a.kind == Type::Kind::kOptional ? a : b;
  }
  Type out = a;
  if (a.is_tensor()) {
    if (out.dtype == DType::kUndefined) out.dtype = b.dtype;
    const bool same_rank = a.shape && b.shape && a.shape->size() == b.shape->size();
    if (!same_rank) out.shape.reset();
    for (size_t d = 0; same_rank && d < a.shape->size(); ++d) {
      if (!((*a.shape)[d] == (*b.shape)[d])) (*out.shape)[d] = Dim::unknown();
    }
  } else if (a.element && b.element) {
    out.element = std::make_shared<Type>(merge_types(*a.element, *b.element));
  } else if (!a.element) {
    out.element = b.element;
  }
  return out;
}

Tensor stack_tensors(const std::vector<Tensor>& parts, int64_t axis, bool reversed) {
  const Tensor& first = parts.front();
  for (const Tensor& t : parts) {
    TREADLE_CHECK(t.dtype() == first.dtype() && t.dims() == first.dims(), kInvalidData,
                  "cannot stack ", dtype_name(first.dtype()), shape_text(first.dims()), " and ",
                  dtype_name(t.dtype()), shape_text(t.dims()));
  }
  const auto at = static_cast<size_t>(resolve_axis(axis, first.rank() + 1));
  Dims dims = first.dims();
  dims.insert(dims.begin() + static_cast<ptrdiff_t>(at), static_cast<int64_t>(parts.size()));
  const int64_t outer = product(dims, 0, at);
  const int64_t inner = product(dims, at + 1, dims.size());
  std::vector<const Tensor*> sources;
  for (const Tensor& t : parts) sources.push_back(&t);
  if (reversed) std::reverse(sources.begin(), sources.end());
  Tensor out(first.dtype(), dims);
  move_elements(sources, out, [&]<class T>(const std::vector<const T*>& from, T* to) {
    for (int64_t o = 0; o < outer; ++o) {
      for (const T* part : from) to = std::copy_n(part + o * inner, inner, to);
    }
  });
  return out;
}

}  // namespace treadle
