// The instructions of AMX, written as assembly since the functions around them are compiled
// without. Eight tiles of up to 16 rows of 64 bytes: Intel's Software Developer's Manual, volume 1,
// chapter 18. To be used where amx_available() (simd/amx.h) alone.
#pragma once

#include <cstddef>
#include <cstdint>

#if defined(__x86_64__)
namespace treadle::cpu::tiles {

inline constexpr size_t kRows = 16;
inline constexpr size_t kRowBytes = 64;

struct alignas(64) Shapes {
  uint8_t palette = 1;
  uint8_t start = 0;
  uint8_t reserved[14] = {};
  uint16_t row_bytes[16] = {};
  uint8_t rows[16] = {};
};
static_assert(sizeof(Shapes) == 64);

#define TREADLE_INLINE inline __attribute__((always_inline))

// Of all tiles, which become zeros; some hundred cycles.
TREADLE_INLINE void configure(const Shapes& shapes) {
  asm volatile("ldtilecfg %0" : : "m"(shapes));
}
// A thread's state of tiles is dear to keep: at the end of each job.
TREADLE_INLINE void release() { asm volatile("tilerelease"); }

// Rows lie `step` bytes apart.
template <int kTile>
TREADLE_INLINE void load(const void* from, size_t step) {
  asm volatile("tileloadd (%0,%1,1), %%tmm%c2" : : "r"(from), "r"(step), "i"(kTile) : "memory");
}
template <int kTile>
TREADLE_INLINE void keep(void* to, size_t step) {
  asm volatile("tilestored %%tmm%c2, (%0,%1,1)" : : "r"(to), "r"(step), "i"(kTile) : "memory");
}
template <int kTile>
TREADLE_INLINE void clear() {
  asm volatile("tilezero %%tmm%c0" : : "i"(kTile));
}

// Sums of 32 bits += rows of A by columns of the weights, four uint8 and int8, or two bfloat16, of
// each.
template <int kSum, int kA, int kWeights>
TREADLE_INLINE void add_bytes() {
  asm volatile("tdpbusd %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(kSum), "i"(kA), "i"(kWeights));
}
template <int kSum, int kA, int kWeights>
TREADLE_INLINE void add_bfloat16() {
  asm volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(kSum), "i"(kA), "i"(kWeights));
}

// Bytes that are read later, fetched into the second-level cache in about equal shares.
class Fetch {
 public:
  Fetch() = default;
  Fetch(const std::byte* from, size_t bytes, size_t shares)
      : from_(from), lines_(bytes / kLine), share_(1 + lines_ / shares) {}

  TREADLE_INLINE void next_share() {
    const size_t now = share_ < lines_ ? share_ : lines_;
    for (size_t i = 0; i < now; ++i, from_ += kLine) __builtin_prefetch(from_, 0, 2);
    lines_ -= now;
  }

 private:
  static constexpr size_t kLine = 64;
  const std::byte* from_ = nullptr;
  size_t lines_ = 0, share_ = 0;
};

#undef TREADLE_INLINE

}  // namespace treadle::cpu::tiles
#endif
