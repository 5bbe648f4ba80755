// Augmentation beside literals (numpy, from the formulas that augment.h tells).
#include "training/data/augment.h"

#include <gtest/gtest.h>

#include "tests/support/tensors.h"

namespace treadle::test {
namespace {

Random random_of(uint64_t sample) { return {7, Purpose::kAugment, 1, sample}; }

Tensor ramp() {
  Tensor t(DType::kFloat, {1, 4, 4});
  for (size_t i = 0; i < 16; ++i) t.data<float>()[i] = static_cast<float>(i) / 16;
  return t;
}

Tensor colors() {
  return f32({3, 2, 2}, {.1f, .2f, .3f, .4f, .5f, .6f, .7f, .8f, .9f, .8f, .7f, .6f});
}

Tensor after(const Augmentation& options, const Tensor& picture, uint64_t number = 3) {
  Sample sample{{picture}, {}};
  Random random = random_of(number);
  augment(options, false, random, sample);
  return sample.inputs[0];
}

void expect(const Tensor& got, const std::vector<float>& want) {
  EXPECT_EQ(difference(got, f32(got.dims(), want)), "");
}

TEST(Augment, FlipsExactly) {
  // The draws of sample 3 flip both ways.
  EXPECT_EQ(difference(after({.flip_x = true}, f32({1, 2, 3}, {1, 2, 3, 4, 5, 6})),
                       f32({1, 2, 3}, {3, 2, 1, 6, 5, 4}), {0, 0}),
            "");
  EXPECT_EQ(difference(after({.flip_y = true}, f32({1, 2, 3}, {1, 2, 3, 4, 5, 6})),
                       f32({1, 2, 3}, {4, 5, 6, 1, 2, 3}), {0, 0}),
            "");
  int flipped = 0;
  for (uint64_t i = 0; i < 1000; ++i)
    flipped += after({.flip_x = true}, ramp(), i).data<float>()[0] != 0 ? 1 : 0;
  EXPECT_NEAR(flipped, 500, 60);
}

TEST(Augment, Translates) {
  expect(after({.translate = 0.5}, ramp()),
         {0, 0, 0.01741155f, 0.07991155f, 0, 0, 0.01741155f, 0.07991155f, 0.03445718f, 0.03445718f,
          0.05186873f, 0.1143687f, 0.2844572f, 0.2844572f, 0.3018687f, 0.3643687f});
}

TEST(Augment, Rotates) {
  expect(after({.rotate = 90}, ramp()),
         {0.6596626f, 0.4156229f, 0.1806015f, 0.02258435f, 0.756823f, 0.5263495f, 0.295876f,
          0.08359427f, 0.8539057f, 0.641624f, 0.4111505f, 0.180677f, 0.9149156f, 0.7568985f,
          0.5218771f, 0.2778374f});
}

TEST(Augment, TakesTheNearestPixel) {
  expect(after({.rotate = 90, .interpolation = "nearest"}, ramp()),
         {0.75f, 0.5f, 0.25f, 0, 0.8125f, 0.5625f, 0.3125f, 0.0625f, 0.875f, 0.625f, 0.375f, 0.125f,
          0.9375f, 0.6875f, 0.4375f, 0.1875f});
}

TEST(Augment, Scales) {
  expect(after({.scale = 0.5}, ramp()),
         {0, 0.03889139f, 0.1486086f, 0.1875f, 0.1555656f, 0.1944569f, 0.3041742f, 0.3430656f,
          0.5944344f, 0.6333258f, 0.7430431f, 0.7819344f, 0.75f, 0.7888914f, 0.8986086f, 0.9375f});
}

TEST(Augment, Crops) {
  expect(after({.crop = 0.5}, ramp()),
         {0.3135209f, 0.3364177f, 0.3698442f, 0.4032706f, 0.4472267f, 0.4701235f, 0.5035499f,
          0.5369764f, 0.5809324f, 0.6038293f, 0.6372557f, 0.6706822f, 0.7146382f, 0.737535f,
          0.7709615f, 0.8043879f});
}

TEST(Augment, AddsNoise) {
  expect(after({.noise = 0.1}, ramp()),
         {0.03711041f, 0.1020111f, 0.1589064f, 0.1533155f, 0.2741298f, 0.2885666f, 0.2119949f,
          0.5814314f, 0.5918218f, 0.7881988f, 0.7190359f, 0.7254326f, 0.7051377f, 0.7697134f,
          1.027762f, 1.008053f});
}

TEST(Augment, Occludes) {
  const Tensor t = after({.occlude = 0.9}, ramp(), 6);
  Tensor want = ramp();
  for (size_t y = 1; y < 4; ++y) want.data<float>()[y * 4 + 2] = 0.5f;
  EXPECT_EQ(difference(t, want), "");
}

TEST(Augment, ChangesColors) {
  expect(after({.brightness = 0.5}, colors()),
         {0.05696462f, 0.1139292f, 0.1708939f, 0.2278585f, 0.2848231f, 0.3417877f, 0.3987523f,
          0.455717f, 0.5126816f, 0.455717f, 0.3987523f, 0.3417877f});
  expect(after({.contrast = 0.5}, colors()),
         {0.2901303f, 0.3470949f, 0.4040595f, 0.4610242f, 0.5179888f, 0.5749534f, 0.631918f,
          0.6888826f, 0.7458473f, 0.6888826f, 0.631918f, 0.5749534f});
  expect(after({.saturation = 0.5}, colors()),
         {0.2402953f, 0.3304833f, 0.4206712f, 0.5108591f, 0.4681538f, 0.5583418f, 0.6485297f,
          0.7387176f, 0.6960123f, 0.672271f, 0.6485297f, 0.6247884f});
}

TEST(Augment, MovesTheMaskAsThePicture) {
  const Augmentation o{.flip_x = true, .flip_y = true, .translate = 0.3, .rotate = 40};
  Augmentation nearest = o;
  nearest.interpolation = "nearest";
  std::vector<int64_t> numbers(16);
  for (size_t i = 0; i < 16; ++i) numbers[i] = static_cast<int64_t>(i);
  Sample sample{{ramp()}, i64({4, 4}, numbers)};
  Random random = random_of(3);
  augment(nearest, true, random, sample);
  for (size_t i = 0; i < 16; ++i)
    EXPECT_EQ(sample.inputs[0].data<float>()[i] * 16,
              static_cast<float>(sample.target.data<int64_t>()[i]));
}

TEST(Augment, Mixes) {
  Sample a{{f32({2}, {1, 2})}, i64({}, {0})};
  mix(a, {{f32({2}, {3, 6})}, i64({}, {2})}, 0.75, 3);
  EXPECT_EQ(difference(a.inputs[0], f32({2}, {1.5, 3})), "");
  EXPECT_EQ(difference(a.target, f32({3}, {0.75, 0, 0.25})), "");
  Sample b{{f32({1}, {1})}, f32({1}, {2})};
  mix(b, {{f32({1}, {3})}, f32({1}, {4})}, 0.5, 0);
  EXPECT_EQ(difference(b.target, f32({1}, {3})), "");
}

TEST(Augment, DrawsOfBetaHaveItsMeanAndVariance) {
  double sum = 0, squares = 0;
  constexpr int kCount = 4000;
  for (int i = 0; i < kCount; ++i) {
    Random random = random_of(static_cast<uint64_t>(i));
    const double x = beta(0.4, random);
    sum += x;
    squares += x * x;
  }
  const double mean = sum / kCount;
  EXPECT_NEAR(mean, 0.5, 0.02);
  EXPECT_NEAR(squares / kCount - mean * mean, 1 / (4 * (2 * 0.4 + 1)), 0.01);
}

TEST(Augment, RefusesWhatDoesNotFit) {
  Source tokens;
  tokens.content = Content::kTokens;
  Source pictures;
  pictures.content = Content::kPictures;
  EXPECT_THROW(check_augmentation({.noise = 0.1}, tokens), Error);
  EXPECT_THROW(check_augmentation({.flip_x = true}, tokens), Error);
  EXPECT_THROW(check_augmentation({.crop = 1.5}, pictures), Error);
  EXPECT_THROW(check_augmentation({.interpolation = "cubic"}, pictures), Error);
  EXPECT_NO_THROW(check_augmentation({.flip_x = true, .rotate = 10}, pictures));
}

}  // namespace
}  // namespace treadle::test
