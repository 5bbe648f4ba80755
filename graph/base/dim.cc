#include "graph/base/dim.h"

#include <algorithm>

#include "graph/base/checked.h"

namespace treadle {

// A polynomial in text form: monomial ("" for the constant, "N", "N*floor(H/2)") to its
// coefficient. Atoms are spelled canonically, so a monomial is the sorted list of its atoms' texts.
struct Dim::Expr {
  std::map<std::vector<std::string>, int64_t> terms;
  bool unknown = false;
};

namespace {
constexpr size_t kMaxTerms = 16;
constexpr size_t kMaxText = 160;
}  // namespace

struct DimAlgebra {
  using Terms = std::map<std::vector<std::string>, int64_t>;

  static Terms terms(const Dim& d) {
    if (!d.known()) return d.expr_->terms;
    Terms t;
    if (d.value_ != 0) t[{}] = d.value_;
    return t;
  }

  static Dim make(Terms t) {
    std::erase_if(t, [](const auto& term) { return term.second == 0; });
    if (t.empty()) return Dim(0);
    if (t.size() == 1 && t.begin()->first.empty()) return Dim(t.begin()->second);
    if (t.size() > kMaxTerms) return Dim::unknown();
    auto expr = std::make_shared<Dim::Expr>();
    expr->terms = std::move(t);
    Dim result(std::move(expr));
    return result.text().size() > kMaxText ? Dim::unknown() : result;
  }

  static Dim atom(std::string text) { return make({{{std::move(text)}, 1}}); }

  // Whatever the symbols (which are >= 0) stand for; a text without a minus has nothing to make it
  // negative.
  static bool is_non_negative(const Dim& d) { return d.text().find('-') == std::string::npos; }

  // The factor that every coefficient is divisible by, when it is divisible by `divisor`.
  static bool divides(const Terms& t, int64_t divisor) {
    return std::all_of(t.begin(), t.end(),
                       [&](const auto& term) { return term.second % divisor == 0; });
  }
};

Dim Dim::symbol(std::string_view name) { return DimAlgebra::atom(std::string(name)); }

Dim Dim::unknown() {
  static const auto expr = [] {
    auto e = std::make_shared<Expr>();
    e->unknown = true;
    return e;
  }();
  return Dim(expr);
}

bool Dim::is_unknown() const { return expr_ && expr_->unknown; }

bool Dim::operator==(const Dim& other) const {
  if (known() || other.known()) return known() && other.known() && value_ == other.value_;
  return !expr_->unknown && !other.expr_->unknown && expr_->terms == other.expr_->terms;
}

bool Dim::non_negative() const {
  if (known()) return value_ >= 0;
  // Symbols are sizes, so only a subtraction (in a coefficient or within an atom) can lead below 0.
  return !expr_->unknown && text().find('-') == std::string::npos;
}

std::string Dim::text() const {
  if (known()) return std::to_string(value_);
  if (expr_->unknown) return "?";
  std::string out;
  for (auto it = expr_->terms.rbegin(); it != expr_->terms.rend(); ++it) {
    const auto& [atoms, coefficient] = *it;
    if (!out.empty()) out += coefficient < 0 ? " - " : " + ";
    const uint64_t magnitude = coefficient < 0 ? 0 - static_cast<uint64_t>(coefficient)
                                               : static_cast<uint64_t>(coefficient);
    if (out.empty() && coefficient < 0) out += "-";
    if (magnitude != 1 || atoms.empty())
      out += std::to_string(magnitude) + (atoms.empty() ? "" : "*");
    for (size_t i = 0; i < atoms.size(); ++i) out += (i != 0 ? "*" : "") + atoms[i];
  }
  return out;
}

Dim operator+(const Dim& a, const Dim& b) {
  if (a.known() && b.known()) return checked_add(a.value_, b.value_);
  if (a.is_unknown() || b.is_unknown()) return Dim::unknown();
  auto sum = DimAlgebra::terms(a);
  for (const auto& [atoms, c] : DimAlgebra::terms(b)) sum[atoms] = checked_add(sum[atoms], c);
  return DimAlgebra::make(std::move(sum));
}

Dim operator-(const Dim& a, const Dim& b) { return a + b * Dim(-1); }

Dim operator*(const Dim& a, const Dim& b) {
  if (a.known() && b.known()) return checked_mul(a.value_, b.value_);
  if (a.is(0) || b.is(0)) return 0;
  if (a.is_unknown() || b.is_unknown()) return Dim::unknown();
  DimAlgebra::Terms product;
  for (const auto& [x, cx] : DimAlgebra::terms(a)) {
    for (const auto& [y, cy] : DimAlgebra::terms(b)) {
      std::vector<std::string> atoms = x;
      atoms.insert(atoms.end(), y.begin(), y.end());
      std::sort(atoms.begin(), atoms.end());
      product[atoms] = checked_add(product[atoms], checked_mul(cx, cy));
    }
  }
  return DimAlgebra::make(std::move(product));
}

Dim Dim::floor_div(const Dim& a, const Dim& b) {
  TREADLE_CHECK(!b.is(0), kInvalidModel, "division of a dimension by 0");
  if (a.known() && b.known() && b.value_ > 0) return treadle::floor_div(a.value_, b.value_);
  if (a.is_unknown() || b.is_unknown() || (b.known() && b.value_ < 0)) return unknown();
  if (b.is(1)) return a;
  if (a == b) return 1;
  auto numerator = DimAlgebra::terms(a);
  if (b.known() && DimAlgebra::divides(numerator, b.value_)) {
    for (auto& term : numerator) term.second /= b.value_;
    return DimAlgebra::make(std::move(numerator));
  }
  const auto denominator = DimAlgebra::terms(b);
  if (!b.known() && denominator.size() == 1) {  // 6*N*M / (2*N): divide each monomial where it goes
    const auto& [atoms, coefficient] = *denominator.begin();
    DimAlgebra::Terms quotient;
    bool exact = coefficient > 0;
    for (const auto& [monomial, c] : numerator) {
      std::vector<std::string> rest;
      exact = exact && c % coefficient == 0 &&
              std::includes(monomial.begin(), monomial.end(), atoms.begin(), atoms.end());
      if (!exact) break;
      std::set_difference(monomial.begin(), monomial.end(), atoms.begin(), atoms.end(),
                          std::back_inserter(rest));
      quotient[rest] = c / coefficient;
    }
    if (exact) return DimAlgebra::make(std::move(quotient));
  }
  return DimAlgebra::atom("floor((" + a.text() + ")/(" + b.text() + "))");
}

Dim Dim::ceil_div(const Dim& a, const Dim& b) {
  if (a.known() && b.known() && b.value_ > 0) return treadle::ceil_div(a.value_, b.value_);
  return floor_div(a + b - 1, b);
}

Dim Dim::min(const Dim& a, const Dim& b) {
  if (a.known() && b.known()) return std::min(a.value_, b.value_);
  if (a.is_unknown() || b.is_unknown()) return unknown();
  if (a == b) return a;
  return DimAlgebra::atom("min(" + std::min(a.text(), b.text()) + ", " +
                          std::max(a.text(), b.text()) + ")");
}

Dim Dim::max(const Dim& a, const Dim& b) {
  if (a.known() && b.known()) return std::max(a.value_, b.value_);
  if (a.is_unknown() || b.is_unknown()) return unknown();
  if (a == b) return a;
  if (a.known() && a.value() <= 0 && DimAlgebra::is_non_negative(b)) return b;
  if (b.known() && b.value() <= 0 && DimAlgebra::is_non_negative(a)) return a;
  return DimAlgebra::atom("max(" + std::min(a.text(), b.text()) + ", " +
                          std::max(a.text(), b.text()) + ")");
}

}  // namespace treadle
