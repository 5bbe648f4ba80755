// What decides in `treadle compare` whether two tensors are equal enough.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tools/treadle/similarity.h"
#include "tools/treadle/tolerance.h"

namespace treadle::tool {

struct Verdict {
  Difference difference;  // `equal` and `text` by what was asked
  std::optional<Similarity> similarity;
};

// Of the errors, which must lie within the tolerances: --stat.
struct Statistic {
  std::string kind = "max";  // or mean, median, quantile
  double quantile = 0.5;
};
// UsageError for a wrong one.
Statistic statistic(const Args& args);

// By --stat (which statistic of the errors must lie within --rtol and --atol: the largest),
// --cosine and --psnr (at least so much). Where only these two are given, tolerances decide
// nothing. Values that are no tensors of numbers are compared by tolerances whatever is given.
class Criteria {
 public:
  // UsageError for a wrong value, or a tensor that is none of `names`. Keeps `args`.
  Criteria(const Args& args, const std::vector<std::string>& names);
  Verdict compare(const std::string& tensor, const Value& got, const Value& want) const;

 private:
  std::string above_tolerance(const std::string& tensor, const Value& got, const Value& want) const;
  std::string too_different(const std::string& tensor, const Similarity& s) const;
  const Args& args_;
  Tolerances tolerances_;
  Statistic stat_;
  bool by_tolerance_;
};

}  // namespace treadle::tool
