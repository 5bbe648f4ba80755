#include "training/words.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <sstream>

#include "graph/base/error.h"
#include "graph/base/suggestion.h"

namespace treadle {
namespace {

[[noreturn]] void refuse(const std::string& key, const std::string& value,
                         const std::string& expected) {
  fail(Code::kInvalidArgument, "'", key, "' is '", value, "', expected ", expected);
}

template <class T>
T parse(const std::string& key, const std::string& text, const char* expected) {
  T value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) refuse(key, text, expected);
  return value;
}

double parse_number(const std::string& key, const std::string& text) {
  const auto value = parse<double>(key, text, "a number");
  if (!std::isfinite(value)) refuse(key, text, "a number");
  return value;
}

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  std::istringstream in(text);
  for (std::string part; std::getline(in, part, separator);) {
    if (!part.empty()) parts.push_back(part);
  }
  return parts;
}

}  // namespace

Words::Words(const std::string& text, std::string_view keys) {
  const std::vector<std::string> known = split(std::string(keys), ' ');
  for (const std::string& word : split(text, ' ')) {
    const size_t equals = word.find('=');
    TREADLE_CHECK(equals != std::string::npos, kInvalidArgument, "'", word, "' is no KEY=VALUE");
    const std::string key = word.substr(0, equals);
    if (std::find(known.begin(), known.end(), key) == known.end()) {
      fail(Code::kInvalidArgument, "there is no '", key, "'",
           suggestion(key, known, cat("; there are: ", keys)));
    }
    const bool first = words_.emplace(key, word.substr(equals + 1)).second;
    TREADLE_CHECK(first, kInvalidArgument, "'", key, "' is given twice");
  }
}

int64_t Words::integer(const std::string& key, int64_t fallback, int64_t least,
                       int64_t most) const {
  const auto it = words_.find(key);
  const int64_t value =
      it == words_.end() ? fallback : parse<int64_t>(key, it->second, "an integer");
  if (value < least || value > most) {
    refuse(key, it == words_.end() ? "not given" : it->second, cat(least, " to ", most));
  }
  return value;
}

bool Words::flag(const std::string& key, bool fallback) const {
  return integer(key, fallback ? 1 : 0, 0, 1) == 1;
}

double Words::number(const std::string& key, double fallback) const {
  const auto it = words_.find(key);
  return it == words_.end() ? fallback : parse_number(key, it->second);
}

std::vector<int64_t> Words::integers(const std::string& key, std::vector<int64_t> fallback) const {
  const auto it = words_.find(key);
  if (it == words_.end()) return fallback;
  std::vector<int64_t> values;
  for (const std::string& part : split(it->second, ',')) {
    values.push_back(parse<int64_t>(key, part, "comma-separated integers"));
  }
  return values;
}

std::vector<double> Words::numbers(const std::string& key) const {
  std::vector<double> values;
  for (const std::string& part : split(text(key), ',')) values.push_back(parse_number(key, part));
  return values;
}

std::string Words::text(const std::string& key) const {
  const auto it = words_.find(key);
  return it == words_.end() ? "" : it->second;
}

}  // namespace treadle
