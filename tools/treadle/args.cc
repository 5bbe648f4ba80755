// What the user gave, as numbers, lists and choices.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>

#include "tools/treadle/command.h"

namespace treadle::tool {

int exit_code(Code code) {
  switch (code) {
    case Code::kOk: return kExitOk;
    case Code::kInvalidModel:
    case Code::kUnsupported: return kExitModel;
    case Code::kInvalidArgument:
    case Code::kInvalidData:
    case Code::kIo:
    case Code::kLimit: return kExitInput;
    case Code::kOutOfMemory:
    case Code::kBusy:
    case Code::kDevice: return kExitDevice;
    case Code::kCancelled:
    case Code::kTimeout: return kExitTimeout;
    case Code::kInternal: return kExitInternal;
  }
  return kExitInternal;
}

namespace {

[[noreturn]] void refuse(std::string_view flag, const std::string& text, std::string_view want) {
  throw UsageError(cat("--", flag, ": '", text, "' is not ", want));
}

// "0.5", or a fraction, "1/255".
double parse_number(std::string_view flag, const std::string& text) {
  char* end = nullptr;
  double value = std::strtod(text.c_str(), &end);
  if (end != text.c_str() && *end == '/') {
    const char* divisor = end + 1;
    value /= std::strtod(divisor, &end);
    if (end == divisor) refuse(flag, text, "a number");
  }
  if (text.empty() || *end != '\0' || !std::isfinite(value)) refuse(flag, text, "a number");
  return value;
}

void split(const std::string& text, std::vector<std::string>& out) {
  size_t begin = 0;
  while (begin <= text.size()) {
    const size_t comma = std::min(text.find(',', begin), text.size());
    if (comma > begin) out.push_back(text.substr(begin, comma - begin));
    begin = comma + 1;
  }
}

}  // namespace

const std::vector<std::string>& Args::all(std::string_view name) const {
  static const std::vector<std::string> none;
  const auto it = flags.find(std::string(name));
  return it == flags.end() ? none : it->second;
}

std::string Args::text(std::string_view name, std::string_view fallback) const {
  const auto& values = all(name);
  return values.empty() ? std::string(fallback) : values.back();
}

int64_t Args::integer(std::string_view name, int64_t fallback, int64_t least) const {
  const auto& values = all(name);
  if (values.empty()) return fallback;
  const std::string& text = values.back();
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) refuse(name, text, "an integer");
  if (value < least) refuse(name, text, cat("at least ", least));
  return value;
}

double Args::number(std::string_view name, double fallback) const {
  const auto& values = all(name);
  return values.empty() ? fallback : parse_number(name, values.back());
}

double Args::positive(std::string_view name, double fallback) const {
  const double value = number(name, fallback);
  if (has(name) && value <= 0) refuse(name, all(name).back(), "above 0");
  return value;
}

double Args::number_for(std::string_view name, const std::string& key, double fallback) const {
  double value = fallback;
  bool own = false;
  for (const std::string& item : list(name)) {
    const size_t colon = item.rfind(':');
    if (colon == std::string::npos) {
      const double common = parse_number(name, item);
      value = own ? value : common;
    } else if (item.substr(0, colon) == key) {
      value = parse_number(name, item.substr(colon + 1));
      own = true;
    }
  }
  return value;
}

std::string Args::choice(std::string_view name, const std::vector<std::string>& allowed) const {
  const std::string value = text(name, allowed.front());
  if (std::find(allowed.begin(), allowed.end(), value) == allowed.end()) {
    std::string list;
    for (const std::string& a : allowed) list += " " + a;
    throw UsageError(cat("--", name, ": '", value, "' is none of:", list));
  }
  return value;
}

std::vector<std::string> Args::list(std::string_view name) const {
  std::vector<std::string> out;
  for (const std::string& value : all(name)) split(value, out);
  return out;
}

std::vector<double> Args::numbers(std::string_view name, std::vector<double> fallback) const {
  if (!has(name)) return fallback;
  std::vector<double> out;
  for (const std::string& item : list(name)) out.push_back(parse_number(name, item));
  return out;
}

}  // namespace treadle::tool
