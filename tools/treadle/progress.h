// A run as it goes, on stderr: a bar on a terminal, plain lines elsewhere.
#pragma once

#include <chrono>

#include "training/run/fit.h"

namespace treadle::tool {

class ProgressLines {
 public:
  ProgressLines();
  void told(const Event& event);

 private:
  void bar(const Event& event);
  void clear();
  bool terminal_;
  bool shown_ = false;
  std::chrono::steady_clock::time_point last_;
};

}  // namespace treadle::tool
