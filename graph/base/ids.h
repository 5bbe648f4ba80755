// Typed indices into a Graph. An id is never reused within one graph.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>

namespace treadle {

template <class Tag>
struct Id {
  uint32_t index = UINT32_MAX;
  constexpr bool valid() const { return index != UINT32_MAX; }
  constexpr explicit operator bool() const { return valid(); }
  constexpr auto operator<=>(const Id&) const = default;
};

using NodeId = Id<struct NodeTag>;
using ValueId = Id<struct ValueTag>;  // invalid() = an absent optional input or output

}  // namespace treadle

template <class Tag>
struct std::hash<treadle::Id<Tag>> {
  size_t operator()(treadle::Id<Tag> id) const { return id.index; }
};
