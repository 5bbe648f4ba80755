#include "backends/cpu/native/trees.h"

#include "backends/cpu/native/flat_forest.h"
#include "backends/cpu/parallel.h"
#include "graph/ops/arithmetic.h"
#include "graph/ops/tree_ensemble.h"

namespace treadle::cpu {
namespace {

using InputTypes = Types<float, double, Float16, int32_t, int64_t>;
using OutputTypes = Types<float, double, Float16>;

constexpr size_t kWalkCost = 16;  // of a tree and a row, in elementary operations
constexpr int64_t kMostTargets = 1 << 24;
constexpr size_t kMostScores = 4096;  // that a share has at once
constexpr size_t kMostRows = 16 * kLanes;

// n elements of `from`, from its element `at` on.
template <class To>
using Load = void (*)(const void* from, size_t at, size_t n, To* to);
template <class From, class To>
void load_run(const void* from, size_t at, size_t n, To* to) {
  const From* source = static_cast<const From*>(from) + at;
  for (size_t i = 0; i < n; ++i) to[i] = convert<To>(static_cast<Compute<From>>(source[i]));
}

using Store = void (*)(const double* from, size_t n, void* to, size_t at);
template <class To>
void store_run(const double* from, size_t n, void* to, size_t at) {
  for (size_t i = 0; i < n; ++i) static_cast<To*>(to)[at + i] = convert<To>(from[i]);
}

struct TreesShape {
  size_t rows = 0;
  size_t columns = 0;
  DType from = DType::kFloat;
  DType to = DType::kUndefined;  // of the scores, where somebody wants them
};

// What all kernels of a node share, whatever their shapes.
struct Trees {
  TreeEnsemble ensemble;       // less its nodes
  bool narrow = false;         // thresholds of the input's type
  FlatForest<float> floats;    // where narrow
  FlatForest<double> doubles;  // where not

  template <class T>
  const FlatForest<T>& flat() const {
    if constexpr (std::is_same_v<T, float>)
      return floats;
    else
      return doubles;
  }
  size_t bytes() const {
    return sizeof(Trees) + floats.bytes() + doubles.bytes() +
           ensemble.forest.votes.capacity() * sizeof(Vote);
  }
};

const Trees& trees_of(const Buffer& buffer) {
  return *reinterpret_cast<const Trees*>(buffer.data());
}
bool is_narrow(DType dtype) { return dtype == DType::kFloat || dtype == DType::kFloat16; }

// T: the thresholds' type, which holds the model's and the input's numbers as they are.
template <class T>
class TreesKernel : public Kernel {
 public:
  TreesKernel(std::shared_ptr<Buffer> trees, const TreesShape& shape, int threads)
      : trees_(std::move(trees)),
        m_(trees_of(*trees_).ensemble),
        flat_(trees_of(*trees_).template flat<T>()),
        s_(shape),
        threads_(threads),
        targets_(static_cast<size_t>(m_.targets)),
        block_(std::clamp<size_t>(kMostScores / std::max<size_t>(targets_, 1), 1, kMostRows)) {
    block_ = std::min(block_, s_.rows);
    const size_t cost = flat_.roots.size() * kWalkCost + 1;
    shares_ = std::clamp<size_t>(s_.rows * cost / kParallelGrain, 1, static_cast<size_t>(threads));
    shares_ = std::min(shares_, s_.rows);
    if (s_.from != dtype_of<T>)
      load_ = dispatch(s_.from, InputTypes{},
                       []<class From>() -> Load<T> { return load_run<From, T>; });
    if (s_.to != DType::kUndefined)
      store_ = dispatch(s_.to, OutputTypes{}, []<class To>() -> Store { return store_run<To>; });
  }

  size_t scratch_bytes() const { return share_bytes() * shares_; }

  void run(const KernelArgs& args) const override {
    const auto shares = static_cast<int64_t>(shares_);
    parallel_for(threads_, shares, 1, [&](int64_t begin, int64_t end) {
      const auto first = static_cast<size_t>(begin), last = static_cast<size_t>(end);
      std::byte* scratch = static_cast<std::byte*>(args.scratch) + first * share_bytes();
      const size_t rows_end = last * s_.rows / shares_;
      for (size_t row = first * s_.rows / shares_; row < rows_end; row += block_) {
        if (args.control != nullptr) args.control->poll();
        run_block(args, row, std::min(block_, rows_end - row), scratch);
      }
    });
  }

 private:
  // Rows at once: their elements, scores and which scores have votes.
  struct Block {
    const T* x;
    double* scores;
    uint8_t* seen;
    size_t rows;
  };

  size_t copied() const { return load_ != nullptr ? block_ * s_.columns : 0; }
  size_t share_bytes() const {
    const size_t bytes = block_ * targets_ * (sizeof(double) + 1) + copied() * sizeof(T);
    return (bytes + 63) / 64 * 64;
  }

  void run_block(const KernelArgs& args, size_t row, size_t rows, std::byte* scratch) const {
    auto* scores = reinterpret_cast<double*>(scratch);
    auto* copy = reinterpret_cast<T*>(scores + block_ * targets_);
    auto* seen = reinterpret_cast<uint8_t*>(copy + copied());
    const T* x = copy;
    if (load_ != nullptr)
      load_(args.inputs[0], row * s_.columns, rows * s_.columns, copy);
    else
      x = static_cast<const T*>(args.inputs[0]) + row * s_.columns;
    std::fill_n(scores, rows * targets_, 0.0);
    std::fill_n(seen, rows * targets_, uint8_t{0});
    walk_block({x, scores, seen, rows});
    finish(args, row, {x, scores, seen, rows});
  }

  void walk_block(const Block& b) const {
    const size_t together = b.rows / kLanes * kLanes;
    for (size_t tree = 0; tree < flat_.roots.size() && together != 0; ++tree) {
      for (size_t row = 0; row < together; row += kLanes) walk_rows(b, row, tree);
    }
    for (size_t row = together; row < b.rows; ++row) {
      for (size_t tree = 0; tree < flat_.roots.size(); tree += kLanes) walk_trees(b, row, tree);
    }
  }

  void walk_rows(const Block& b, size_t row, size_t tree) const {
    std::array<const T*, kLanes> rows;
    std::array<uint32_t, kLanes> at;
    at.fill(flat_.roots[tree]);
    for (size_t lane = 0; lane < kLanes; ++lane) rows[lane] = b.x + (row + lane) * s_.columns;
    walk(flat_.nodes.data(), rows, at);
    for (size_t lane = 0; lane < kLanes; ++lane) add_votes(b, row + lane, at[lane]);
  }

  void walk_trees(const Block& b, size_t row, size_t tree) const {
    std::array<const T*, kLanes> rows;
    std::array<uint32_t, kLanes> at;
    const size_t count = std::min(kLanes, flat_.roots.size() - tree);
    rows.fill(b.x + row * s_.columns);
    for (size_t lane = 0; lane < kLanes; ++lane)
      at[lane] = flat_.roots[tree + std::min(lane, count - 1)];
    walk(flat_.nodes.data(), rows, at);
    for (size_t lane = 0; lane < count; ++lane) add_votes(b, row, at[lane]);
  }

  void add_votes(const Block& b, size_t row, uint32_t leaf) const {
    const auto [begin, end] = flat_.ranges[leaf];
    for (uint32_t i = begin; i < end; ++i) {
      const Vote& vote = m_.forest.votes[i];
      const size_t at = row * targets_ + static_cast<size_t>(vote.target);
      join_vote(m_.join, vote.weight, b.scores[at], b.seen[at]);
    }
  }

  void finish(const KernelArgs& args, size_t first, const Block& b) const {
    auto* labels = m_.classifier ? static_cast<int64_t*>(args.outputs[0]) : nullptr;
    for (size_t row = 0; row < b.rows; ++row) {
      const size_t best = finish_scores(m_, {b.scores + row * targets_, targets_});
      if (labels != nullptr) labels[first + row] = m_.labels.number(best);
    }
    void* y = store_ == nullptr ? nullptr : args.outputs[m_.classifier ? 1 : 0];
    if (y != nullptr) store_(b.scores, b.rows * targets_, y, first * targets_);
  }

  std::shared_ptr<Buffer> trees_;
  const TreeEnsemble& m_;
  const FlatForest<T>& flat_;
  TreesShape s_;
  int threads_;
  size_t targets_;
  size_t block_;            // rows at once
  size_t shares_ = 1;       // of the rows, each with scratch of its own
  Load<T> load_ = nullptr;  // null: the elements are of T
  Store store_ = nullptr;
};

Support supports_trees(const NodeSpec& spec) {
  if (spec.outputs[0].dtype == DType::kString) return Support::no("labels are strings");
  if (element_count(spec.inputs[0].dims) == 0) return Support::no("empty tensor");
  return {};
}

// What is wrong with a model is the reference's to say, when it runs.
TreeEnsemble read(const Node& node) {
  try {
    return read_tree_ensemble(node);
  } catch (const Error& e) {
    fail(Code::kUnsupported, e.text());
  }
}

std::shared_ptr<Buffer> make_trees(const NodeSpec& spec) {
  auto trees = std::make_shared<Trees>();
  trees->ensemble = read(*spec.node);
  Forest& forest = trees->ensemble.forest;
  trees->narrow = is_narrow(spec.inputs[0].dtype) && exact_as_floats(forest);
  if (trees->narrow)
    trees->floats = flatten<float>(forest);
  else
    trees->doubles = flatten<double>(forest);
  forest.nodes = {};
  forest.members = {};
  return Buffer::wrap(trees.get(), trees->bytes(), trees);
}

// Shared by the plans of a model: the node's lists lie where they are as long as there are plans.
std::shared_ptr<Buffer> shared_trees(const NodeSpec& spec, const CompileContext& context) {
  const Attribute* found = spec.node->attributes.find("nodes_featureids");
  const auto* list = found == nullptr ? nullptr : std::get_if<std::vector<int64_t>>(found);
  if (list == nullptr || list->empty()) return make_trees(spec);
  const auto count = static_cast<int64_t>(list->size());
  const Tensor source(DType::kInt64, {count},
                      Buffer::borrow(const_cast<int64_t*>(list->data()), list->size() * 8));
  return packed(context, source, cat("trees of ", is_narrow(spec.inputs[0].dtype)),
                [&](const Tensor&) { return make_trees(spec); });
}

template <class T>
void use(Compiled& compiled, std::shared_ptr<Buffer> trees, const TreesShape& shape, int threads) {
  auto kernel = std::make_unique<TreesKernel<T>>(std::move(trees), shape, threads);
  compiled.scratch_bytes = kernel->scratch_bytes();
  compiled.kernel = std::move(kernel);
}

Compiled compile_trees(const NodeSpec& spec, const CompileContext& context) {
  std::shared_ptr<Buffer> shared = shared_trees(spec, context);
  const Trees& trees = trees_of(*shared);
  const TreeEnsemble& m = trees.ensemble;
  const auto [rows, columns] = rows_and_columns(spec.inputs[0].dims);
  TREADLE_CHECK(columns >= m.forest.features && m.targets <= kMostTargets, kUnsupported,
                "the trees read ", m.forest.features, " columns and give ", m.targets, " scores");
  TreesShape shape{.rows = static_cast<size_t>(rows),
                   .columns = static_cast<size_t>(columns),
                   .from = spec.inputs[0].dtype};
  const size_t scores = m.classifier ? 1 : 0;
  if (scores < spec.outputs.size()) shape.to = spec.outputs[scores].dtype;
  Compiled compiled;
  compiled.name = cat("native trees of ", m.forest.roots.size());
  if (trees.narrow)
    use<float>(compiled, std::move(shared), shape, context.threads);
  else
    use<double>(compiled, std::move(shared), shape, context.threads);
  return compiled;
}

}  // namespace

const Family kNativeTrees{"native trees", supports_trees, compile_trees};

}  // namespace treadle::cpu
