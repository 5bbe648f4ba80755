// The words of the text form: identifiers, literals and punctuation, with their place.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "graph/base/tensor.h"
#include "graph/type.h"

namespace treadle {

class TextScanner {
 public:
  explicit TextScanner(std::string_view text) : text_(text) {}

  char next();           // the next character that is no space or comment; 0 at the end
  bool matches(char c);  // takes it when it is next
  void expect(char c);
  bool at_end() { return next() == 0; }
  std::string identifier();  // "" when none is next
  std::string peek_identifier();
  std::string name();    // an identifier or a quoted string
  std::string string();  // a quoted string
  // The text of a number: "-12", "1e-3", "nan". `is_integer` tells the kind.
  std::string number(bool& is_integer);
  int64_t integer();
  uint64_t natural();
  double real();
  float real_float();

  size_t position() const { return at_; }
  std::string place(size_t position) const;  // "line 3, column 7"
  // Throws `code` with the place of what is next.
  template <class... Parts>
  [[noreturn]] void error(Code code, const Parts&... parts) {
    next();
    fail(code, place(at_), ": ", parts...);
  }
  template <class... Parts>
  [[noreturn]] void wrong(const Parts&... expected) {
    error(Code::kInvalidModel, "expected ", expected..., ", found ", found());
  }

 private:
  std::string found();
  template <class T>
  T parse_number(std::string_view what);
  std::string_view text_;
  size_t at_ = 0;
};

bool is_type_word(std::string_view word);  // begins a type
Type read_type(TextScanner& in);
// Elements in `{}` of a type with integer dimensions; 16-bit and smaller floats are bit patterns.
Tensor read_tensor(TextScanner& in, const Type& type);

}  // namespace treadle
