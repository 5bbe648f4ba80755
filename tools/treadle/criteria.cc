#include "tools/treadle/criteria.h"

#include <algorithm>
#include <cmath>

namespace treadle::tool {
namespace {

constexpr double kUsualQuantile = 0.99;

}  // namespace

Statistic statistic(const Args& args) {
  Args part;  // "quantile:0.9" is a quantile
  const std::string given = args.text("stat", "max");
  const size_t colon = std::min(given.find(':'), given.size());
  part.flags["stat"] = {given.substr(0, colon)};
  Statistic s{part.choice("stat", {"max", "mean", "median", "quantile"})};
  if (s.kind == "quantile") s.quantile = kUsualQuantile;
  if (colon == given.size()) return s;
  part.flags["stat"] = {given.substr(colon + 1)};
  s.quantile = part.number("stat", kUsualQuantile);
  if (s.kind != "quantile" || s.quantile <= 0 || s.quantile > 1)
    throw UsageError(cat("--stat: '", given, "': expected quantile:X, X above 0 and at most 1"));
  return s;
}

Criteria::Criteria(const Args& args, const std::vector<std::string>& names)
    : args_(args), tolerances_(args, names), stat_(statistic(args)) {
  const bool by_likeness = args.has("cosine") || args.has("psnr");
  by_tolerance_ = !by_likeness || args.has("stat") || args.has("rtol") || args.has("atol");
}

std::string Criteria::above_tolerance(const std::string& tensor, const Value& got,
                                      const Value& want) const {
  const double rtol = tolerances_.rtol(tensor), atol = tolerances_.atol(tensor);
  const Tensor &g = got.tensor(), &w = want.tensor();
  const double excess = stat_.kind == "mean" ? mean_excess(g, w, rtol, atol)
                                             : quantile_excess(g, w, rtol, atol, stat_.quantile);
  if (excess <= 0) return "";
  return cat("the ", stat_.kind, stat_.kind == "quantile" ? cat(" ", stat_.quantile) : "",
             " of the errors is above its tolerance by ", excess);
}

std::string Criteria::too_different(const std::string& tensor, const Similarity& s) const {
  const auto below = [&](const char* flag, double value) -> std::string {
    const double least = args_.has(flag) ? args_.number_for(flag, tensor, -INFINITY) : -INFINITY;
    return value >= least || least == -INFINITY ? "" : cat(flag, " ", value, ", expected ", least);
  };
  const std::string cosine = below("cosine", s.cosine);
  return cosine.empty() ? below("psnr", s.psnr) : cosine;
}

Verdict Criteria::compare(const std::string& tensor, const Value& got, const Value& want) const {
  Verdict v{tolerances_.compare(tensor, got, want), similarity(got, want)};
  if (!v.similarity) return v;
  Difference& d = v.difference;
  if (!by_tolerance_) d.text.clear();
  if (by_tolerance_ && stat_.kind != "max") d.text = above_tolerance(tensor, got, want);
  const std::string unlike = too_different(tensor, *v.similarity);
  if (!unlike.empty()) d.text += (d.text.empty() ? "" : "; ") + unlike;
  d.equal = d.text.empty();
  return v;
}

}  // namespace treadle::tool
