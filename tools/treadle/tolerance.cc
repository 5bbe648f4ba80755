#include "tools/treadle/tolerance.h"

#include <algorithm>

#include "graph/base/suggestion.h"

namespace treadle::tool {

Tolerances::Tolerances(const Args& args, const std::vector<std::string>& names) : args_(args) {
  for (const char* flag : {"rtol", "atol", "cosine", "psnr"}) {
    for (const std::string& item : args.list(flag)) {
      const std::string name = item.substr(0, std::min(item.rfind(':'), item.size()));
      args.number_for(flag, name, 0);
      if (name != item && std::find(names.begin(), names.end(), name) == names.end())
        throw UsageError(cat("--", flag, ": no output '", name, "'", suggestion(name, names)));
    }
  }
}

double Tolerances::rtol(const std::string& tensor) const {
  return args_.number_for("rtol", tensor, 1e-3);
}

double Tolerances::atol(const std::string& tensor) const {
  return args_.number_for("atol", tensor, 1e-4);
}

Difference Tolerances::compare(const std::string& tensor, const Value& got,
                               const Value& want) const {
  return compare_values(got, want, rtol(tensor), atol(tensor));
}

}  // namespace treadle::tool
