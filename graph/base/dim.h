// A dimension: an integer, or an expression over named symbols ("batch", "2*seq + 1",
// "floor(H/2)").
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace treadle {

// An immutable value. Expressions are polynomials over atoms kept in a canonical order, so that
// equal polynomials compare equal: N*2+N == 3*N. An atom is a symbol, or floor(a/b), min, max of
// expressions. An *unknown* dimension is equal to nothing, itself included. Expressions that grow
// beyond a fixed size become unknown.
class Dim {
 public:
  Dim(int64_t value = 0)
      : value_(value) {}  // NOLINT(google-explicit-constructor): integers are dims
  static Dim symbol(std::string_view name);
  static Dim unknown();

  bool known() const { return !expr_; }     // an integer
  bool is_unknown() const;                  // contains an unknown part
  int64_t value() const { return value_; }  // only when known()
  std::optional<int64_t> maybe() const {
    return known() ? std::optional<int64_t>(value_) : std::nullopt;
  }
  std::string text() const;  // "3", "N", "2*N + 1", "?"

  // Equal whatever the symbols stand for. Not provably equal is false.
  bool operator==(const Dim& other) const;
  bool is(int64_t value) const { return known() && value_ == value; }
  // At least 0 whatever sizes the symbols stand for. Not provable is false.
  bool non_negative() const;

  friend Dim operator+(const Dim& a, const Dim& b);
  friend Dim operator-(const Dim& a, const Dim& b);
  friend Dim operator*(const Dim& a, const Dim& b);
  // Rounds towards minus infinity; exact where the polynomial divides. b known and 0 is
  // kInvalidModel.
  static Dim floor_div(const Dim& a, const Dim& b);
  static Dim ceil_div(const Dim& a, const Dim& b);
  static Dim min(const Dim& a, const Dim& b);
  static Dim max(const Dim& a, const Dim& b);

 private:
  struct Expr;
  friend struct DimAlgebra;
  explicit Dim(std::shared_ptr<const Expr> expr) : expr_(std::move(expr)) {}
  int64_t value_ = 0;
  std::shared_ptr<const Expr> expr_;  // null when known
};

}  // namespace treadle
