// Operators on strings: StringConcat, StringSplit, StringNormalizer.
#include <algorithm>
#include <string>

#include "graph/ops/families.h"
#include "graph/ops/iterate.h"
#include "graph/ops/op.h"

namespace treadle {
namespace {

void eval_concat(EvalContext& c) {
  const Tensor& a = c.input(0);
  const Tensor& b = c.input(1);
  map_binary<std::string, std::string, std::string>(
      a, b, c.output(0, broadcast(a.dims(), b.dims())),
      [](const std::string& x, const std::string& y) { return x + y; });
}

// ---- StringSplit

bool is_space(char ch) { return ch == ' ' || (ch >= '\t' && ch <= '\r'); }

// At most `limit` splits at runs of white space, none at the ends.
std::vector<std::string> split_at_spaces(const std::string& text, int64_t limit) {
  std::vector<std::string> parts;
  size_t at = 0;
  while (true) {
    while (at < text.size() && is_space(text[at])) ++at;
    if (at == text.size()) return parts;
    size_t end = at;
    if (static_cast<int64_t>(parts.size()) == limit) {
      end = text.size();
      while (is_space(text[end - 1])) --end;
      parts.push_back(text.substr(at, end - at));
      return parts;
    }
    while (end < text.size() && !is_space(text[end])) ++end;
    parts.push_back(text.substr(at, end - at));
    at = end;
  }
}

std::vector<std::string> split_at(const std::string& text, const std::string& delimiter,
                                  int64_t limit) {
  std::vector<std::string> parts;
  size_t at = 0;
  while (static_cast<int64_t>(parts.size()) < limit) {
    const size_t end = text.find(delimiter, at);
    if (end == std::string::npos) break;
    parts.push_back(text.substr(at, end - at));
    at = end + delimiter.size();
  }
  parts.push_back(text.substr(at));
  return parts;
}

void infer_split(InferContext& c) {
  Shape shape = c.shape(0);
  c.set_shape(1, shape);
  shape.push_back(Dim::unknown());
  c.set_shape(0, shape);
}

void eval_split(EvalContext& c) {
  const Tensor& x = c.input(0);
  const std::string delimiter = c.attributes().s("delimiter", "");
  const int64_t limit = c.attributes().i("maxsplit", INT64_MAX);
  TREADLE_CHECK(limit >= 0, kInvalidModel, "maxsplit is ", limit, ", expected at least 0");
  std::vector<std::vector<std::string>> all;
  size_t most = 0;
  for (const std::string& text : x.data<std::string>()) {
    all.push_back(delimiter.empty() ? split_at_spaces(text, limit)
                                    : split_at(text, delimiter, limit));
    most = std::max(most, all.back().size());
  }
  Dims dims = x.dims();
  Tensor& counts = c.output(1, DType::kInt64, dims);
  dims.push_back(static_cast<int64_t>(most));
  const auto to = c.output(0, DType::kString, dims).data<std::string>();
  for (size_t i = 0; i < all.size(); ++i) {
    counts.data<int64_t>()[i] = static_cast<int64_t>(all[i].size());
    for (size_t k = 0; k < most; ++k)
      to[i * most + k] = k < all[i].size() ? std::move(all[i][k]) : "";
  }
}

// ---- StringNormalizer

// ASCII and the letters of Latin-1, as UTF-8 (U+00C0 to U+00DE and their lower case, 0x20 above);
// the rest as it is.
std::string change_case(std::string text, bool upper) {
  for (size_t i = 0; i < text.size(); ++i) {
    const auto ch = static_cast<unsigned char>(text[i]);
    if (ch < 0x80) {
      const bool changes = upper ? ch >= 'a' && ch <= 'z' : ch >= 'A' && ch <= 'Z';
      if (changes) text[i] = static_cast<char>(ch ^ 0x20);
    } else if (ch == 0xC3 && i + 1 < text.size()) {
      const auto next = static_cast<unsigned char>(text[++i]);
      const unsigned low = upper ? 0xA0 : 0x80;
      const bool letter =
          next >= low && next <= low + 0x1E && next != low + 0x17;  // not the signs x and /
      if (letter) text[i] = static_cast<char>(next ^ 0x20);
    }
  }
  return text;
}

void infer_normalizer(InferContext& c) {
  Shape shape = c.shape(0);
  TREADLE_CHECK(!shape.empty() && shape.size() <= 2, kInvalidModel, "the input has rank ",
                shape.size(), ", expected 1 or 2");
  shape.back() = Dim::unknown();
  c.set_shape(0, shape);
}

void eval_normalizer(EvalContext& c) {
  const Tensor& x = c.input(0);
  TREADLE_CHECK(x.rank() == 1 || (x.rank() == 2 && x.dim(0) == 1), kInvalidData,
                "the input has shape ", shape_text(x.dims()), ", expected [C] or [1, C]");
  const std::string action = c.attributes().s("case_change_action", "NONE");
  TREADLE_CHECK(action == "NONE" || action == "LOWER" || action == "UPPER", kInvalidModel,
                "case_change_action is '", action, "', expected NONE, LOWER or UPPER");
  const bool exact = c.attributes().i("is_case_sensitive", 0) != 0;
  const auto folded = [&](const std::string& text) {
    return exact ? text : change_case(text, false);
  };
  std::vector<std::string> stops;
  for (const std::string& word : c.attributes().strings("stopwords")) stops.push_back(folded(word));
  std::sort(stops.begin(), stops.end());
  std::vector<std::string> kept;
  for (const std::string& text : x.data<std::string>()) {
    if (std::binary_search(stops.begin(), stops.end(), folded(text))) continue;
    kept.push_back(action == "NONE" ? text : change_case(text, action == "UPPER"));
  }
  if (kept.empty()) kept.emplace_back();
  Dims dims = x.dims();
  dims.back() = static_cast<int64_t>(kept.size());
  std::move(kept.begin(), kept.end(), c.output(0, dims).data<std::string>().begin());
}

constexpr OpDef kRows[] = {
    {.kind = "StringConcat",
     .inputs = "X:T Y:T",
     .outputs = "Z:T",
     .types = "T=string",
     .infer = infer_broadcast,
     .eval = eval_concat},
    {.kind = "StringSplit",
     .inputs = "X:string",
     .outputs = "Y:string Z:int64",
     .attributes = "delimiter:s maxsplit:i",
     .infer = infer_split,
     .eval = eval_split,
     .traits = kDataDependent},
    {.kind = "StringNormalizer",
     .inputs = "X:string",
     .outputs = "Y:string",
     .attributes = "case_change_action:s=NONE is_case_sensitive:i=0 locale:s stopwords:ss",
     .infer = infer_normalizer,
     .eval = eval_normalizer,
     .traits = kDataDependent},
};

}  // namespace

std::span<const OpDef> string_ops() { return kRows; }

}  // namespace treadle
