// The windows of a convolution as the rows that simd/byte_product.h multiplies.
#pragma once

#include "backends/cpu/native/window_parts.h"
#include "backends/cpu/simd/byte_product.h"

namespace treadle::cpu {

// Their parts lie in the input; in steps, and where they are no tiles, rows are copied.
class ByteRows {
 public:
  explicit ByteRows(const ConvParams& p) : windows_(p) {}

  int64_t rows() const { return windows_.rows(); }
  int64_t parts() const { return windows_.count(); }  // of a row
  int64_t part_bytes() const { return windows_.bytes(); }
  int64_t depth() const { return parts() * part_bytes(); }
  int64_t row_bytes() const;          // of memory for a row
  int64_t bytes(int64_t rows) const;  // of memory for so many, in whole lines

  struct Source {
    const uint8_t* x;
    uint8_t flip;            // of copies
    const uint8_t* padding;  // part_bytes() of what it holds
  };
  // Rows of a group. `memory`, in whole lines, holds `most` of them. The result: ByteBlock::parts.
  struct Range {
    int64_t group, first, count, most;
  };
  const uint8_t* const* find(const Source& source, const Range& rows, std::byte* memory) const;

 private:
  int64_t pointer_bytes(int64_t rows) const {
    return rows * parts() * static_cast<int64_t>(sizeof(void*));
  }
  bool are_tiles(const uint8_t* const* parts, int64_t count, uint8_t flip) const;

  WindowParts windows_;
  ByteProductFunctions functions_ = byte_product_functions();
};

}  // namespace treadle::cpu
