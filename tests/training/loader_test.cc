// Batches: the same bytes at any number of threads and after seeking; broken samples.
#include "training/data/loader.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "tests/support/tensors.h"
#include "tests/training/data_files.h"

namespace treadle::test {
namespace {

// Pictures [1, 4, 4] of their number; `broken` cannot be read.
Source numbers(int64_t size, int64_t broken = -1) {
  Source s;
  s.name = "numbers";
  s.content = Content::kPictures;
  s.inputs = {{"x", DType::kFloat, {1, 4, 4}}};
  s.target = {"target", DType::kInt64, {}};
  s.classes = {"even", "odd"};
  s.size = size;
  s.sample = [broken](int64_t i) {
    TREADLE_CHECK(i != broken, kIo, "cannot read 'file", i, "'");
    Tensor x(DType::kFloat, {1, 4, 4});
    for (size_t k = 0; k < 16; ++k)
      x.data<float>()[k] = static_cast<float>(i) + static_cast<float>(k) / 16;
    return Sample{{x}, Tensor::scalar<int64_t>(i % 2)};
  };
  return s;
}

LoaderOptions options(int threads) {
  LoaderOptions o;
  o.batch = 4;
  o.seed = 3;
  o.threads = threads;
  o.augmentation = {.translate = 0.3, .rotate = 20, .noise = 0.1, .mixup = 0.4};
  o.preprocess = {{0.5}, {2}};
  return o;
}

std::string bytes_of(const Tensor& t) {
  return {reinterpret_cast<const char*>(t.raw()), t.bytes()};
}

std::string taken(Loader& loader, int count) {
  std::string all;
  for (int i = 0; i < count; ++i) {
    const Batch b = loader.next();
    all += bytes_of(b.inputs[0]) + bytes_of(b.target);
  }
  return all;
}

TEST(Loader, GivesTheSameBytesAtAnyNumberOfThreads) {
  Loader none(numbers(18), options(0)), one(numbers(18), options(1)), many(numbers(18), options(8));
  const std::string want = taken(none, 23);
  EXPECT_EQ(taken(one, 23), want);
  EXPECT_EQ(taken(many, 23), want);
}

TEST(Loader, GoesOnWhereItWas) {
  Loader first(numbers(18), options(2));
  taken(first, 7);
  EXPECT_EQ(first.state().epoch, 1);
  EXPECT_EQ(first.state().cursor, 2);
  Loader second(numbers(18), options(3));
  second.seek(first.state());
  EXPECT_EQ(taken(second, 9), taken(first, 9));
}

TEST(Loader, TakesEachSampleOnceAnEpoch) {
  LoaderOptions o = options(2);
  o.augmentation = {};
  Loader loader(numbers(10), o);
  std::vector<std::vector<int64_t>> epochs(2);
  for (auto& epoch : epochs) {
    for (int i = 0; i < 3; ++i) {
      const Batch b = loader.next();
      EXPECT_EQ(b.inputs[0].dim(0), i == 2 ? 2 : 4);
      EXPECT_EQ(b.ends_epoch, i == 2);
      epoch.insert(epoch.end(), b.samples.begin(), b.samples.end());
    }
  }
  EXPECT_NE(epochs[0], epochs[1]);
  for (auto& epoch : epochs) {
    std::sort(epoch.begin(), epoch.end());
    for (size_t i = 0; i < 10; ++i) EXPECT_EQ(epoch[i], static_cast<int64_t>(i));
  }
  o.drop_last = true;
  EXPECT_EQ(Loader(numbers(10), o).batches(), 2);
  o.shuffle = false;
  Loader ordered(numbers(10), o);
  EXPECT_EQ(ordered.next().samples, (std::vector<int64_t>{0, 1, 2, 3}));
}

// Of 10 samples: batches of 2, then of 4, then of 5.
TEST(Loader, FollowsAScheduleOfBatchSizes) {
  LoaderOptions o = options(2);
  o.batches = {2, 4, 5};
  Loader loader(numbers(10), o);
  std::vector<int64_t> sizes;
  std::vector<LoaderState> places;
  std::vector<std::string> bytes;
  for (int i = 0; i < 12; ++i) {
    places.push_back(loader.state());
    const Batch b = loader.next();
    sizes.push_back(b.inputs[0].dim(0));
    bytes.push_back(bytes_of(b.inputs[0]));
    EXPECT_EQ(b.ends_epoch, i == 4 || i == 7 || i == 9 || i == 11) << i;
  }
  EXPECT_EQ(sizes, (std::vector<int64_t>{2, 2, 2, 2, 2, 4, 4, 2, 5, 5, 5, 5}));
  for (size_t i : {0, 3, 5, 7, 8, 11}) {
    Loader other(numbers(10), o);
    other.seek(places[i]);
    EXPECT_EQ(other.state().epoch, places[i].epoch);
    EXPECT_EQ(other.state().cursor, places[i].cursor);
    EXPECT_EQ(bytes_of(other.next().inputs[0]), bytes[i]) << i;
  }
  o.batches = {2, 0};
  EXPECT_NE(error_of([&] { Loader bad(numbers(10), o); }).find("a batch of 0"), std::string::npos);
}

TEST(Loader, NamesOrLeavesOutABrokenSample) {
  LoaderOptions o = options(2);
  o.augmentation = {};
  Loader strict(numbers(4, 2), o);
  EXPECT_NE(error_of([&] { strict.next(); }).find("'file2'"), std::string::npos);
  o.skip_broken = true;
  Loader lenient(numbers(4, 2), o);
  const Batch b = lenient.next();
  EXPECT_EQ(b.inputs[0].dim(0), 3);
  ASSERT_EQ(b.broken.size(), 1u);
  EXPECT_NE(b.broken[0].find("'file2'"), std::string::npos);
  Loader nothing(numbers(1, 0), o);
  const Batch none = nothing.next();
  EXPECT_TRUE(none.samples.empty() && none.ends_epoch);
  EXPECT_EQ(none.broken.size(), 1u);
}

TEST(Loader, HoldsABoundedNumberOfBatches) {
  auto read = std::make_shared<std::atomic<int>>(0);
  Source s = numbers(1000);
  s.sample = [read, inner = s.sample](int64_t i) {
    ++*read;
    return inner(i);
  };
  LoaderOptions o = options(4);
  o.augmentation = {};
  o.ahead = 2;
  Loader loader(s, o);
  loader.next();
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_LE(read->load(), 3 * 4);
}

TEST(Loader, Normalizes) {
  LoaderOptions o = options(0);
  o.augmentation = {};
  o.shuffle = false;
  Loader loader(numbers(4), o);
  EXPECT_FLOAT_EQ(loader.next().inputs[0].data<float>()[0], -0.25f);
}

TEST(Loader, RefusesWhatCannotBe) {
  LoaderOptions o;
  EXPECT_NE(error_of([&] { Loader(numbers(0), o); }).find("no samples"), std::string::npos);
  o.batch = 0;
  EXPECT_NE(error_of([&] { Loader(numbers(3), o); }).find("batch of 0"), std::string::npos);
  o.batch = 4;
  o.drop_last = true;
  EXPECT_NE(error_of([&] { Loader(numbers(3), o); }).find("less than a batch"), std::string::npos);
  o.drop_last = false;
  o.ahead = INT64_MAX;
  EXPECT_NE(error_of([&] { Loader(numbers(3), o); }).find("ahead (1 to 1024)"), std::string::npos);
}

TEST(Loader, TakesABatchAboveAllSamples) {
  LoaderOptions o;
  o.batch = INT64_MAX;
  Loader loader(numbers(3), o);
  EXPECT_EQ(loader.batches(), 1);
  EXPECT_EQ(loader.next().samples.size(), 3u);
}

TEST(Preprocess, MeasuresAndTravels) {
  Source s = numbers(3);
  const Preprocess p = measure(s);
  ASSERT_EQ(p.mean.size(), 1u);
  EXPECT_NEAR(p.mean[0], 1 + 7.5 / 16, 1e-6);
  EXPECT_NEAR(p.deviation[0] * p.deviation[0], 2.0 / 3 + 255.0 / 12 / 256, 1e-6);
  std::map<std::string, std::string> metadata;
  write_metadata(p, s, metadata);
  EXPECT_EQ(metadata["treadle.classes"], "even\nodd\n");
  const Preprocess back = read_metadata(metadata);
  EXPECT_EQ(back.mean, p.mean);
  EXPECT_EQ(back.deviation, p.deviation);
  metadata["treadle.preprocess"] = "mean=1,x std=2";
  EXPECT_NE(error_of([&] { read_metadata(metadata); }).find("no list of numbers"),
            std::string::npos);
  s.sample = [](int64_t) { return Sample{{Tensor::zeros(DType::kFloat, {1, 4, 4})}, {}}; };
  EXPECT_EQ(measure(s).deviation[0], 1);  // never a division by 0
}

TEST(Preprocess, LeavesOutWhatIsBroken) {
  EXPECT_NE(error_of([] { measure(numbers(4, 2)); }).find("'file2'"), std::string::npos);
  EXPECT_NEAR(measure(numbers(4, 2), true).mean[0], 4.0 / 3 + 7.5 / 16, 1e-6);
  EXPECT_NE(error_of([] { measure(numbers(1, 0), true); }).find("no sample of 'numbers'"),
            std::string::npos);
}

TEST(Preprocess, RefusesMetadataThatSaysNothing) {
  for (const char* text : {"hello", "", "scale=1 mean=1,2 std=1,0", "mean=1,2 std=1"}) {
    EXPECT_NE(error_of([&] {
                read_metadata({{"treadle.preprocess", text}});
              }).find("'treadle.preprocess'"),
              std::string::npos)
        << text;
  }
}

TEST(Preprocess, KeepsNoNamesThatAreLines) {
  Source s = numbers(3);
  s.classes = {"a\nb", "c"};
  std::map<std::string, std::string> metadata;
  write_metadata({}, s, metadata);
  EXPECT_TRUE(metadata.empty());
}

}  // namespace
}  // namespace treadle::test
