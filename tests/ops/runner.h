// Operator cases: a family's test is a table of them, and one runner makes every check from each.
//
//   std::vector<OpCase> cases() {
//     return {{.name = "rank0", .op = "Shape", .inputs = {f32({}, {1})}, .want = {axes({})}}};
//   }
//   INSTANTIATE_TEST_SUITE_P(Shape, OpTest, testing::ValuesIn(cases()), case_name);
//
// The checks: inferred types and shapes agree with the actual ones (with dims known, with symbols
// for them, with ranks unknown); the reference gives `want`; the decomposition, the
// CPU with the optimizer off and on (inputs given in the run, then as constants) and the saved
// model give what the reference gives. All failures of a case are reported, not just the first.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "graph/graph.h"
#include "tests/support/tensors.h"

namespace treadle::test {

// A graph-valued attribute. The captured values become inputs of the case's graph.
struct OpBody {
  std::string attribute;
  std::shared_ptr<Graph> graph;
  std::vector<Value> captures;
};

struct OpCase {
  std::string name;  // letters, digits, underscores; unique for the operator
  std::string op;
  std::string domain = {};
  Attributes attributes = {};
  std::vector<Value> inputs = {};  // Value{} = absent
  // Empty: not compared with literals; a Value{}: this output is not asked for.
  std::vector<Value> want = {};
  double rtol = 1e-5;
  double atol = 1e-6;
  size_t outputs = 0;        // 0: as many as `want`, at least 1
  std::string error = {};    // the run must fail, with this in the message
  std::string planned = {};  // the message where constants show it before the run; "": the same
  std::vector<OpBody> bodies = {};
  bool exact_shape = true;  // inference must find the shapes from the inputs' (data-dependent
                            // operators are excused)
};
std::ostream& operator<<(std::ostream& out, const OpCase& c);

class OpTest : public testing::TestWithParam<OpCase> {};
std::string case_name(const testing::TestParamInfo<OpCase>& info);

}  // namespace treadle::test
