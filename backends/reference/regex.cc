// RegexFullMatch through RE2, whose time is linear in the text and whose memory is bounded.
#include <re2/re2.h>

#include "backends/reference/external.h"

namespace treadle {

void eval_regex_full_match(EvalContext& c) {
  const Tensor& x = c.input(0);
  const std::string pattern = c.attributes().s("pattern", "");
  const re2::RE2 regex(pattern, re2::RE2::Quiet);
  TREADLE_CHECK(regex.ok(), kInvalidModel, "the pattern '", pattern,
                "' is no regular expression: ", regex.error());
  const auto to = c.output(0, DType::kBool, x.dims()).data<bool>();
  const auto texts = x.data<std::string>();
  for (size_t i = 0; i < to.size(); ++i) {
    c.poll();
    to[i] = re2::RE2::FullMatch(texts[i], regex);
  }
}

}  // namespace treadle
