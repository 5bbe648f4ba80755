// Buffers that share chunks are apart, aligned, and outlive one another.
#include "graph/base/lasting.h"

#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <vector>

namespace treadle::test {
namespace {

TEST(Lasting, BuffersAreApart) {
  std::vector<std::shared_ptr<Buffer>> buffers;
  for (size_t i = 0; i < 300; ++i) {
    const size_t bytes = i % 7 == 0 ? i * 9001 : i;  // up to 2.7 MB, some of none
    buffers.push_back(allocate_lasting(bytes));
    ASSERT_EQ(buffers.back()->size(), bytes);
    ASSERT_EQ(reinterpret_cast<uintptr_t>(buffers.back()->data()) % kAlignment, 0u);
    std::memset(buffers.back()->data(), static_cast<int>(i % 251), bytes);
    if (i % 3 == 0) buffers[i / 2].reset();
  }
  for (size_t i = 0; i < buffers.size(); ++i) {
    if (buffers[i] == nullptr) continue;
    const std::vector<std::byte> want(buffers[i]->size(), static_cast<std::byte>(i % 251));
    ASSERT_EQ(std::memcmp(buffers[i]->data(), want.data(), want.size()), 0) << i;
  }
}

TEST(Lasting, ChunksAreFilledToTheLastByte) {
  std::vector<std::shared_ptr<Buffer>> buffers;
  for (size_t i = 0; i < 20000; ++i) {
    buffers.push_back(allocate_lasting(kAlignment - 1));
    std::memset(buffers.back()->data(), static_cast<int>(i % 251), kAlignment - 1);
    if (i > 0) {
      ASSERT_EQ(buffers[i - 1]->data()[kAlignment - 2], static_cast<std::byte>((i - 1) % 251));
    }
  }
}

}  // namespace
}  // namespace treadle::test
