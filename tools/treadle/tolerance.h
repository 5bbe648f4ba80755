// The tolerances of a comparison, by flags.
#pragma once

#include <string>
#include <vector>

#include "tools/treadle/command.h"
#include "tools/treadle/difference.h"

namespace treadle::tool {

// --rtol and --atol: a number for all tensors, TENSOR:X for one.
class Tolerances {
 public:
  // UsageError for a TENSOR that is none of `names`, and for what is no number (--cosine and --psnr
  // of `compare` included).
  Tolerances(const Args& args, const std::vector<std::string>& names);
  double rtol(const std::string& tensor) const;
  double atol(const std::string& tensor) const;
  Difference compare(const std::string& tensor, const Value& got, const Value& want) const;

 private:
  const Args& args_;
};

}  // namespace treadle::tool
