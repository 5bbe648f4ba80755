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

// Whether dot products, each of which sums up a vector at its end, take less time than a vector of
// columns that is padding for the most part.
bool turns(const PanelSource& m) {
  const auto lanes = static_cast<int64_t>(gemm_functions().lanes);
  constexpr int64_t kSumUp = 12;
  return m.n < lanes && m.n * (ceil_div(m.k, lanes) + kSumUp) < m.k;
}

std::shared_ptr<Buffer> turned(const Tensor& source, const PanelSource& m) {
  auto buffer = allocate_lasting(static_cast<size_t>(byte_size(DType::kFloat, m.n * m.k)));
  auto* to = reinterpret_cast<float*>(buffer->data());
  const Tensor plain = aligned(source);
  const float* from = plain.data<float>().data() + m.at;
  for (int64_t c = 0; c < m.n; ++c) {
    for (int64_t k = 0; k < m.k; ++k) *to++ = m.scale * from[k * m.row + c * m.column];
  }
  return buffer;
}

std::shared_ptr<Buffer> pack(const Tensor& source, const PanelSource& m) {
  const ProductFunctions& f = product_functions();
  const auto panel = static_cast<int64_t>(f.panel);
  const int64_t columns = checked_mul(ceil_div(m.n, panel), panel);
  auto buffer =
      allocate_lasting(static_cast<size_t>(byte_size(DType::kFloat, checked_mul(columns, m.k))));
  const std::span to(reinterpret_cast<float*>(buffer->data()), static_cast<size_t>(columns * m.k));
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
  if (m.scale != 1) std::ranges::for_each(to, [&](float& x) { x *= m.scale; });
  return buffer;
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
  const bool turn = turns(m);
  auto numbers = packed(context, source, key_of("panels", m), [&](const Tensor& plain) {
    return turn ? turned(plain, m) : pack(plain, m);
  });
  return {.numbers = std::move(numbers), .form = turn ? PanelForm::kTurned : PanelForm::kFloat};
}

Panels narrow_panels(const Tensor& source, const PanelSource& m, const CompileContext& context) {
  if (turns(m)) return packed_panels(source, m, context);
  const auto whole = [&](const Tensor& plain) { return pack(plain, m); };
  const auto make = [&](const Tensor& plain) -> std::shared_ptr<Buffer> {
    if (may_be_narrow(plain, m)) {
      if (auto buffer = narrowed(*pack(plain, m))) return buffer;
    }
    if (context.packs == nullptr) return whole(plain);
    return context.packs->get(source, key_of("panels", m), whole);
  };
  auto buffer = packed(context, source, key_of("narrow panels", m), make);
  const bool wide = buffer->size() % sizeof(uint16_t) == 0;
  const auto form =
      wide ? PanelForm::kFloat : static_cast<PanelForm>(buffer->data()[buffer->size() - 1]);
  return {.numbers = std::move(buffer), .form = form};
}

}  // namespace treadle::cpu
