#include "backends/cpu/native/copy.h"

#include <array>
#include <cstring>

#include "backends/cpu/parallel.h"
#include "backends/cpu/simd/transpose.h"
#include "graph/ops/iterate.h"
#include "graph/ops/move.h"

namespace treadle::cpu {
namespace {

// A job seen as runs over its last dimension, or as transposed tiles over its last and another
// dimension.
struct Runs {
  size_t input = 0;
  size_t output = 0;
  Dims outer, from, to;  // the other dimensions
  int64_t count = 1;     // of runs
  int64_t from_at = 0;
  int64_t to_at = 0;
  int64_t length = 1;
  int64_t from_step = 1;
  int64_t to_step = 1;
  // Along this second dimension the source is dense, where it is not along the last; 1: no tiles.
  int64_t width = 1;
  int64_t width_to = 0;
};

void take_dim(Runs& runs, size_t d) {
  const auto at = static_cast<ptrdiff_t>(d);
  runs.outer.erase(runs.outer.begin() + at);
  runs.from.erase(runs.from.begin() + at);
  runs.to.erase(runs.to.begin() + at);
}

Runs make_runs(const CopyJob& job) {
  Dims dims = job.dims;
  std::array<Dims, 2> strides{job.from, job.to};
  const bool nothing = element_count(dims) == 0;
  merge_dims(dims, strides);
  Runs runs{.input = job.input,
            .output = job.output,
            .outer = dims,
            .from = strides[0],
            .to = strides[1]};
  runs.from_at = job.from_at;
  runs.to_at = job.to_at;
  const size_t last = dims.size() - 1;
  runs.length = dims[last];
  runs.from_step = runs.from[last];
  runs.to_step = runs.to[last];
  take_dim(runs, last);
  if (runs.from_step != 1 && runs.from_step != 0 && runs.to_step == 1) {
    for (size_t d = 0; d < runs.outer.size(); ++d) {
      if (runs.from[d] != 1) continue;
      runs.width = runs.outer[d];
      runs.width_to = runs.to[d];
      take_dim(runs, d);
      break;
    }
  }
  runs.count = nothing ? 0 : element_count(runs.outer);
  return runs;
}

// In pieces, the last of which overlaps the one before it, where a call takes longer.
void copy_bytes(const std::byte* from, size_t count, std::byte* to) {
  constexpr size_t kPiece = 16, kCall = 256;
  if (count < kPiece || count > kCall) {
    std::memcpy(to, from, count);
    return;
  }
  for (size_t i = 0; i + kPiece < count; i += kPiece) std::memcpy(to + i, from + i, kPiece);
  std::memcpy(to + count - kPiece, from + count - kPiece, kPiece);
}

template <class T>
void copy_run(const Runs& r, const T* from, T* to) {
  if (r.to_step != 1) {
    for (int64_t i = 0; i < r.length; ++i) to[i * r.to_step] = from[i * r.from_step];
  } else if (r.from_step == 0) {
    std::fill_n(to, r.length, *from);
  } else if (r.from_step != 1) {
    for (int64_t i = 0; i < r.length; ++i) to[i] = from[i * r.from_step];
  } else if (r.length * static_cast<int64_t>(sizeof(T)) >= 16) {
    copy_bytes(reinterpret_cast<const std::byte*>(from), static_cast<size_t>(r.length) * sizeof(T),
               reinterpret_cast<std::byte*>(to));
  } else {
    for (int64_t i = 0; i < r.length; ++i) to[i] = from[i];
  }
}

struct Transposes {
  TransposeFn words = transpose_function();
  TransposeBytesFn bytes = transpose_bytes_function();
};

template <class T>
TransposeOf<T> transpose_job(const Runs& r, const T* from, T* to, int64_t columns) {
  return {.from = from,
          .from_step = static_cast<size_t>(r.from_step),
          .to = to,
          .to_step = static_cast<size_t>(r.width_to),
          .rows = static_cast<size_t>(r.length),
          .columns = static_cast<size_t>(columns)};
}

// `columns` of the second dimension, in tiles small enough that the lines of both sides stay in L1.
template <class T>
void copy_transposed(const Runs& r, const T* from, T* to, int64_t columns, const Transposes&) {
  constexpr int64_t kTile = 16;
  for (int64_t j0 = 0; j0 < r.length; j0 += kTile) {
    const int64_t j1 = std::min(r.length, j0 + kTile);
    for (int64_t i0 = 0; i0 < columns; i0 += kTile) {
      const int64_t i1 = std::min(columns, i0 + kTile);
      for (int64_t i = i0; i < i1; ++i) {
        T* row = to + i * r.width_to;
        const T* column = from + i;
        for (int64_t j = j0; j < j1; ++j) row[j] = column[j * r.from_step];
      }
    }
  }
}
void copy_transposed(const Runs& r, const uint32_t* from, uint32_t* to, int64_t columns,
                     const Transposes& transposes) {
  transposes.words(transpose_job(r, from, to, columns));
}
void copy_transposed(const Runs& r, const uint8_t* from, uint8_t* to, int64_t columns,
                     const Transposes& transposes) {
  transposes.bytes(transpose_job(r, from, to, columns));
}

// Columns [begin, end) of all the runs' one after another.
template <class T>
void copy_range(const Runs& r, const T* from, T* to, int64_t begin, int64_t end,
                const Transposes& transposes) {
  if (begin == end) return;
  from += r.from_at;
  to += r.to_at;
  std::array<int64_t, kMaxRank> index{};
  int64_t rest = begin / r.width;
  for (size_t d = r.outer.size(); d-- > 0;) {
    index[d] = rest % r.outer[d];
    rest /= r.outer[d];
    from += index[d] * r.from[d];
    to += index[d] * r.to[d];
  }
  for (int64_t at = begin; at < end;) {
    const int64_t column = at % r.width, columns = std::min(r.width - column, end - at);
    if (r.width > 1) {
      copy_transposed(r, from + column, to + column * r.width_to, columns, transposes);
    } else {
      copy_run(r, from, to);
    }
    at += columns;
    for (size_t d = r.outer.size(); d-- > 0;) {
      from += r.from[d];
      to += r.to[d];
      if (++index[d] < r.outer[d]) break;
      from -= r.from[d] * r.outer[d];
      to -= r.to[d] * r.outer[d];
      index[d] = 0;
    }
  }
}

template <class T>
class CopyKernel : public Kernel {
 public:
  CopyKernel(const std::vector<CopyJob>& jobs, CopyFill fill, int threads)
      : fill_(fill), threads_(threads) {
    int64_t work = 0;
    for (const CopyJob& job : jobs) {
      runs_.push_back(make_runs(job));
      const Runs& r = runs_.back();
      work += r.count * r.width * (r.length + kRunCost);
    }
    pieces_ = std::max<int64_t>(1, work / kParallelGrain);
    if (pieces_ > 1) pieces_ = ceil_div(pieces_, threads) * threads;
  }
  void run(const KernelArgs& args) const override {
    if (fill_.on && args.outputs[0] != nullptr) {
      T element;
      std::memcpy(&element, &fill_.bits, std::min(sizeof(T), sizeof fill_.bits));
      std::fill_n(static_cast<T*>(args.outputs[0]), fill_.count, element);
    }
    parallel_for(threads_, pieces_, 1, [&](int64_t begin, int64_t end) {
      for (int64_t piece = begin; piece < end; ++piece) copy_piece(args, piece);
    });
  }

 private:
  // A share of each run: what it is made of comes to lie together where several are joined.
  void copy_piece(const KernelArgs& args, int64_t piece) const {
    for (const Runs& r : runs_) {
      if (args.outputs[r.output] == nullptr) continue;
      copy_range(r, static_cast<const T*>(args.inputs[r.input]),
                 static_cast<T*>(args.outputs[r.output]), piece_begin(r, piece),
                 piece_begin(r, piece + 1), transposes_);
    }
  }

  // Tiles are not cut into fewer columns than are transposed at once.
  int64_t piece_begin(const Runs& r, int64_t piece) const {
    constexpr int64_t kColumns = sizeof(T) == 1 ? kTransposedBytes : 4;
    const int64_t at = r.count * r.width * piece / pieces_;
    return piece == pieces_ ? at : at - at % r.width % kColumns;
  }

  std::vector<Runs> runs_;
  static constexpr int64_t kRunCost = 4;  // elements
  CopyFill fill_;
  int threads_;
  int64_t pieces_;
  Transposes transposes_;
};

}  // namespace

bool copyable(DType dtype) { return dtype_bits(dtype) >= 8; }

std::unique_ptr<Kernel> make_copy_kernel(std::vector<CopyJob> jobs, DType dtype, CopyFill fill,
                                         int threads) {
  switch (dtype_bits(dtype)) {
    case 8: return std::make_unique<CopyKernel<uint8_t>>(jobs, fill, threads);
    case 16: return std::make_unique<CopyKernel<uint16_t>>(jobs, fill, threads);
    case 32: return std::make_unique<CopyKernel<uint32_t>>(jobs, fill, threads);
    case 64: return std::make_unique<CopyKernel<uint64_t>>(jobs, fill, threads);
    default: return std::make_unique<CopyKernel<Bytes16>>(jobs, fill, threads);
  }
}

}  // namespace treadle::cpu
