// Earlier figures of `treadle bench --json`, beside which new ones are set.
#pragma once

#include <vector>

#include "tools/treadle/command.h"
#include "tools/treadle/json.h"

namespace treadle::tool {

// By --compare FILE and --fail-if-slower PERCENT; without --compare there is nothing to do.
class Baseline {
 public:
  // UsageError; kIo, kInvalidArgument naming the file.
  explicit Baseline(const Args& args);
  // Adds base_median_ms and slower_percent (below 0: faster) to each row, of a report with
  // `environment`; tells on stderr in what else the two differ. A sweep's rows are found by batch,
  // threads and concurrency; kInvalidArgument for one that the file lacks.
  void compare(const Json& environment, std::vector<Json>& rows) const;
  // With --fail-if-slower: whether no row is slower by more than it.
  bool judges() const { return allowed_percent_ >= 0; }
  bool allows(const std::vector<Json>& rows) const;

 private:
  const Json& counterpart(const Json& row, size_t rows) const;
  std::string path_;
  Json environment_;
  std::vector<Json> rows_;
  double allowed_percent_ = -1;
};

}  // namespace treadle::tool
