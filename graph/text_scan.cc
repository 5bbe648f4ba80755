#include "graph/text_scan.h"

#include <algorithm>
#include <charconv>

namespace treadle {
namespace {

bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

}  // namespace

char TextScanner::next() {
  while (at_ < text_.size()) {
    if (text_[at_] == '#') {
      at_ = std::min(text_.find('\n', at_), text_.size());
    } else if (is_space(text_[at_])) {
      ++at_;
    } else {
      return text_[at_];
    }
  }
  return 0;
}

bool TextScanner::matches(char c) {
  if (next() != c || at_ >= text_.size()) return false;
  ++at_;
  return true;
}

void TextScanner::expect(char c) {
  if (!matches(c)) wrong("'", c, "'");
}

std::string TextScanner::identifier() {
  if (!is_letter(next())) return "";
  const size_t from = at_;
  while (at_ < text_.size() && (is_letter(text_[at_]) || is_digit(text_[at_]))) ++at_;
  return std::string(text_.substr(from, at_ - from));
}

std::string TextScanner::peek_identifier() {
  const size_t from = at_;
  std::string id = identifier();
  at_ = from;
  return id;
}

std::string TextScanner::name() {
  if (next() == '"') return string();
  std::string id = identifier();
  if (id.empty()) wrong("a name");
  return id;
}

std::string TextScanner::string() {
  if (next() != '"') wrong("a string");
  std::string out;
  for (size_t i = at_ + 1; i < text_.size(); ++i) {
    if (text_[i] == '"') {
      at_ = i + 1;
      return out;
    }
    if (text_[i] == '\\' && i + 1 < text_.size()) ++i;
    out += text_[i];
  }
  error(Code::kInvalidModel, "the string has no end");
}

std::string TextScanner::number(bool& is_integer) {
  next();
  const size_t from = at_;
  size_t i = at_;
  const auto at = [&] { return i < text_.size() ? text_[i] : '\0'; };
  if (at() == '-') ++i;
  is_integer = is_digit(at());
  if (!is_integer) {
    while (is_letter(at())) ++i;  // inf, nan
  } else {
    const auto digits = [&] {
      while (is_digit(at())) ++i;
    };
    digits();
    if (at() == '.') {
      is_integer = false;
      ++i;
      digits();
    }
    if (at() == 'e' || at() == 'E') {
      is_integer = false;
      ++i;
      if (at() == '+' || at() == '-') ++i;
      digits();
    }
  }
  if (i == from) wrong("a number");
  at_ = i;
  return std::string(text_.substr(from, i - from));
}

template <class T>
T TextScanner::parse_number(std::string_view what) {
  next();
  const size_t from = at_;
  bool is_integer = false;
  const std::string text = number(is_integer);
  T value{};
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failure != std::errc() || end != text.data() + text.size()) {
    at_ = from;
    error(Code::kInvalidModel, "expected ", what, ", found '", text, "'");
  }
  return value;
}

int64_t TextScanner::integer() { return parse_number<int64_t>("an integer of 64 bits"); }
uint64_t TextScanner::natural() { return parse_number<uint64_t>("a natural number of 64 bits"); }
double TextScanner::real() { return parse_number<double>("a number that fits double"); }
float TextScanner::real_float() { return parse_number<float>("a number that fits float"); }

std::string TextScanner::place(size_t position) const {
  const std::string_view before = text_.substr(0, std::min(position, text_.size()));
  const auto lines = std::count(before.begin(), before.end(), '\n');
  const size_t start = before.rfind('\n');
  const size_t column = start == std::string_view::npos ? before.size() + 1 : before.size() - start;
  return cat("line ", lines + 1, ", column ", column);
}

std::string TextScanner::found() {
  const char c = next();
  if (c == 0) return "the end";
  const std::string id = peek_identifier();
  return "'" + (id.empty() ? std::string(1, c) : id) + "'";
}

}  // namespace treadle
