#include "tests/support/kernel_check.h"

#include <omp.h>

#include <algorithm>
#include <cstring>
#include <ostream>

#include "backends/cpu/layout.h"
#include "backends/cpu/reorder.h"
#include "graph/ops/op.h"

namespace treadle::test {
namespace {

// The node of the case in `graph`, and its spec but for the outputs.
NodeSpec make_spec(const KernelCase& c, Graph& graph) {
  Node node;
  node.op = find_op(c.op, c.domain);
  TREADLE_CHECK(node.op != nullptr, kUnsupported, "there is no operator ", c.op);
  node.name = c.name;
  node.attributes = c.attributes;
  NodeSpec spec;
  for (size_t i = 0; i < c.inputs.size(); ++i) {
    const bool given = !c.inputs[i].empty();
    node.inputs.push_back(given ? graph.add_value(cat("in", i)) : ValueId{});
    spec.inputs.emplace_back();
    spec.constants.emplace_back();
    if (!given) continue;
    const Tensor& t = c.inputs[i].tensor();
    spec.inputs[i] = {t.dtype(), t.dims(), i < c.layouts.size() ? c.layouts[i] : kPlain};
    if (std::find(c.constants.begin(), c.constants.end(), i) != c.constants.end())
      spec.constants[i] = t;
  }
  node.subgraphs = c.bodies;
  for (size_t i = 0; i < c.outputs; ++i) node.outputs.push_back(graph.add_value(cat("out", i)));
  const NodeId id = graph.add_node(std::move(node));
  spec.node = &graph.node(id);
  return spec;
}

std::vector<Value> evaluate_case(const KernelCase& c, const Node& node) {
  if (!c.want.empty()) return c.want;
  std::vector<const Value*> inputs;
  for (const Value& v : c.inputs) inputs.push_back(v.empty() ? nullptr : &v);
  return evaluate_node(node, inputs);
}

// With the outputs' shapes as the reference finds them.
NodeSpec whole_spec(const KernelCase& c, Graph& graph) {
  NodeSpec spec = make_spec(c, graph);
  for (const Value& v : evaluate_case(c, *spec.node))
    spec.outputs.push_back({v.tensor().dtype(), v.tensor().dims()});
  return spec;
}

struct WithThreads {
  explicit WithThreads(int n) : before(omp_get_max_threads()) { omp_set_num_threads(n); }
  ~WithThreads() { omp_set_num_threads(before); }
  int before;
};

std::shared_ptr<Buffer> reordered(const TensorSpec& from, const TensorSpec& to, const void* bytes,
                                  int threads) {
  std::shared_ptr<Buffer> out = Buffer::allocate(std::max<size_t>(1, cpu::layout_bytes(to)));
  if (from == to) {
    std::memcpy(out->data(), bytes, cpu::layout_bytes(to));
    return out;
  }
  const Compiled r = cpu::compile_reorder(from, to, {.threads = threads});
  std::shared_ptr<Buffer> scratch = Buffer::allocate(std::max<size_t>(1, r.scratch_bytes));
  void* target = out->data();
  r.kernel->run({&bytes, &target, scratch->data(), nullptr});
  return out;
}

Layout at(const std::vector<Layout>& layouts, size_t i) {
  return i < layouts.size() ? layouts[i] : kPlain;
}

}  // namespace

std::ostream& operator<<(std::ostream& out, const KernelCase& c) {
  return out << c.op << ' ' << c.name;
}

CompiledCase::CompiledCase(const cpu::Family& family, const KernelCase& c, int threads)
    : case_(c), spec_(whole_spec(c, graph_)), threads_(threads) {
  const Support support = family.supports(spec_);
  TREADLE_CHECK(support.ok, kUnsupported, support.reason);
  compiled_ = family.compile(spec_, {.threads = threads});
}

std::vector<Value> CompiledCase::reference() const { return evaluate_case(case_, *spec_.node); }

std::vector<Tensor> CompiledCase::run(const InPlace* share) const {
  const WithThreads with(threads_);
  std::vector<std::shared_ptr<Buffer>> buffers;
  std::vector<const void*> inputs(spec_.inputs.size(), nullptr);
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (!spec_.inputs[i].present() || (!compiled_.reads.empty() && !compiled_.reads[i])) continue;
    const TensorSpec plain{spec_.inputs[i].dtype, spec_.inputs[i].dims};
    TensorSpec wanted = plain;
    wanted.layout = at(compiled_.input_layouts, i);
    inputs[i] = case_.inputs[i].tensor().raw();
    if (wanted == plain && (share == nullptr || i != share->input)) continue;
    buffers.push_back(reordered(plain, wanted, inputs[i], threads_));
    inputs[i] = buffers.back()->data();
  }
  std::vector<void*> outputs;
  for (size_t i = 0; i < spec_.outputs.size(); ++i) {
    TensorSpec made = spec_.outputs[i];
    made.layout = at(compiled_.output_layouts, i);
    buffers.push_back(Buffer::allocate(std::max<size_t>(1, cpu::layout_bytes(made))));
    outputs.push_back(buffers.back()->data());
  }
  if (share != nullptr) outputs[share->output] = const_cast<void*>(inputs[share->input]);
  std::shared_ptr<Buffer> scratch = Buffer::allocate(std::max<size_t>(1, compiled_.scratch_bytes));
  compiled_.kernel->run({inputs.data(), outputs.data(), scratch->data(), nullptr});
  std::vector<Tensor> results;
  for (size_t i = 0; i < spec_.outputs.size(); ++i) {
    TensorSpec made = spec_.outputs[i];
    made.layout = at(compiled_.output_layouts, i);
    results.emplace_back(made.dtype, made.dims,
                         reordered(made, spec_.outputs[i], outputs[i], threads_));
  }
  return results;
}

std::vector<Value> reference_of(const KernelCase& c) {
  Graph graph;
  return evaluate_case(c, *make_spec(c, graph).node);
}

std::string compare_kernel(const cpu::Family& family, const KernelCase& c) {
  try {
    for (const int threads : {1, 2}) {
      const CompiledCase made(family, c, threads);
      const std::vector<Value> want = made.reference();
      auto compare = [&](const std::vector<Tensor>& got, const std::string& what) {
        for (size_t i = 0; i < want.size(); ++i) {
          const std::string d = difference(got[i], want[i], {c.rtol, c.atol});
          EXPECT_TRUE(d.empty()) << c << " (" << made.compiled().name << ", " << threads
                                 << " threads, " << what << "), output " << i << ": " << d;
        }
      };
      compare(made.run(), "apart");
      compare(made.run(), "again");
      for (const InPlace& pair : made.compiled().in_place) compare(made.run(&pair), "in place");
    }
  } catch (const Error& e) {
    if (e.code() == Code::kUnsupported) return e.text();
    ADD_FAILURE() << c << ": " << e.what();
  }
  return "";
}

void check_kernel(const cpu::Family& family, const KernelCase& c) {
  EXPECT_EQ(compare_kernel(family, c), "") << c;
}

std::string reason(const cpu::Family& family, const KernelCase& c) {
  Graph graph;
  return family.supports(whole_spec(c, graph)).reason;
}

bool pays(const cpu::Family& family, const KernelCase& c) {
  Graph graph;
  return family.pays(whole_spec(c, graph));
}

}  // namespace treadle::test
