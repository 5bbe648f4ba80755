// Gradients against finite differences, in double on the reference.
#pragma once

#include <string>
#include <vector>

#include "graph/graph.h"

namespace treadle::test {

struct Gradcheck {
  int order = 1;  // 2: the gradient of the gradient too
  // Of the differences to the magnitude of what is compared. They are taken at two steps, so that
  // the error is of the fourth order.
  double tolerance = 2e-7;
  uint64_t seed = 1;
};

// Differentiates every output of doubles for every input of doubles, weighted by random seeds, and
// compares with central differences: element by element for small inputs, along random directions
// for large ones. "" or what differs. Where the function itself is not finite nearby, nothing is
// compared. Throws what autodiff throws.
std::string gradcheck(const Graph& graph, const std::vector<Value>& inputs,
                      const Gradcheck& options = {});

// Parses the graph and expects all to agree for random inputs in [low, high); integer inputs must be
// constants of the graph. Then the same once more with the sizes of the inputs hidden from autodiff.
void expect_gradients(const std::string& text, const Gradcheck& options = {}, double low = -1,
                      double high = 1);

// The gradients of output 0 of the graph with respect to its inputs of doubles, by evaluation.
std::vector<Value> gradients_at(const Graph& graph, const std::vector<Value>& inputs);

}  // namespace treadle::test
