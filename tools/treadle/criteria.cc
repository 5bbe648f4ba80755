#include "tools/treadle/criteria.h"

#include <algorithm>
#include <cmath>

namespace treadle::tool {
namespace {

constexpr double kUsualQuantile = 0.99;

}  // namespace

Criteria::Criteria(const Args& args, const std::vector<std::string>& names)
    : args_(args), tolerances_(args, names) {
  Args stat;  // "quantile:0.9" is a quantile
  const std::string given = args.text("stat", "max");
  const size_t colon = std::min(given.find(':'), given.size());
  stat.flags["stat"] = {given.substr(0, colon)};
  stat_ = stat.choice("stat", {"max", "mean", "median", "quantile"});
  if (stat_ == "quantile") quantile_ = kUsualQuantile;
  if (colon < given.size()) {
    stat.flags["stat"] = {given.substr(colon + 1)};
    quantile_ = stat.number("stat", kUsualQuantile);
    if (stat_ != "quantile" || quantile_ <= 0 || quantile_ > 1)
      throw UsageError(cat("--stat: '", given, "': expected quantile:X, X above 0 and at most 1"));
  }
  const bool by_likeness = args.has("cosine") || args.has("psnr");
  by_tolerance_ = !by_likeness || args.has("stat") || args.has("rtol") || args.has("atol");
}

std::string Criteria::above_tolerance(const std::string& tensor, const Value& got,
                                      const Value& want) const {
  const double rtol = tolerances_.rtol(tensor), atol = tolerances_.atol(tensor);
  const Tensor &g = got.tensor(), &w = want.tensor();
  const double excess = stat_ == "mean" ? mean_excess(g, w, rtol, atol)
                                        : quantile_excess(g, w, rtol, atol, quantile_);
  if (excess <= 0) return "";
  return cat("the ", stat_, stat_ == "quantile" ? cat(" ", quantile_) : "",
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
  if (by_tolerance_ && stat_ != "max") d.text = above_tolerance(tensor, got, want);
  const std::string unlike = too_different(tensor, *v.similarity);
  if (!unlike.empty()) d.text += (d.text.empty() ? "" : "; ") + unlike;
  d.equal = d.text.empty();
  return v;
}

}  // namespace treadle::tool
