// TfIdfVectorizer: counts the n-grams of a pool in rows of tokens.
#include <algorithm>
#include <map>
#include <optional>

#include "graph/ops/families.h"
#include "graph/ops/op.h"

namespace treadle {
namespace {

int64_t column_count(const Attributes& a) {
  const std::vector<int64_t> columns = a.ints("ngram_indexes");
  TREADLE_CHECK(!columns.empty() && *std::ranges::min_element(columns) >= 0, kInvalidModel,
                "attribute ngram_indexes is ", shape_text(columns), ", expected columns from 0 on");
  return checked_add(*std::ranges::max_element(columns), 1);
}

void infer_tfidf(InferContext& c) {
  Shape shape = c.shape(0);
  TREADLE_CHECK(shape.size() == 1 || shape.size() == 2, kInvalidModel, "the input has shape ",
                shape_text(shape), ", expected rank 1 or 2");
  shape.back() = column_count(c.attributes());
  c.set_shape(0, shape);
}

struct GramRange {
  int64_t shortest;
  int64_t longest;
  int64_t skips;
};

GramRange gram_range(const Attributes& a) {
  const GramRange r{a.i("min_gram_length", 1), a.i("max_gram_length", 1), a.i("max_skip_count", 0)};
  TREADLE_CHECK(r.shortest >= 1 && r.shortest <= r.longest && r.skips >= 0, kInvalidModel,
                "n-grams of length ", r.shortest, " to ", r.longest, " with up to ", r.skips,
                " skips");
  return r;
}

// The pool's n-grams as a tree of tokens.
template <class Token>
class Grams {
 public:
  // The n-grams of length n begin at starts[n - 1] of the pool.
  Grams(const std::vector<Token>& pool, const std::vector<int64_t>& starts, const GramRange& range)
      : nodes_(1) {
    const auto size = static_cast<int64_t>(pool.size());
    for (size_t i = 0; i < starts.size(); ++i) {
      const int64_t end = i + 1 < starts.size() ? starts[i + 1] : size;
      const auto n = static_cast<int64_t>(i) + 1;
      TREADLE_CHECK(starts[i] >= 0 && starts[i] <= end && end <= size && (end - starts[i]) % n == 0,
                    kInvalidModel, "attribute ngram_counts is ", shape_text(starts),
                    " for a pool of ", size, " tokens");
      for (int64_t at = starts[i]; at < end; at += n, ++count_) {
        if (n >= range.shortest && n <= range.longest) add(pool.data() + at, n);
      }
    }
  }
  int64_t count() const { return count_; }

  // Calls found(n-gram) for those that begin at `at` of the row, every `step`th token taken.
  template <class F>
  void match(std::span<const Token> row, size_t at, size_t step, const GramRange& range,
             F&& found) const {
    size_t node = 0;
    for (int64_t n = 1; n <= range.longest && at < row.size(); ++n) {
      const auto next = nodes_[node].next.find(row[at]);
      if (next == nodes_[node].next.end()) return;
      node = next->second;
      if (n >= range.shortest && nodes_[node].gram >= 0) found(nodes_[node].gram);
      if (step >= row.size() - at) return;
      at += step;
    }
  }

 private:
  struct Entry {
    std::map<Token, size_t> next;
    int64_t gram = -1;
  };

  void add(const Token* tokens, int64_t n) {
    size_t node = 0;
    for (int64_t i = 0; i < n; ++i) {
      const auto [it, fresh] = nodes_[node].next.try_emplace(tokens[i], nodes_.size());
      node = it->second;
      if (fresh) nodes_.emplace_back();
    }
    nodes_[node].gram = count_;
  }

  std::vector<Entry> nodes_;
  int64_t count_ = 0;
};

// How often each n-gram occurs in a row. Single tokens have no gaps: they are counted once.
template <class Token>
void count_grams(const EvalContext& c, const Grams<Token>& grams, std::span<const Token> row,
                 GramRange range, std::vector<int64_t>& counts) {
  std::fill(counts.begin(), counts.end(), 0);
  for (int64_t skip = 0; skip <= range.skips && skip < static_cast<int64_t>(row.size()); ++skip) {
    c.poll();
    for (size_t at = 0; at < row.size(); ++at) {
      grams.match(row, at, static_cast<size_t>(skip) + 1, range,
                  [&](int64_t gram) { ++counts[static_cast<size_t>(gram)]; });
    }
    range.shortest = std::max<int64_t>(range.shortest, 2);
    if (range.shortest > range.longest) return;
  }
}

template <class Token>
void vectorize(EvalContext& c, const std::vector<Token>& pool, std::span<const Token> tokens,
               Tensor& y) {
  const Attributes& a = c.attributes();
  const std::string mode = a.s("mode", "");
  TREADLE_CHECK(mode == "TF" || mode == "IDF" || mode == "TFIDF", kInvalidModel,
                "attribute mode is '", mode, "', expected TF, IDF or TFIDF");
  const GramRange range = gram_range(a);
  const Grams<Token> grams(pool, a.ints("ngram_counts"), range);
  const std::vector<int64_t> columns = a.ints("ngram_indexes");
  const std::vector<float> weights = a.floats("weights");
  TREADLE_CHECK(static_cast<int64_t>(columns.size()) == grams.count(), kInvalidModel,
                "attribute ngram_indexes has ", columns.size(), " elements for ", grams.count(),
                " n-grams");
  TREADLE_CHECK(weights.empty() || weights.size() == columns.size(), kInvalidModel,
                "attribute weights has ", weights.size(), " elements for ", columns.size(),
                " n-grams");
  const auto width = static_cast<size_t>(y.dims().back());
  const size_t rows = y.data<float>().size() / width;
  const size_t length = rows == 0 ? 0 : tokens.size() / rows;
  std::vector<int64_t> counts(columns.size());
  std::fill(y.data<float>().begin(), y.data<float>().end(), 0.0F);
  for (size_t r = 0; r < rows; ++r) {
    count_grams(c, grams, tokens.subspan(r * length, length), range, counts);
    for (size_t i = 0; i < counts.size(); ++i) {
      const int64_t count = mode == "IDF" ? std::min<int64_t>(counts[i], 1) : counts[i];
      const float weight = mode == "TF" || weights.empty() ? 1 : weights[i];
      y.data<float>()[r * width + static_cast<size_t>(columns[i])] +=
          static_cast<float>(count) * weight;
    }
  }
}

void eval_tfidf(EvalContext& c) {
  const Tensor& x = c.input(0);
  TREADLE_CHECK(x.rank() == 1 || x.rank() == 2, kInvalidData, "the input has shape ",
                shape_text(x.dims()), ", expected rank 1 or 2");
  Dims dims = x.dims();
  dims.back() = column_count(c.attributes());
  Tensor& y = c.output(0, DType::kFloat, dims);
  const bool strings = x.dtype() == DType::kString;
  const char* pool = strings ? "pool_strings" : "pool_int64s";
  TREADLE_CHECK(c.attributes().has(pool), kInvalidModel, "the input is ", dtype_name(x.dtype()),
                ", but the attribute ", pool, " is missing");
  if (strings) {
    vectorize<std::string>(c, c.attributes().strings(pool), x.data<std::string>(), y);
  } else {
    const std::vector<int64_t> tokens = x.to_ints();
    vectorize<int64_t>(c, c.attributes().ints(pool), tokens, y);
  }
}

constexpr OpDef kRows[] = {
    {.kind = "TfIdfVectorizer",
     .inputs = "X:T",
     .outputs = "Y:float",
     .types = "T=string,int32,int64",
     .attributes = "max_gram_length:i! max_skip_count:i! min_gram_length:i! mode:s! "
                   "ngram_counts:is! ngram_indexes:is! pool_int64s:is pool_strings:ss weights:fs",
     .infer = infer_tfidf,
     .eval = eval_tfidf},
};

}  // namespace

std::span<const OpDef> tfidf_ops() { return kRows; }

}  // namespace treadle
