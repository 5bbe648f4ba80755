// What a pass is given, and the passes. Private to this folder.
#pragma once

#include <string>
#include <vector>

#include "graph/graph.h"
#include "graph/ops/op.h"
#include "graph/rewrite.h"
#include "optimizer/optimizer.h"

namespace treadle {

// A graph under a pass: every change goes through `apply`, which counts, bounds and reports.
class Pass {
 public:
  Pass(Graph& graph_under_pass, const OptimizeOptions& pass_options, PassReport& report,
       int64_t& budget)
      : graph(graph_under_pass), options(pass_options), report_(report), budget_(budget) {}

  Graph& graph;
  const OptimizeOptions& options;

  bool stopped() const { return budget_ == 0; }
  // False when the bound on rewrites is reached, or when `apply` (rewrite.h) refused: then `where`
  // is reported with the reason. `where` may be gone afterwards.
  bool apply(NodeId where, Patch patch);
  bool replace(NodeId where, ValueId from, ValueId to);
  void count(int64_t rewrites) { report_.fired += rewrites; }
  void refuse(NodeId where, const std::string& reason);
  // The same pass on a body: one budget, one report.
  Pass within(Graph& body) const { return {body, options, report_, budget_}; }

  // Null where the value is no constant.
  const Tensor* constant(ValueId id) const;
  // Nothing is known of an output that nobody wants (an invalid id).
  const Type& type(ValueId id) const {
    static const Type kUnknown;
    return id.valid() ? graph.value(id).type : kUnknown;
  }
  // The producer when it is of that kind; else null.
  const Node* producer(ValueId id, std::string_view kind, std::string_view domain = "") const;

 private:
  PassReport& report_;
  int64_t& budget_;
};

// Both have a rank and provably the same dimensions and dtype.
bool same_type(const Type& a, const Type& b);
inline bool is_half(DType dtype) { return dtype == DType::kFloat16 || dtype == DType::kBfloat16; }
// All elements are this number.
bool is_uniform(const Tensor& tensor, double value);
// A constant for Reshape that gives `to` from `from`, with 0 and one -1 for symbolic dimensions.
std::optional<std::vector<int64_t>> reshape_spec(const Shape& from, const Shape& to);

// What inference knows of the graph's values; their types are kept in the graph.
std::vector<Known> learn_types(Graph& graph);

// In the order of pipeline.cc, one a file.
void widen_halves(Pass&);
void expand_composites(Pass&);
void expand_batchnorm(Pass&);
void number_labels(Pass&);
void expand_einsum(Pass&);
void inline_branches(Pass&);
void fold_constants(Pass&);
void eliminate(Pass&);
void slice_sources(Pass&);
void merge_views(Pass&);
void merge_equal(Pass&);
void recompose(Pass&);
void fold_batchnorm(Pass&);
void fold_pad(Pass&);
void expand_qlinear(Pass&);
void fuse_quantized(Pass&);
void fold_dequantized(Pass&);
void fuse_update(Pass&);
void fuse_attention(Pass&);
void fuse_heads(Pass&);
void fuse_epilogue(Pass&);
void fuse_depthwise(Pass&);
void recompute(Pass&);
void fuse_elementwise(Pass&);
void dead_code(Pass&);

}  // namespace treadle
