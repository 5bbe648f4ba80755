// Values of options as text, for settings.cc and data_fields.cc.
#pragma once

#include <algorithm>
#include <charconv>
#include <cmath>
#include <concepts>
#include <limits>
#include <string>
#include <vector>

#include "graph/base/suggestion.h"

namespace treadle::setting_text {

// One key with its text, for the parsers' messages.
struct Given {
  const std::string& key;
  const std::string& text;
};

[[noreturn]] inline void refuse(const Given& g, const std::string& expected) {
  fail(Code::kInvalidArgument, "option '", g.key, "' is '", g.text, "', expected ", expected);
}

inline std::vector<std::string> items(const Given& g) {
  std::vector<std::string> items;
  for (size_t begin = 0; begin < g.text.size();) {
    const size_t comma = std::min(g.text.find(',', begin), g.text.size());
    if (comma > begin) items.push_back(g.text.substr(begin, comma - begin));
    begin = comma + 1;
  }
  return items;
}

// What a value must be beside being of its type.
struct Bounds {
  double least = -std::numeric_limits<double>::infinity();
  double most = std::numeric_limits<double>::infinity();
  std::vector<std::string> (*known)() = nullptr;
  const char* more = "";  // what else it may be
};

inline void check(const Given& g, double value, const Bounds& bounds) {
  if (value >= bounds.least && value <= bounds.most) return;
  refuse(g, std::isinf(bounds.most) ? cat("at least ", bounds.least)
                                    : cat(bounds.least, " to ", bounds.most));
}

inline void read(const Given& g, double& out, const Bounds& bounds) {
  const char* end = g.text.data() + g.text.size();
  const auto [stopped, error] = std::from_chars(g.text.data(), end, out);
  if (error != std::errc() || stopped != end || !std::isfinite(out)) refuse(g, "a number");
  check(g, out, bounds);
}

template <std::integral T>
void read(const Given& g, T& out, const Bounds& bounds) {
  const char* end = g.text.data() + g.text.size();
  const auto [stopped, error] = std::from_chars(g.text.data(), end, out);
  if (error != std::errc() || stopped != end) refuse(g, "an integer");
  check(g, static_cast<double>(out), bounds);
}

inline void read(const Given& g, bool& out, const Bounds&) {
  if (g.text != "0" && g.text != "1") refuse(g, "0 or 1");
  out = g.text == "1";
}

inline void read(const Given& g, std::string& out, const Bounds& bounds) {
  out = g.text;
  if (bounds.known == nullptr) return;
  const std::vector<std::string> known = bounds.known();
  if (std::ranges::find(known, g.text) != known.end()) return;
  std::string all;
  for (const std::string& name : known) all += (all.empty() ? "" : ", ") + name;
  fail(Code::kInvalidArgument, "there is no ", g.key, " '", g.text, "'",
       suggestion(g.text, known, "."), " There are: ", all, bounds.more);
}

template <class T>
void read(const Given& g, std::vector<T>& out, const Bounds& bounds) {
  out.clear();
  for (const std::string& item : items(g)) read({g.key, item}, out.emplace_back(), bounds);
}

}  // namespace treadle::setting_text
