// Every operator case on every family of CPU kernels that supports it, faster or not, by every
// instruction set that the machine has, against the reference.
#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "backends/cpu/native/tile_product.h"
#include "backends/cpu/simd/float_tiles.h"
#include "backends/cpu/simd/simd.h"
#include "backends/cpu/table.h"
#include "graph/ops/op.h"
#include "tests/ops/runner.h"
#include "tests/support/kernel_check.h"

namespace treadle::test {
namespace {

bool named(const cpu::Family& family, std::string_view word) {
  return std::string_view(family.name).find(word) != std::string_view::npos;
}

std::set<const cpu::Family*>& compared() {
  static std::set<const cpu::Family*> families;
  return families;
}

bool all_run() {
  const testing::UnitTest& all = *testing::UnitTest::GetInstance();
  for (int s = 0; s < all.total_test_suite_count(); ++s) {
    const testing::TestSuite& suite = *all.GetTestSuite(s);
    for (int i = 0; i < suite.total_test_count(); ++i) {
      const testing::TestInfo& info = *suite.GetTestInfo(i);
      if (std::string_view(info.name()).starts_with("Kernels/") && !info.should_run()) return false;
    }
  }
  return true;
}

// Where all cases ran, each family was among the kernels.
class EachFamily : public testing::Environment {
  void TearDown() override {
    if (!all_run()) return;
    for (const cpu::Candidate& c : cpu::candidates()) {
      if (c.family == &cpu::kTileProduct && cpu::float_tile_functions().multiply == nullptr)
        continue;  // where there is no AMX
      EXPECT_TRUE(compared().contains(c.family)) << "no case runs on " << c.family->name;
    }
  }
};
[[maybe_unused]] const testing::Environment* const kEachFamily =
    testing::AddGlobalTestEnvironment(new EachFamily);

// Infinite where one is not finite.
double largest(const std::vector<Value>& values) {
  double most = 0;
  for (const Value& v : values) {
    if (v.empty()) continue;
    for (double x : v.tensor().to_doubles()) {
      if (!std::isfinite(x)) return std::numeric_limits<double>::infinity();
      most = std::max(most, std::abs(x));
    }
  }
  return most;
}

KernelCase kernel_case(const OpCase& c) {
  KernelCase made{.name = c.name,
                  .op = c.op,
                  .attributes = c.attributes,
                  .inputs = c.inputs,
                  .domain = c.domain,
                  .rtol = c.rtol,
                  .atol = c.atol,
                  .outputs = c.outputs != 0 ? c.outputs : std::max<size_t>(c.want.size(), 1)};
  for (const OpBody& b : c.bodies) made.bodies.push_back({b.attribute, b.graph, {}});
  return made;
}

void check(const cpu::Family& family, KernelCase c) {
  // As float_tiles.h says.
  if (named(family, "tiles") && std::isinf(largest(c.inputs))) return;
  if (named(family, "winograd")) {
    // As winograd.h says.
    if (std::isinf(largest(c.inputs))) return;
    c.atol = std::max(c.atol, 5e-5 * largest(c.want));
  }
  const std::string before(cpu::simd_target());
  for (const std::string& target : cpu::simd_targets()) {
    SCOPED_TRACE(cat(family.name, " by ", target, ", ", c.constants.size(), " constants"));
    cpu::set_simd_target(target);
    if (compare_kernel(family, c).empty()) compared().insert(&family);
    if (named(family, "onednn")) break;  // has an instruction set of its own
  }
  cpu::set_simd_target(before);
}

}  // namespace

TEST_P(OpTest, Kernels) {
  const OpCase& c = GetParam();
  const bool tensors =
      std::ranges::all_of(c.inputs, [](const Value& v) { return v.empty() || v.is_tensor(); });
  const bool captures =
      std::ranges::any_of(c.bodies, [](const OpBody& b) { return !b.captures.empty(); });
  if (!c.error.empty() || !tensors || captures) return;
  std::vector<size_t> others;
  for (size_t i = 1; i < c.inputs.size(); ++i) {
    if (!c.inputs[i].empty()) others.push_back(i);
  }
  KernelCase made = kernel_case(c);
  for (const cpu::Candidate& candidate : cpu::candidates()) {
    if (c.op != candidate.kind || c.domain != candidate.domain) continue;
    if (made.want.empty()) made.want = reference_of(made);
    for (const auto& constants : std::set<std::vector<size_t>>{{}, others}) {
      made.constants = constants;
      check(*candidate.family, made);
    }
  }
}

}  // namespace treadle::test
