#include "tools/treadle/progress.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "tools/treadle/training_run.h"

namespace treadle::tool {
namespace {

constexpr std::chrono::milliseconds kEvery(100);
constexpr int kBar = 24;

// What a line has no room for; epochs.jsonl has all.
bool is_detail(const std::string& name) {
  constexpr const char* kDetails[] = {"precision", "recall", "_f1", "waited_seconds"};
  return std::ranges::any_of(kDetails, [&](const char* end) { return name.ends_with(end); });
}

NamedNumbers main_numbers(NamedNumbers numbers) {
  std::erase_if(numbers, [](const auto& n) { return is_detail(n.first); });
  return numbers;
}

}  // namespace

ProgressLines::ProgressLines() : terminal_(isatty(STDERR_FILENO) == 1) {}

void ProgressLines::clear() {
  if (shown_) std::fputs("\r\033[K", stderr);
  shown_ = false;
}

void ProgressLines::bar(const Event& e) {
  const auto now = std::chrono::steady_clock::now();
  if (!terminal_ || now - last_ < kEvery) return;
  last_ = now;
  const auto done = e.batches == 0 ? 0 : static_cast<int>(kBar * e.batch / e.batches);
  const std::string text(static_cast<size_t>(done), '#');
  std::fprintf(stderr, "\r\033[Kepoch %lld [%-*s] step %lld  %s", static_cast<long long>(e.epoch),
               kBar, text.c_str(), static_cast<long long>(e.step), numbers_text(e.numbers).c_str());
  shown_ = true;
}

void ProgressLines::told(const Event& e) {
  if (e.kind == Event::Kind::kStepCompleted) return bar(e);
  if (e.kind == Event::Kind::kStepStarted) return;
  clear();
  if (e.kind == Event::Kind::kEpochCompleted) {
    std::fprintf(stderr, "epoch %lld  step %lld  %s\n", static_cast<long long>(e.epoch),
                 static_cast<long long>(e.step), numbers_text(main_numbers(e.numbers)).c_str());
  } else if (e.kind == Event::Kind::kStarted && !e.text.empty()) {
    std::fprintf(stderr, "treadle train: %s%s", e.text.c_str(), e.text.ends_with('\n') ? "" : "\n");
  }
}

}  // namespace treadle::tool
