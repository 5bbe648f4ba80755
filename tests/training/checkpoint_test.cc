// Checkpoints: a run that is killed at any byte of a write goes on bit for bit.
#include "training/checkpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <functional>

#include "graph/text.h"
#include "tests/support/tensors.h"
#include "training/crc32c.h"

namespace treadle::test {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class Checkpoints : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "treadle-checkpoint-XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    folder_ = name;
  }
  void TearDown() override { fs::remove_all(folder_); }
  fs::path folder_;
};

TrainerOptions options() {
  TrainerOptions o;
  o.joint.update.rule = "adam";
  o.joint.average = 0.9;
  o.schedule.kind = "plateau";
  o.scaling.initial = 8;
  o.scaling.interval = 3;
  return o;
}

// With Dropout, so that the random numbers count.
Graph net() {
  return parse(R"(net (float[N, 3] x) => (float[N, 2] y)
    <float[4, 3] w1 = {0.5, -1, 0.25, 0.75, -0.5, 1, -0.25, 0.125, 0.375, 1, 0.5, -0.75},
     float[2, 4] w2 = {1, -0.5, 0.25, 0.5, -0.75, 0.25, 1, -1}, float ratio = {0.5}>
  {
    a = Gemm <transB = 1> (x, w1)
    h = Dropout (a, ratio)
    y = Gemm <transB = 1> (h, w2)
  })");
}

std::vector<NamedValue> batch(int64_t step) {
  const auto seed = static_cast<uint64_t>(step);
  return {{"x", random_tensor(DType::kFloat, {4, 3}, seed)},
          {"target", random_tensor(DType::kFloat, {4, 2}, seed + 1000)}};
}

void run(Trainer& trainer, int64_t until) {
  while (trainer.progress().runs < until) {
    trainer.step(batch(trainer.progress().runs));
    trainer.measured(static_cast<double>(trainer.progress().runs % 3));
  }
}

void expect_equal(const Trainer& got, const Trainer& want) {
  for (const Variable& v : want.variables()) {
    EXPECT_TRUE(got.variable(v.name) == want.variable(v.name)) << v.name;
  }
  EXPECT_EQ(got.progress().steps, want.progress().steps);
  EXPECT_EQ(got.progress().scale, want.progress().scale);
  EXPECT_EQ(got.rate(), want.rate());
}

std::string error_of(const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& e) {
    return e.what();
  }
  return "";
}

TEST(Crc32c, IsCastagnolis) {
  const std::string digits = "123456789";
  EXPECT_EQ(crc32c(std::as_bytes(std::span(digits))), 0xe3069283u);
  const auto bytes = std::as_bytes(std::span(digits));
  EXPECT_EQ(crc32c(bytes.subspan(2), crc32c(bytes.first(2))), 0xe3069283u);
}

TEST_F(Checkpoints, GoOnBitForBit) {
  Trainer whole(net(), options());
  run(whole, 20);
  Trainer first(net(), options());
  run(first, 7);
  first.set_rate(0.5);
  write_checkpoint(checkpoint_of(first, {{"sampler", std::string("3\0x", 3)}, {"none", ""}}),
                   folder_ / "a.ckpt");
  const Checkpoint read = read_checkpoint(folder_ / "a.ckpt");
  EXPECT_EQ(read.extra.at("sampler"), std::string("3\0x", 3));
  EXPECT_EQ(read.extra.at("none"), "");
  Trainer second(net(), options());
  restore(second, read);
  EXPECT_EQ(second.rate(), first.rate());
  second.set_rate(std::nullopt);
  run(second, 20);
  expect_equal(second, whole);
}

TEST_F(Checkpoints, RefuseAnotherRun) {
  Trainer trainer(net(), options());
  const Checkpoint c = checkpoint_of(trainer);
  TrainerOptions others = options();
  others.joint.update.beta1 = 0.5;
  Trainer other(net(), others);
  EXPECT_THAT(error_of([&] { restore(other, c); }), HasSubstr("other options"));
  restore(other, c, true);
  others.joint.update.rule = "sgd";
  Trainer third(net(), others);
  EXPECT_THAT(error_of([&] { restore(third, c, true); }), HasSubstr("variables"));
}

// Every byte of the file, damaged or cut off, gives an error that names the file.
TEST_F(Checkpoints, SayWhatIsDamaged) {
  Trainer trainer(net(), options());
  write_checkpoint(checkpoint_of(trainer, {{"cursor", "7"}}), folder_ / "a.ckpt");
  std::string whole(fs::file_size(folder_ / "a.ckpt"), '\0');
  std::ifstream(folder_ / "a.ckpt").read(whole.data(), static_cast<std::streamsize>(whole.size()));
  for (size_t i = 0; i < whole.size(); ++i) {
    std::string bad = whole;
    bad[i] = static_cast<char>(bad[i] ^ 0x41);
    for (const std::string& bytes : {bad, whole.substr(0, i)}) {
      std::ofstream(folder_ / "b.ckpt") << bytes;
      ASSERT_THAT(error_of([&] { read_checkpoint(folder_ / "b.ckpt"); }), HasSubstr("damaged"))
          << "byte " << i << " of " << whole.size();
    }
  }
}

TEST_F(Checkpoints, KeepTheLastTwoAndTheBest) {
  CheckpointFolder folder(folder_ / "run");
  EXPECT_FALSE(folder.newest().has_value());
  EXPECT_FALSE(folder.best().has_value());
  Trainer trainer(net(), options());
  for (int64_t i : {3, 5, 9, 12}) {
    run(trainer, i);
    folder.save(checkpoint_of(trainer), i == 5);
  }
  EXPECT_EQ(std::distance(fs::directory_iterator(folder.path()), {}), 3);
  EXPECT_EQ(folder.newest()->progress.runs, 12);
  EXPECT_EQ(folder.best()->progress.runs, 5);
  fs::resize_file(folder.path() / "run-000000000000012.ckpt", 100);
  std::vector<std::string> damaged;
  EXPECT_EQ(folder.newest(&damaged)->progress.runs, 9);
  ASSERT_EQ(damaged.size(), 1u);
  EXPECT_THAT(damaged[0], HasSubstr("damaged: it ends within"));
  fs::resize_file(folder.path() / "run-000000000000009.ckpt", 0);
  EXPECT_THAT(error_of([&] { folder.newest(); }), HasSubstr("can be read"));
}

TEST_F(Checkpoints, AreReadWithoutTouchingTheFolder) {
  const fs::path path = folder_ / "run", begun = path / "run-000000000000009.ckpt.tmp.1.0";
  Trainer trainer(net(), options());
  EXPECT_FALSE(CheckpointFolder(path).newest().has_value());
  EXPECT_FALSE(fs::exists(path));
  CheckpointFolder(path).save(checkpoint_of(trainer));
  std::ofstream(begun) << "by another process";
  EXPECT_TRUE(CheckpointFolder(path).newest().has_value());
  EXPECT_TRUE(fs::exists(begun));
  CheckpointFolder(path).save(checkpoint_of(trainer));
  EXPECT_FALSE(fs::exists(begun));
}

TEST_F(Checkpoints, HoldEachVariableOnce) {
  Trainer trainer(net(), options());
  Checkpoint twice = checkpoint_of(trainer);
  ASSERT_GE(twice.variables.size(), 2u);
  twice.variables[1] = twice.variables[0];
  EXPECT_THAT(error_of([&] { restore(trainer, twice); }), HasSubstr("twice"));
}

// Trains on and saves after each step until it is killed: by the kernel, at the given byte of a
// write, or from outside after some time.
[[noreturn]] void train_until_killed(const fs::path& path, rlim_t bytes) {
  const rlimit none = {0, 0}, most = {bytes, bytes};
  ::setrlimit(RLIMIT_CORE, &none);
  try {
    CheckpointFolder folder(path);
    Trainer trainer(net(), options());
    if (const auto from = folder.newest()) restore(trainer, *from);
    run(trainer, trainer.progress().runs + 1);
    if (bytes == 0) {
      for (;;) {
        folder.save(checkpoint_of(trainer));
        run(trainer, trainer.progress().runs + 1);
      }
    }
    folder.save(checkpoint_of(trainer));
    run(trainer, trainer.progress().runs + 1);
    ::setrlimit(RLIMIT_FSIZE, &most);
    folder.save(checkpoint_of(trainer));
  } catch (...) {
    ::_exit(1);
  }
  ::_exit(0);
}

TEST_F(Checkpoints, SurviveKills) {
  Trainer undisturbed(net(), options());
  const fs::path path = folder_ / "run";
  CheckpointFolder(path).save(checkpoint_of(undisturbed));
  const auto size = static_cast<rlim_t>(fs::file_size(path / "run-000000000000000.ckpt"));
  int64_t seen = 0;
  for (uint64_t kill = 0; kill < 200; ++kill) {
    const uint64_t drawn = static_cast<uint64_t>(
        random_tensor(DType::kDouble, {1}, kill, 0, 1).data<double>()[0] * 1e9);
    const bool at_byte = kill % 4 != 0;
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) train_until_killed(path, at_byte ? 1 + drawn % size : 0);
    if (!at_byte) {
      ::usleep(static_cast<useconds_t>(2000 + drawn % 20000));
      ::kill(child, SIGKILL);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status)) << "kill " << kill << ", exit " << WEXITSTATUS(status);
    const auto found = CheckpointFolder(path).newest();
    ASSERT_TRUE(found.has_value());
    ASSERT_GE(found->progress.runs, seen + (at_byte ? 1 : 0)) << "kill " << kill;
    seen = found->progress.runs;
    Trainer resumed(net(), options());
    restore(resumed, *found);
    run(undisturbed, seen);
    expect_equal(resumed, undisturbed);
    if (HasFailure()) return;
  }
}

}  // namespace
}  // namespace treadle::test
