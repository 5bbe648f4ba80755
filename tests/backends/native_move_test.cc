#include "backends/cpu/native/move.h"

#include "backends/cpu/simd/simd.h"
#include "tests/support/kernel_check.h"

namespace treadle::test {
namespace {

using cpu::kBlocked16;
using cpu::kChannelsLast;

Tensor numbers(Dims dims, DType dtype = DType::kFloat) {
  return random_tensor(dtype, std::move(dims), 1, 0, 99);
}

void check_move(KernelCase c) { check_kernel(cpu::kNativeMove, c); }

TEST(NativeMove, TransposesAnyOrderAndElementSize) {
  const std::vector<std::vector<int64_t>> perms = {{0, 1, 2, 3}, {3, 2, 1, 0}, {0, 2, 1, 3},
                                                   {0, 2, 3, 1}, {0, 3, 1, 2}, {1, 0, 2, 3},
                                                   {2, 3, 0, 1}};
  for (const auto& perm : perms) {
    for (const Dims& dims : {Dims{2, 3, 5, 7}, Dims{1, 17, 33, 2}, Dims{4, 1, 16, 65}}) {
      check_move({.name = shape_text(perm),
                  .op = "Transpose",
                  .attributes = {{"perm", perm}},
                  .inputs = {numbers(dims)}});
    }
    for (const DType dtype : {DType::kUint8, DType::kFloat16, DType::kInt64, DType::kBool}) {
      check_move({.name = shape_text(perm),
                  .op = "Transpose",
                  .attributes = {{"perm", perm}},
                  .inputs = {numbers({2, 3, 5, 7}, dtype)}});
    }
  }
  for (const std::string& target : cpu::simd_targets()) {
    cpu::set_simd_target(target);
    check_move({.name = target, .op = "Transpose", .inputs = {numbers({301, 117})}});
    check_move({.name = target, .op = "Transpose", .inputs = {numbers({16, 3}, DType::kInt32)}});
    check_move({.name = target, .op = "Transpose", .inputs = {numbers({3001, 70})}});
    for (const Dims& dims : {Dims{16, 16}, {17, 40}, {100, 33}, {15, 64}, {64, 5}, {3001, 70}})
      check_move({.name = cat(target, " bytes"),
                  .op = "Transpose",
                  .inputs = {numbers(dims, DType::kUint8)}});
  }
  cpu::set_simd_target("");
  check_move({.name = "empty", .op = "Transpose", .inputs = {numbers({3, 0, 2})}});
}

TEST(NativeMove, Slices) {
  const auto slice = [](std::vector<int64_t> starts, std::vector<int64_t> ends,
                        std::vector<int64_t> on, std::vector<int64_t> steps, Layout layout) {
    check_move({.name = cat(shape_text(starts), shape_text(ends)),
                .op = "Slice",
                .inputs = {numbers({2, 48, 9, 5}), axes(starts), axes(ends), axes(on), axes(steps)},
                .constants = {1, 2, 3, 4},
                .layouts = {layout}});
  };
  for (const Layout layout : {kPlain, kBlocked16, kChannelsLast}) {
    slice({16}, {48}, {1}, {1}, layout);
    slice({16}, {40}, {1}, {1}, layout);
    slice({3}, {20}, {1}, {3}, layout);
    slice({1, 0}, {INT64_MAX, 2}, {2, 0}, {2, 1}, layout);
    slice({-1}, {-100}, {3}, {-1}, layout);
    slice({4}, {4}, {2}, {1}, layout);
  }
}

// By calls, in pieces and one by one.
TEST(NativeMove, RunsOfAnyLength) {
  for (const int64_t bytes : {1, 7, 15, 16, 17, 31, 32, 58, 255, 256, 257, 300}) {
    check_move({.name = cat(bytes),
                .op = "Concat",
                .attributes = {{"axis", int64_t{1}}},
                .inputs = {numbers({5, bytes}, DType::kUint8), numbers({5, 3}, DType::kUint8)},
                .constants = {}});
  }
}

TEST(NativeMove, ConcatAndSplitInEveryLayout) {
  for (const Layout layout : {kPlain, kBlocked16, kChannelsLast}) {
    for (const int64_t axis : {0, 1, 2, 3}) {
      for (const int64_t c : {16, 20}) {
        const Dims other{axis == 0 ? 3 : 2, axis == 1 ? c : 32, axis == 2 ? 4 : 6,
                         axis == 3 ? 1 : 7};
        check_move({.name = cat("axis", axis, layout, c),
                    .op = "Concat",
                    .attributes = {{"axis", axis}},
                    .inputs = {numbers({2, 32, 6, 7}), numbers(other), numbers({2, 32, 6, 7})},
                    .constants = {},
                    .layouts = {layout, layout, layout}});
      }
    }
    check_move({.name = "uneven",
                .op = "Split",
                .attributes = {{"axis", int64_t{1}}},
                .inputs = {numbers({2, 40, 3, 3}), axes({16, 16, 8})},
                .constants = {1},
                .layouts = {layout},
                .outputs = 3});
    check_move({.name = "even",
                .op = "Split",
                .attributes = {{"axis", int64_t{-1}}, {"num_outputs", int64_t{2}}},
                .inputs = {numbers({2, 20, 3, 7})},
                .layouts = {layout},
                .outputs = 2});
  }
}

TEST(NativeMove, PadExpandTileAndBlocks) {
  check_move({.name = "value",
              .op = "Pad",
              .inputs = {numbers({2, 3, 4}), axes({0, 1, 2, 1, 0, 3}), Tensor::scalar(7.0f)}});
  check_move({.name = "crop", .op = "Pad", .inputs = {numbers({5, 6}), axes({-1, 2, -2, -3})}});
  check_move({.name = "axes",
              .op = "Pad",
              .inputs = {numbers({5, 6}, DType::kInt64), axes({1, 2}), Value{}, axes({-1})},
              .constants = {1, 3}});
  for (const char* mode : {"reflect", "edge", "wrap"}) {
    check_move({.name = mode,
                .op = "Pad",
                .attributes = {{"mode", std::string(mode)}},
                .inputs = {numbers({3, 4, 7}), axes({1, 0, 2, 2, 3, 3})}});
    check_move({.name = cat(mode, " bytes"),
                .op = "Pad",
                .attributes = {{"mode", std::string(mode)}},
                .inputs = {numbers({2, 30, 41}, DType::kUint8), axes({0, 1, 3, 0, 2, 0})}});
  }
  check_move({.name = "rows", .op = "Expand", .inputs = {numbers({3, 1}), axes({2, 1, 5})}});
  check_move({.name = "scalar", .op = "Expand", .inputs = {numbers({}), axes({4, 3})}});
  check_move({.name = "two", .op = "Tile", .inputs = {numbers({2, 3}), axes({3, 2})}});
  for (const char* mode : {"DCR", "CRD"}) {
    check_move({.name = mode,
                .op = "DepthToSpace",
                .attributes = {{"blocksize", int64_t{2}}, {"mode", std::string(mode)}},
                .inputs = {numbers({2, 12, 3, 5})}});
  }
  check_move({.name = "2",
              .op = "SpaceToDepth",
              .attributes = {{"blocksize", int64_t{2}}},
              .inputs = {numbers({2, 3, 4, 6})}});
}

TEST(NativeMove, GatherAtRunTime) {
  for (const int64_t axis : {0, 1, 2}) {
    for (const DType dtype : {DType::kFloat, DType::kUint8, DType::kInt64}) {
      check_kernel(cpu::kNativeGather,
                   {.name = cat(axis),
                    .op = "Gather",
                    .attributes = {{"axis", axis}},
                    .inputs = {numbers({3, 4, 5}, dtype), i64({2, 2}, {0, -1, 2, 1})},
                    .constants = {}});
    }
  }
  check_kernel(cpu::kNativeGather, {.name = "int32",
                                    .op = "Gather",
                                    .inputs = {numbers({30, 700}), i32({3}, {29, 0, -30})},
                                    .constants = {}});
}

TEST(NativeMove, CastsSaturateLikeTheReference) {
  const Tensor x = f32({6}, {1.5f, -2.7f, 3e9f, -1e20f, 0.0f, 200.0f});
  for (const DType to : {DType::kInt8, DType::kUint8, DType::kInt32, DType::kInt64, DType::kBool,
                         DType::kFloat16, DType::kBfloat16, DType::kFloat}) {
    check_kernel(cpu::kNativeCast, {.name = cat(static_cast<int>(to)),
                                    .op = "Cast",
                                    .attributes = {{"to", static_cast<int64_t>(to)}},
                                    .inputs = {x}});
    check_kernel(cpu::kNativeCast, {.name = cat("ints", static_cast<int>(to)),
                                    .op = "Cast",
                                    .attributes = {{"to", static_cast<int64_t>(to)}},
                                    .inputs = {i64({5}, {0, 1, -1, 300, INT64_MAX})}});
  }
}

}  // namespace
}  // namespace treadle::test
