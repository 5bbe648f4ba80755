// A forest as the kernel walks it: nodes without kinds, in one array.
#pragma once

#include <array>

#include "graph/ops/forest.h"

namespace treadle::cpu {

template <class T>
struct FlatNode {
  T threshold = 0;
  // 16 times the feature x, then a bit for each sum of x <= threshold (1) and x >= threshold (2):
  // whether such a row takes next[1]. Neither holds for NaN.
  uint32_t question = 0;
  std::array<uint32_t, 2> next = {};  // a leaf's are the leaf
};

template <class T>
struct FlatForest {
  std::vector<FlatNode<T>> nodes;  // those of the forest, then what their sets became
  std::vector<uint32_t> roots;
  std::vector<std::array<uint32_t, 2>> ranges;  // of each node of the forest: its votes

  size_t bytes() const {
    return nodes.capacity() * sizeof(FlatNode<T>) + roots.capacity() * sizeof(uint32_t) +
           ranges.capacity() * sizeof(ranges[0]);
  }
};

// Whether no threshold or member is rounded as a float.
bool exact_as_floats(const Forest& forest);

// kUnsupported where it has a cycle or is too large.
template <class T>
FlatForest<T> flatten(const Forest& forest);

inline constexpr size_t kLanes = 8;  // walks at once: their loads wait for each other no more

// Each lane goes from at[lane] to the leaf that its row leads to.
template <class T>
void walk(const FlatNode<T>* nodes, const std::array<const T*, kLanes>& rows,
          std::array<uint32_t, kLanes>& at) {
  for (uint32_t moved = 1; moved != 0;) {
    moved = 0;
    for (size_t lane = 0; lane < kLanes; ++lane) {
      const FlatNode<T>& n = nodes[at[lane]];
      const T x = rows[lane][n.question >> 4];
      const unsigned outcome =
          static_cast<unsigned>(x <= n.threshold) + 2 * static_cast<unsigned>(x >= n.threshold);
      const uint32_t next = n.next[(n.question >> outcome) & 1];
      moved |= next ^ at[lane];
      at[lane] = next;
    }
  }
}

}  // namespace treadle::cpu
