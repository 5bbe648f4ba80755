// Buffers whose bytes are produced when they are asked for.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <thread>
#include <vector>

#include "graph/attributes.h"
#include "graph/base/pages.h"

namespace treadle::test {
namespace {

// Four floats, and how often they were produced.
struct Source {
  int fills = 0;
  bool fails = false;
  Tensor tensor{DType::kFloat, {4}, Buffer::defer(16, [this](std::span<std::byte> to) {
                  ++fills;
                  TREADLE_CHECK(!fails, kIo, "gone");
                  const float elements[] = {1, 2, 3, 4};
                  std::memcpy(to.data(), elements, to.size());
                })};
};

TEST(Deferred, NothingIsProducedBeforeItIsAskedFor) {
  Source source;
  const Tensor copy = source.tensor, view = source.tensor.reshaped({2, 2});
  EXPECT_TRUE(copy.identity() == view.identity());
  EXPECT_FALSE(source.tensor.buffer()->in_memory());
  EXPECT_EQ(source.fills, 0);
}

TEST(Deferred, RawKeepsTheBytes) {
  Source source;
  const Tensor copy = source.tensor;
  const auto identity = copy.identity();
  EXPECT_EQ(source.tensor.data<float>()[2], 3);
  EXPECT_EQ(copy.raw(), source.tensor.raw());
  EXPECT_EQ(copy.resident().raw(), source.tensor.raw());
  EXPECT_EQ(source.fills, 1);
  EXPECT_TRUE(copy.buffer()->in_memory());
  EXPECT_TRUE(copy.identity() == identity);
}

TEST(Deferred, ResidentBytesGoWithTheirLastHolder) {
  Source source;
  {
    const Tensor one = source.tensor.resident();
    const Tensor other = source.tensor.reshaped({2, 2}).resident();
    EXPECT_EQ(one.raw(), other.raw());
    EXPECT_EQ(other.dims(), Dims({2, 2}));
    EXPECT_EQ(source.fills, 1);
    EXPECT_TRUE(source.tensor.buffer()->in_memory());
  }
  EXPECT_FALSE(source.tensor.buffer()->in_memory());
  EXPECT_EQ(source.tensor.resident().data<float>()[0], 1);
  EXPECT_EQ(source.fills, 2);
}

TEST(Deferred, ReadersThatTakeNoPointerLeaveNothingBehind) {
  Source source;
  EXPECT_EQ(source.tensor.to_doubles(), (std::vector<double>{1, 2, 3, 4}));
  EXPECT_EQ(source.tensor.clone().data<float>()[3], 4);
  EXPECT_TRUE(source.tensor == Tensor::of<float>({4}, {1, 2, 3, 4}));
  EXPECT_FALSE(source.tensor == Tensor::of<float>({4}, {1, 2, 3, 5}));
  EXPECT_FALSE(source.tensor.buffer()->in_memory());
}

TEST(Deferred, CopiesAreProducedInPlaceOrTakenFromMemory) {
  Source source;
  Tensor to(DType::kFloat, {2, 2}), half(DType::kFloat, {2});
  source.tensor.copy_to(to);
  EXPECT_EQ(to.data<float>()[3], 4);
  EXPECT_FALSE(source.tensor.buffer()->in_memory());
  const Tensor end(DType::kFloat, {2}, source.tensor.buffer(), 8);
  end.copy_to(half);
  EXPECT_EQ(half.data<float>()[0], 3);
  EXPECT_EQ(source.fills, 2);
  const Tensor held = source.tensor.resident();
  source.tensor.copy_to(to);
  end.copy_to(half);
  EXPECT_EQ(source.fills, 3);
  EXPECT_THROW(source.tensor.copy_to(half), Error);
}

TEST(Deferred, ResidentOfOrdinaryTensorsIsTheTensor) {
  const Tensor t = Tensor::of<float>({2}, {1, 2});
  EXPECT_EQ(t.resident().raw(), t.raw());
  EXPECT_FALSE(Tensor().resident().defined());
  const Tensor text = Tensor::of<std::string>({1}, {"a"});
  EXPECT_EQ(text.resident().data<std::string>()[0], "a");
}

TEST(Deferred, AFailureIsTheAskersAndTheNextAsksAgain) {
  Source source;
  source.fails = true;
  EXPECT_THROW(source.tensor.resident(), Error);
  EXPECT_THROW(source.tensor.raw(), Error);
  source.fails = false;
  EXPECT_EQ(source.tensor.data<float>()[1], 2);
  EXPECT_EQ(source.fills, 3);
}

TEST(Deferred, PartsAreBoundedByTheBuffer) {
  const Source source;
  const auto& buffer = source.tensor.buffer();
  EXPECT_EQ(Tensor(DType::kFloat, {2}, buffer, 8).data<float>()[0], 3);
  EXPECT_THROW(Tensor(DType::kFloat, {3}, buffer, 8), Error);
}

// What a plan holds of them would hold the large ones.
TEST(Deferred, WhatIsHeldForLongLiesInNoPagesThatAreUsedAgain) {
  constexpr size_t kLarge = size_t{8} << 20, kSmall = size_t{20} << 10;
  const auto buffer =
      Buffer::defer(kSmall, [](std::span<std::byte> to) { std::memset(to.data(), 7, to.size()); });
  const BriefPages reused;
  const void* large = map_brief_pages(kLarge).get();
  EXPECT_EQ(map_brief_pages(kLarge / 2).get(), large);
  const auto held = buffer->resident(true);
  EXPECT_NE(held->data(), large);
  EXPECT_EQ(map_brief_pages(kLarge).get(), large);
  EXPECT_EQ(buffer->resident(), held);
}

TEST(Deferred, ThreadsShareWhatIsProduced) {
  constexpr size_t kBytes = size_t{1} << 16;
  for (int round = 0; round < 20; ++round) {
    std::atomic<int> alive = 0, most = 0, wrong = 0;
    const auto buffer = Buffer::defer(kBytes, [&](std::span<std::byte> to) {
      const int now = ++alive;
      most = std::max(most.load(), now);
      std::memset(to.data(), 7, to.size());
      --alive;
    });
    const Tensor shared(DType::kUint8, {kBytes}, buffer);
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&, i] {
        const Tensor held = i % 2 == 0 ? shared.resident() : shared;
        const auto bytes = held.data<uint8_t>();
        if (std::ranges::count(bytes, 7) != static_cast<int64_t>(kBytes)) ++wrong;
      });
    }
    for (std::thread& t : threads) t.join();
    EXPECT_EQ(wrong, 0);
    EXPECT_EQ(most, 1);
  }
}

}  // namespace
}  // namespace treadle::test
