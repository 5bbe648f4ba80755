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

// From now on fork() first ends OpenMP's pool, so that parent and child can both start a new one: a
// child that inherits a pool hangs in libgomp. Installed once a process.
void survive_fork();

}  // namespace treadle
