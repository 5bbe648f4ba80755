// Runs one node through a family of CPU kernels and compares with the reference.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "backends/cpu/family.h"
#include "tests/support/tensors.h"

namespace treadle::test {

struct KernelCase {
  std::string name;
  std::string op;
  Attributes attributes = {};
  std::vector<Value> inputs = {};          // Value{} = absent
  std::vector<size_t> constants = {1, 2};  // inputs known at plan time
  std::vector<Layout> layouts = {};        // that the inputs come in; missing = plain
  std::string domain = {};
  double rtol = 1e-4;
  double atol = 1e-4;
  size_t outputs = 1;
  std::vector<Subgraph> bodies = {};
  std::vector<Value> want = {};  // empty: what the reference gives
};
std::ostream& operator<<(std::ostream& out, const KernelCase& c);

// A node compiled by a family, with the reorders that a planner would put around it.
class CompiledCase {
 public:
  CompiledCase(const cpu::Family& family, const KernelCase& c, int threads);
  const Compiled& compiled() const { return compiled_; }
  // Row-major outputs. Thread-safe. With `share`, that output takes the bytes of that
  // input (Compiled::in_place).
  std::vector<Tensor> run(const InPlace* share = nullptr) const;
  std::vector<Value> reference() const;

 private:
  struct Buffers;
  KernelCase case_;
  Graph graph_;
  NodeSpec spec_;
  int threads_;
  Compiled compiled_;
};

std::vector<Value> reference_of(const KernelCase& c);
// Compiles on 1 and 2 threads, runs, in place too where offered, and compares; or says why the family
// declines, which check_kernel does not expect.
std::string compare_kernel(const cpu::Family& family, const KernelCase& c);
void check_kernel(const cpu::Family& family, const KernelCase& c);
// The reason why the family declines.
std::string reason(const cpu::Family& family, const KernelCase& c);
bool pays(const cpu::Family& family, const KernelCase& c);

}  // namespace treadle::test
