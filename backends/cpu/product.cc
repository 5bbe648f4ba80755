#include "backends/cpu/product.h"

#include <algorithm>

namespace treadle::cpu {
namespace {

Matrix matrix(Dims dims, bool is_a, bool transposed) {
  transposed = transposed && dims.size() > 1;
  if (dims.size() == 1) dims.insert(is_a ? dims.begin() : dims.end(), 1);
  Matrix m{dims, strides_of(dims)};
  const size_t last = dims.size() - 1;
  if (transposed) {
    std::swap(m.dims[last], m.dims[last - 1]);
    std::swap(m.strides[last], m.strides[last - 1]);
  }
  return m;
}

void widen(Matrix& m, size_t rank) {
  while (m.dims.size() < rank) {
    m.strides.insert(m.strides.begin(), m.dims[0] * m.strides[0]);
    m.dims.insert(m.dims.begin(), 1);
  }
}

void flatten(Product& p) {
  const size_t rank = p.y.size();
  const bool one_b =
      std::all_of(p.b.dims.begin(), p.b.dims.end() - 2, [](int64_t d) { return d == 1; });
  if (rank == 2 || !one_b || p.a.strides[rank - 1] != 1) return;
  const int64_t rows = element_count(p.y) / p.n();
  p.a = {{rows, p.k()}, {p.k(), 1}};
  p.b = {{p.k(), p.n()}, {p.b.strides[rank - 2], p.b.strides[rank - 1]}};
  p.y = {rows, p.n()};
}

}  // namespace

Product product_of(const Attributes& attributes, const Dims& a, const Dims& b) {
  Product p;
  p.a = matrix(a, true, attributes.i("transA", 0) != 0);
  p.b = matrix(b, false, attributes.i("transB", 0) != 0);
  p.scale = attributes.f("alpha", 1);
  p.addend_scale = attributes.f("beta", 1);
  const size_t rank = std::max(p.a.dims.size(), p.b.dims.size());
  widen(p.a, rank);
  widen(p.b, rank);
  for (size_t i = 0; i + 2 < rank; ++i) p.y.push_back(std::max(p.a.dims[i], p.b.dims[i]));
  p.y.push_back(p.a.dims[rank - 2]);
  p.y.push_back(p.b.dims[rank - 1]);
  flatten(p);
  return p;
}

}  // namespace treadle::cpu
