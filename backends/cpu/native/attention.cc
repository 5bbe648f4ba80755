#include "backends/cpu/native/attention.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>

#include "backends/cpu/native/attention_problem.h"
#include "backends/cpu/parallel.h"
#include "backends/cpu/simd/gemm.h"
#include "backends/cpu/simd/rows.h"
#include "backends/cpu/simd/transpose.h"
#include "graph/ops/iterate.h"

namespace treadle::cpu {
namespace {

constexpr float kForbidden = -std::numeric_limits<float>::infinity();

// Row `j` of a head.
template <class T>
const T* row_at(const KernelArgs& args, const Rows& r, int64_t b, int64_t h, int64_t j) {
  const bool before = j < r.past.rows;
  const Heads& heads = before ? r.past : r.now;
  const int64_t row = before ? j : j - r.past.rows;
  const void* all = args.inputs[before ? r.input + kPast : r.input];
  return static_cast<const T*>(all) + heads.at(b, h) + row * heads.row_stride;
}

// Rows that lie in one piece.
template <class T>
struct Piece {
  const T* from;
  int64_t stride;
  int64_t rows;
};

// From row `j` of a head on.
template <class T>
Piece<T> piece_at(const KernelArgs& args, const Rows& r, int64_t b, int64_t h, int64_t j) {
  const bool before = j < r.past.rows;
  const Heads& heads = before ? r.past : r.now;
  return {row_at<T>(args, r, b, h, j), heads.row_stride,
          heads.rows - (before ? j : j - r.past.rows)};
}

// Short rows that are far from each other come late unless they are asked for before.
template <class T>
void fetch(const T* row, int64_t n) {
  constexpr auto kLine = static_cast<int64_t>(64 / sizeof(T));
  for (int64_t i = 0; i < n; i += kLine) __builtin_prefetch(row + i);
}

// In steps whose copies are inlined.
void copy_row(const float* from, int64_t n, float* to) {
  constexpr int64_t kStep = 8;
  int64_t i = 0;
  for (; i + kStep <= n; i += kStep) std::memcpy(to + i, from + i, kStep * sizeof(float));
  for (; i < n; ++i) to[i] = from[i];
}
template <class From, class To>
void copy_row(const From* from, int64_t n, To* to) {
  std::transform(from, from + n, to, [](From x) { return static_cast<To>(static_cast<float>(x)); });
}

// All rows of a head, to the output that keeps them.
template <class T>
void keep(const KernelArgs& args, const Rows& r, int64_t head) {
  if (!r.kept || args.outputs[r.input] == nullptr) return;
  T* to = static_cast<T*>(args.outputs[r.input]) + head * r.count() * r.size();
  for (int64_t j = 0; j < r.count();) {
    const Piece<T> piece = piece_at<T>(args, r, head / r.now.heads, head % r.now.heads, j);
    for (int64_t i = 0; i < piece.rows; ++i, to += r.size())
      std::copy_n(piece.from + i * piece.stride, r.size(), to);
    j += piece.rows;
  }
}

// Q, K, V and Y hold T; it is computed in float.
template <class T>
class AttentionKernel : public Kernel {
 public:
  AttentionKernel(const AttentionProblem& problem, int threads)
      : p_(problem), gemm_(gemm_functions()), rows_(row_functions()), threads_(threads) {
    panel_ = static_cast<int64_t>(gemm_.panel);
    const auto rows = static_cast<int64_t>(gemm_.rows);
    padded_keys_ = ceil_div(p_.k.count(), panel_) * panel_;
    key_panels_ = checked_mul(padded_keys_, p_.k.size());
    value_panels_ = checked_mul(ceil_div(p_.v.size(), panel_) * panel_, p_.v.count());
    const int64_t most =
        std::clamp<int64_t>(kTileScores / padded_keys_ / rows * rows, rows, kMaxTileRows);
    tiles_ = ceil_div(p_.q.rows, most);
    tile_rows_ = ceil_div(ceil_div(p_.q.rows, tiles_), rows) * rows;
    tiles_ = ceil_div(p_.q.rows, tile_rows_);
    slot_floats_ = checked_mul(tile_rows_, padded_keys_ + p_.q.size + p_.v.size());
    const int64_t work = tile_rows_ * padded_keys_ * (p_.q.size + p_.v.size());
    slots_ = std::clamp<int64_t>(tasks() * work / (16 * kParallelGrain), 1, threads);
  }

  size_t scratch_bytes() const {
    const int64_t packed = checked_mul(kv_heads(), checked_add(key_panels_, value_panels_));
    return static_cast<size_t>(
        byte_size(DType::kFloat, checked_add(packed, checked_mul(slots_, slot_floats_))));
  }

  void run(const KernelArgs& args) const override {
    auto* packed = static_cast<float*>(args.scratch);
    const int64_t blocks = padded_keys_ / panel_;
    const int64_t block = panel_ * (p_.k.size() + p_.v.size()) * p_.k.now.heads;
    const int64_t grain = std::max<int64_t>(1, kParallelGrain / block);
    parallel_for(threads_, p_.k.now.batch * blocks, grain, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) pack(args, i / blocks, i % blocks * panel_, packed);
    });
    if (p_.k.kept || p_.v.kept) {
      parallel_for(threads_, kv_heads(), 1, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
          keep<T>(args, p_.k, i);
          keep<T>(args, p_.v, i);
        }
      });
    }
    float* slots = packed + kv_heads() * (key_panels_ + value_panels_);
    parallel_slots(threads_, slots_, {.n = tasks()}, [&](int64_t slot, int64_t begin, int64_t end) {
      for (int64_t t = begin; t < end; ++t) attend(args, t, packed, slots + slot * slot_floats_);
    });
  }

 private:
  static constexpr int64_t kMaxTileRows = 96;
  static constexpr int64_t kWeighedAtOnce = 8;       // rows; fetching is spread among them
  static constexpr int64_t kTileScores = 16 * 1024;  // floats

  int64_t kv_heads() const { return p_.k.now.batch * p_.k.now.heads; }
  int64_t tasks() const { return p_.q.batch * p_.q.heads * tiles_; }

  // Keys as columns, and values as rows, in the panels of simd/gemm.h: up to a panel of them from
  // `first` on, of one head after another, for the heads of a row may lie beside each other.
  void pack(const KernelArgs& args, int64_t b, int64_t first, float* packed) const {
    const int64_t heads = p_.k.now.heads, end = std::min(first + panel_, p_.k.count());
    for (int64_t h = 0; h < heads; ++h) {
      float* to = packed + (b * heads + h) * (key_panels_ + value_panels_);
      for (int64_t j = first; j < end; ++j) {
        if (h + 1 < heads) {
          fetch(row_at<T>(args, p_.k, b, h + 1, j), p_.k.size());
          fetch(row_at<T>(args, p_.v, b, h + 1, j), p_.v.size());
        }
        pack_value(row_at<T>(args, p_.v, b, h, j), to + key_panels_ + j * panel_);
      }
      pack_keys(args, b, h, to + first * p_.k.size(), first);
    }
  }

  void pack_keys(const KernelArgs& args, int64_t b, int64_t h, float* to, int64_t first) const {
    const int64_t columns = std::min(panel_, p_.k.count() - first);
    for (int64_t c = 0; c < columns;) {
      Piece<T> piece = piece_at<T>(args, p_.k, b, h, first + c);
      piece.rows = std::min(columns - c, piece.rows);
      turn(piece, to + c);
      c += piece.rows;
    }
    for (int64_t d = 0; d < p_.k.size(); ++d)
      std::fill(to + d * panel_ + columns, to + (d + 1) * panel_, 0.0f);
  }

  // Rows become columns of a panel.
  void turn(const Piece<T>& piece, float* to) const {
    if constexpr (std::is_same_v<T, float>) {
      transpose_({.from = reinterpret_cast<const uint32_t*>(piece.from),
                  .from_step = static_cast<size_t>(piece.stride),
                  .to = reinterpret_cast<uint32_t*>(to),
                  .to_step = static_cast<size_t>(panel_),
                  .rows = static_cast<size_t>(piece.rows),
                  .columns = static_cast<size_t>(p_.k.size())});
    } else {
      for (int64_t d = 0; d < p_.k.size(); ++d) {
        for (int64_t i = 0; i < piece.rows; ++i)
          to[d * panel_ + i] = static_cast<float>(piece.from[i * piece.stride + d]);
      }
    }
  }

  // A row of values over its panels.
  void pack_value(const T* from, float* to) const {
    for (int64_t c = 0; c < p_.v.size(); c += panel_, to += p_.v.count() * panel_) {
      const int64_t columns = std::min(panel_, p_.v.size() - c);
      copy_row(from + c, columns, to);
      std::fill(to + columns, to + panel_, 0.0f);
    }
  }

  // One tile of one head's queries.
  struct Tile {
    int64_t b, h;
    int64_t first, rows;
    int64_t valid;  // nonpad_kv_seqlen of the batch
    Range keys;     // nobody looks beyond them; begins with a panel
    const float* panels;
  };

  Tile tile_of(const KernelArgs& args, int64_t task, const float* packed) const {
    Tile t{};
    t.b = task / tiles_ / p_.q.heads;
    t.h = task / tiles_ % p_.q.heads;
    t.first = task % tiles_ * tile_rows_;
    t.rows = std::min(tile_rows_, p_.q.rows - t.first);
    if (p_.padded)
      t.valid = std::clamp(static_cast<const int64_t*>(args.inputs[kValid])[t.b], -kFar, kFar);
    t.keys.begin = visible(p_, t.valid, t.first).begin / panel_ * panel_;
    t.keys.end = visible(p_, t.valid, t.first + t.rows - 1).end;
    const int64_t kv = t.b * p_.k.now.heads + t.h / (p_.q.heads / p_.k.now.heads);
    t.panels = packed + kv * (key_panels_ + value_panels_);
    return t;
  }

  void attend(const KernelArgs& args, int64_t task, const float* packed, float* scores) const {
    const Tile t = tile_of(args, task, packed);
    T* y = static_cast<T*>(args.outputs[0]) + p_.y.at(t.b, t.h) + t.first * p_.y.row_stride;
    if (t.keys.begin >= t.keys.end) {
      for (int64_t r = 0; r < t.rows; ++r) std::fill_n(y + r * p_.y.row_stride, p_.y.size, T{});
      return;
    }
    float* queries = scores + tile_rows_ * padded_keys_;
    float* results = queries + tile_rows_ * p_.q.size;
    score(args, t, queries, scores);
    const Tile next = task + 1 < tasks() ? tile_of(args, task + 1, packed) : Tile{};
    float factors[kMaxTileRows];
    for (Range rows{0, 0}; rows.begin < t.rows; rows.begin = rows.end) {
      rows.end = std::min(rows.begin + kWeighedAtOnce, t.rows);
      for (int64_t r = rows.begin; r < rows.end; ++r) {
        if (r < next.rows) fetch(query(args, next, r), p_.q.size);
        fetch(y + r * p_.y.row_stride, p_.y.size);
      }
      weigh(args, t, rows, scores, factors);
    }
    sum_values(t, scores, results);
    for (int64_t r = 0; r < t.rows; ++r, y += p_.y.row_stride, results += p_.v.size())
      scale_row(results, p_.v.size(), factors[r], y);
  }

  const T* query(const KernelArgs& args, const Tile& t, int64_t r) const {
    return static_cast<const T*>(args.inputs[kQ]) + p_.q.at(t.b, t.h) +
           (t.first + r) * p_.q.row_stride;
  }

  template <class From, class To>
  void scale_row(const From* from, int64_t n, float factor, To* to) const {
    if constexpr (std::is_same_v<From, float> && std::is_same_v<To, float>) {
      rows_.spread(from, {.centre = 0, .factor = factor, .term = 0}, to, static_cast<size_t>(n));
    } else {
      for (int64_t i = 0; i < n; ++i) to[i] = To(static_cast<float>(from[i]) * factor);
    }
  }

  void score(const KernelArgs& args, const Tile& t, float* queries, float* scores) const {
    for (int64_t r = 0; r < t.rows; ++r)
      scale_row(query(args, t, r), p_.q.size, p_.scale, queries + r * p_.q.size);
    gemm_.multiply({.a = queries,
                    .a_stride = static_cast<size_t>(p_.q.size),
                    .panels = t.panels + t.keys.begin * p_.k.size(),
                    .k = static_cast<size_t>(p_.k.size()),
                    .bias = nullptr,
                    .y = scores,
                    .y_stride = static_cast<size_t>(padded_keys_),
                    .rows = static_cast<size_t>(t.rows),
                    .columns = static_cast<size_t>(t.keys.end - t.keys.begin)});
  }

  // Softmax of these rows of the tile but for a factor: the results are fewer than the weights.
  // Zeros where everything is forbidden.
  void weigh(const KernelArgs& args, const Tile& t, const Range& rows, float* scores,
             float* factors) const {
    const int64_t lanes = panel_ / 2;
    const int64_t n = ceil_div(t.keys.end - t.keys.begin, lanes) * lanes;
    for (int64_t r = rows.begin; r < rows.end; ++r) {
      float* row = scores + r * padded_keys_;
      const Range seen = visible(p_, t.valid, t.first + r);
      const int64_t begin = seen.begin - t.keys.begin, end = seen.end - t.keys.begin;
      constrain(row + begin, end - begin, mask_row(args, t, t.first + r), seen.begin);
      std::fill(row, row + begin, kForbidden);
      std::fill(row + end, row + n, kForbidden);
    }
    rows_.exponentiate({.x = scores + rows.begin * padded_keys_,
                        .rows = static_cast<size_t>(rows.end - rows.begin),
                        .stride = static_cast<size_t>(padded_keys_),
                        .n = static_cast<size_t>(n),
                        .sums = factors + rows.begin});
    for (int64_t r = rows.begin; r < rows.end; ++r)
      factors[r] = factors[r] == 0 ? 0 : 1 / factors[r];
  }

  const void* mask_row(const KernelArgs& args, const Tile& t, int64_t i) const {
    if (p_.mask.empty()) return nullptr;
    const int64_t row = t.b * p_.mask[0] + t.h * p_.mask[1] + i * p_.mask[2];
    const auto bytes = static_cast<int64_t>(p_.mask_is_bool ? sizeof(bool) : sizeof(T));
    return static_cast<const std::byte*>(args.inputs[kMask]) + row * p_.mask_columns * bytes;
  }

  // Caps n scores, those from key `at` on, and adds the mask.
  void constrain(float* row, int64_t n, const void* mask, int64_t at) const {
    if (p_.softcap > 0) {
      for (int64_t j = 0; j < n; ++j) row[j] = std::tanh(row[j] / p_.softcap) * p_.softcap;
    }
    if (mask == nullptr) return;
    if (p_.mask_is_bool) {
      const auto* allowed = static_cast<const uint8_t*>(mask) + at;
      for (int64_t j = 0; j < n; ++j) row[j] = allowed[j] != 0 ? row[j] : kForbidden;
    } else {
      const auto* bias = static_cast<const T*>(mask) + at;
      for (int64_t j = 0; j < n; ++j) row[j] += static_cast<float>(bias[j]);
    }
  }

  void sum_values(const Tile& t, const float* weights, float* results) const {
    gemm_.multiply({.a = weights,
                    .a_stride = static_cast<size_t>(padded_keys_),
                    .panels = t.panels + key_panels_ + t.keys.begin * panel_,
                    .k = static_cast<size_t>(t.keys.end - t.keys.begin),
                    .depth = static_cast<size_t>(p_.v.count()),
                    .y = results,
                    .y_stride = static_cast<size_t>(p_.v.size()),
                    .rows = static_cast<size_t>(t.rows),
                    .columns = static_cast<size_t>(p_.v.size())});
  }

  AttentionProblem p_;
  const GemmFunctions& gemm_;
  const RowFunctions& rows_;
  TransposeFn transpose_ = transpose_function();
  int threads_;
  int64_t panel_ = 0;
  int64_t padded_keys_ = 0;
  int64_t key_panels_ = 0;  // floats of a head
  int64_t value_panels_ = 0;
  int64_t tile_rows_ = 0;
  int64_t tiles_ = 0;  // a head
  int64_t slots_ = 1;  // threads that work at a time
  int64_t slot_floats_ = 0;
};

using AttentionTypes = Types<float, Float16, Bfloat16>;

Compiled compile_attention(const NodeSpec& spec, const CompileContext& context) {
  Compiled compiled;
  compiled.name = "native attention";
  dispatch(spec.inputs[kQ].dtype, AttentionTypes{}, [&]<class T>() {
    auto kernel = std::make_unique<AttentionKernel<T>>(attention_problem(spec), context.threads);
    compiled.scratch_bytes = kernel->scratch_bytes();
    compiled.kernel = std::move(kernel);
  });
  return compiled;
}

}  // namespace

const Family kNativeAttention{"native attention", supports_attention, compile_attention};

}  // namespace treadle::cpu
