#include "runtime/threads.h"

#include <omp.h>
#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <string>

#include "runtime/runtime.h"

namespace treadle {
namespace {

// The cgroup's processor quota (version 2: "max 100000" or "150000 100000"), or
// 0 when there is none.
int cgroup_quota() {
  std::ifstream v2("/sys/fs/cgroup/cpu.max");
  std::string quota;
  double period = 0;
  if (v2 >> quota >> period && quota != "max" && period > 0) {
    return static_cast<int>(std::ceil(std::strtod(quota.c_str(), nullptr) / period));
  }
  std::ifstream quota_v1("/sys/fs/cgroup/cpu/cpu.cfs_quota_us");
  std::ifstream period_v1("/sys/fs/cgroup/cpu/cpu.cfs_period_us");
  double microseconds = 0;
  if (quota_v1 >> microseconds && period_v1 >> period && microseconds > 0 && period > 0) {
    return static_cast<int>(std::ceil(microseconds / period));
  }
  return 0;
}

}  // namespace

int default_threads() {
  cpu_set_t set;
  CPU_ZERO(&set);
  int count = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
  if (const int quota = cgroup_quota(); quota > 0) count = std::min(count, quota);
  return std::max(count, 1);
}

ThreadScope::ThreadScope(int threads) : saved_(omp_get_max_threads()), changed_(saved_ != threads) {
  if (changed_) omp_set_num_threads(threads);
}
ThreadScope::~ThreadScope() {
  if (changed_) omp_set_num_threads(saved_);
}

void survive_fork() {
  static const int installed =
      pthread_atfork([] { omp_pause_resource_all(omp_pause_soft); }, nullptr, nullptr);
  (void)installed;
}

}  // namespace treadle
