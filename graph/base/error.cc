#include "graph/base/error.h"

#include <algorithm>
#include <cstdio>
#include <utility>

namespace treadle {

std::string_view code_name(Code code) {
  switch (code) {
    case Code::kOk: return "ok";
    case Code::kInvalidArgument: return "invalid argument";
    case Code::kInvalidModel: return "invalid model";
    case Code::kUnsupported: return "unsupported";
    case Code::kInvalidData: return "invalid data";
    case Code::kIo: return "input/output";
    case Code::kLimit: return "limit";
    case Code::kOutOfMemory: return "out of memory";
    case Code::kBusy: return "busy";
    case Code::kCancelled: return "cancelled";
    case Code::kTimeout: return "timeout";
    case Code::kDevice: return "device";
    case Code::kInternal: return "internal";
  }
  return "unknown";
}

void Error::render() {
  constexpr size_t kLongest = 8000;
  rendered_.clear();
  for (auto it = context_.rbegin(); it != context_.rend(); ++it) rendered_ += *it + ": ";
  rendered_ += text_;
  if (rendered_.size() > kLongest) rendered_.replace(kLongest, std::string::npos, "...");
  // Names come from files: a message stays one line, and drives no terminal.
  for (char& c : rendered_) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  }
}

void detail::append_double(std::string& out, double part) {
  char buffer[32];
  const int n = std::snprintf(buffer, sizeof buffer, "%.9g", part);
  out.append(buffer, static_cast<size_t>(n));
}

namespace {
char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

// Insertions, deletions, replacements and swaps of neighbours.
size_t edit_distance(std::string_view a, std::string_view b) {
  const auto same = [&](size_t i, size_t j) { return lower(a[i]) == lower(b[j]); };
  std::vector<size_t> before, last, row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    before = std::exchange(last, row);
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (same(i - 1, j - 1) ? 0 : 1)});
      const bool swapped = i > 1 && j > 1 && same(i - 1, j - 2) && same(i - 2, j - 1);
      if (swapped) row[j] = std::min(row[j], before[j - 2] + 1);
    }
  }
  return row[b.size()];
}
}  // namespace

std::string close_match(std::string_view name, const std::vector<std::string>& candidates) {
  constexpr size_t kLongest = 256;  // the distance is quadratic, and names come from files
  std::string best;
  size_t least = std::max<size_t>(1, name.size() / 3) + 1;
  if (name.size() > kLongest) return best;
  for (const std::string& candidate : candidates) {
    if (candidate.size() > kLongest) continue;
    const size_t distance = edit_distance(name, candidate);
    if (distance < least) {
      least = distance;
      best = candidate;
    }
  }
  return best;
}

}  // namespace treadle
