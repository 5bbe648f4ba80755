#include "backends/cpu/native/panels.h"

#include <algorithm>
#include <cstring>

#include "backends/cpu/simd/halves.h"
#include "backends/cpu/simd/product.h"
#include "graph/base/lasting.h"

namespace treadle::cpu {
namespace {

// Borrowed elements may lie at any address.
Tensor aligned(const Tensor& t) {
  return reinterpret_cast<uintptr_t>(t.raw()) % alignof(float) == 0 ? t : t.clone();
}

// Of whole panels.
int64_t panel_numbers(const PanelSource& m) {
  const auto panel = static_cast<int64_t>(gemm_functions().panel);
  return checked_mul(checked_mul(ceil_div(m.n, panel), panel), m.k);
}

// Columns after the last whole vector of them, where dot products (each sums up a vector at its
// end) take less time than a vector of which most is padding.
int64_t tail_columns(const PanelSource& m) {
  const auto lanes = static_cast<int64_t>(gemm_functions().lanes);
  constexpr int64_t kSumUp = 12;
  const int64_t count = m.n % lanes;
  return count * (ceil_div(m.k, lanes) + kSumUp) < m.k ? count : 0;
}

std::shared_ptr<Buffer> pack(const Tensor& source, const PanelSource& m, int64_t tail) {
  const ProductFunctions& f = product_functions();
  const auto panel = static_cast<int64_t>(f.panel);
  const int64_t whole = panel_numbers(m), all = whole + tail * m.k;
  auto buffer = allocate_lasting(static_cast<size_t>(byte_size(DType::kFloat, all)));
  const std::span to(reinterpret_cast<float*>(buffer->data()), static_cast<size_t>(all));
  const Tensor plain = aligned(source);
  const float* from = plain.data<float>().data() + m.at;
  // Few rows at a time are few pages at a time; columns that are contiguous are read along.
  const int64_t most = m.row == 1 ? m.k : 16;
  for (int64_t k = 0; k < m.k; k += most) {
    const int64_t rows = std::min(most, m.k - k);
    for (int64_t c = 0; c < m.n; c += panel) {
      f.pack({.from = from + k * m.row + c * m.column,
              .row = static_cast<size_t>(m.row),
              .column = static_cast<size_t>(m.column),
              .k = static_cast<size_t>(rows),
              .columns = static_cast<size_t>(std::min(panel, m.n - c))},
             to.data() + c * m.k + k * panel);
    }
  }
  float* end = to.data() + whole;
  for (int64_t c = m.n - tail; c < m.n; ++c) {
    for (int64_t k = 0; k < m.k; ++k) *end++ = from[k * m.row + c * m.column];
  }
  if (m.scale != 1) std::ranges::for_each(to, [&](float& x) { x *= m.scale; });
  return buffer;
}

Panels floats(const PanelSource& m, std::shared_ptr<Buffer> numbers) {
  return {.numbers = std::move(numbers), .tail_at = tail_columns(m) == 0 ? 0 : panel_numbers(m)};
}

std::string key_of(const char* what, const PanelSource& m) {
  return cat(what, " of ", gemm_functions().panel, ": ", m.n, " ", m.k, " ", m.row, " ", m.column,
             " ", m.at, " ", m.scale);
}

// False where a number does not come back the same.
template <class T, class Narrow, class Widen>
bool narrow_exactly(std::span<const float> from, T* to, Narrow narrow, Widen widen) {
  constexpr size_t kBlock = 1024;
  float back[kBlock];
  for (size_t at = 0; at < from.size(); at += kBlock) {
    const size_t n = std::min(kBlock, from.size() - at);
    narrow(from.data() + at, to + at, n);
    widen(to + at, back, n);
    if (std::memcmp(back, from.data() + at, n * sizeof(float)) != 0) return false;
  }
  return true;
}

bool narrow(std::span<const float> from, PanelForm form, std::byte* to) {
  const HalfFunctions& f = half_functions();
  if (form == PanelForm::kFloat16)
    return narrow_exactly(from, reinterpret_cast<Float16*>(to), f.narrow_float16, f.widen_float16);
  return narrow_exactly(from, reinterpret_cast<Bfloat16*>(to), f.narrow_bfloat16, f.widen_bfloat16);
}

// Null where the numbers need more. Behind them stands the form.
std::shared_ptr<Buffer> narrowed(const Buffer& panels) {
  const std::span from(reinterpret_cast<const float*>(panels.data()),
                       panels.size() / sizeof(float));
  auto buffer = allocate_lasting(from.size() * sizeof(uint16_t) + 1);
  for (const PanelForm form : {PanelForm::kFloat16, PanelForm::kBfloat16}) {
    buffer->data()[buffer->size() - 1] = static_cast<std::byte>(form);
    if (narrow(from, form, buffer->data())) return buffer;
  }
  return nullptr;
}

// Whether the first numbers have 16 bits: those of models that were trained in float seldom do.
bool may_be_narrow(const Tensor& source, const PanelSource& m) {
  const Tensor plain = aligned(source);
  const int64_t count = std::min<int64_t>(16, plain.count() - m.at);
  std::vector<float> first;
  for (int64_t i = 0; i < count; ++i)
    first.push_back(plain.data<float>()[static_cast<size_t>(m.at + i)] * m.scale);
  std::vector<std::byte> to(first.size() * sizeof(uint16_t));
  return narrow(first, PanelForm::kFloat16, to.data()) ||
         narrow(first, PanelForm::kBfloat16, to.data());
}

}  // namespace

Panels packed_panels(const Tensor& source, const PanelSource& m, const CompileContext& context) {
  return floats(m, packed(context, source, key_of("panels", m),
                          [&](const Tensor& plain) { return pack(plain, m, tail_columns(m)); }));
}

Panels narrow_panels(const Tensor& source, const PanelSource& m, const CompileContext& context) {
  const auto whole = [&](const Tensor& plain) { return pack(plain, m, tail_columns(m)); };
  const auto make = [&](const Tensor& plain) -> std::shared_ptr<Buffer> {
    if (may_be_narrow(plain, m)) {
      if (auto buffer = narrowed(*pack(plain, m, 0))) return buffer;
    }
    if (context.packs == nullptr) return whole(plain);
    return context.packs->get(source, key_of("panels", m), whole);
  };
  auto buffer = packed(context, source, key_of("narrow panels", m), make);
  if (buffer->size() % sizeof(uint16_t) == 0) return floats(m, std::move(buffer));
  const auto form = static_cast<PanelForm>(buffer->data()[buffer->size() - 1]);
  return {.numbers = std::move(buffer), .form = form};
}

}  // namespace treadle::cpu
