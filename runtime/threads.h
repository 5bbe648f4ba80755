// The caller's OpenMP settings, saved and restored around our work.
#pragma once

namespace treadle {

// While it lives, OpenMP regions of the calling thread use `threads` threads.
class ThreadScope {
 public:
  explicit ThreadScope(int threads);
  ~ThreadScope();
  ThreadScope(const ThreadScope&) = delete;
  ThreadScope& operator=(const ThreadScope&) = delete;

 private:
  int saved_;
  bool changed_;
};

}  // namespace treadle
