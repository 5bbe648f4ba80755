// Data files and formulas that were changed at random: read, or refused by an Error.
#include <gtest/gtest.h>

#include <map>

#include "graph/ops/philox.h"
#include "graph/text.h"
#include "tests/support/tensors.h"
#include "tests/training/data_files.h"
#include "training/data/source.h"
#include "training/settings.h"
#include "training/trainer.h"

namespace treadle::test {
namespace {

class Dice {
 public:
  size_t below(size_t bound) {
    return static_cast<size_t>(philox_uniform(11, next_++) * static_cast<double>(bound));
  }

 private:
  uint64_t next_ = 0;
};

// Up to three changes, mostly near the beginning.
std::string changed(std::string bytes, const std::vector<std::string>& words, Dice& dice) {
  for (size_t n = dice.below(4); n > 0 && !bytes.empty(); --n) {
    const size_t at =
        dice.below(dice.below(3) == 0 ? bytes.size() : std::min<size_t>(64, bytes.size()));
    switch (dice.below(5)) {
      case 0: bytes[at] = static_cast<char>(dice.below(256)); break;
      case 1: bytes.erase(at, 1 + dice.below(8)); break;
      case 2: bytes.insert(at, words[dice.below(words.size())]); break;
      case 3: bytes.insert(at, bytes.substr(dice.below(bytes.size()), dice.below(16))); break;
      default: {
        const std::string& word = words[dice.below(words.size())];
        bytes.replace(at, std::min(word.size(), bytes.size() - at), word);
      }
    }
  }
  return bytes;
}

std::string big(uint32_t v) {
  std::string bytes;
  for (int shift : {24, 16, 8, 0}) bytes += static_cast<char>(v >> shift);
  return bytes;
}

std::string wav(char format, char channels, char bits, size_t size) {
  const std::string z(1, '\0');
  return "RIFF" + std::string(4, '\0') + "WAVEfmt \x10" + std::string(3, '\0') + format + z +
         channels + z + std::string(8, '\1') + "\2" + z + bits + z + "data" +
         static_cast<char>(size) + std::string(3, '\0') + std::string(size, '\x55');
}

using Files = std::map<std::string, std::string>;

// The sets of files, each whole.
std::vector<Files> data_sets() {
  const std::string images = big(0x803) + big(4) + big(3) + big(2) + std::string(24, '\7');
  const std::string labels = big(0x801) + big(4) + std::string("\0\1\2\1", 4);
  const std::string record = '\3' + std::string(3072, '\x40');
  return {{{"train-images-idx3-ubyte", images},
           {"train-labels-idx1-ubyte", labels},
           {"t10k-images-idx3-ubyte", images},
           {"t10k-labels-idx1-ubyte", labels}},
          {{"data_batch_1.bin", record + record}, {"test_batch.bin", record}},
          {{"a/1.wav", wav(1, 1, 16, 40)},
           {"a/2.wav", wav(3, 2, 32, 40)},
           {"b/3.wav", wav(1, 1, 24, 39)}}};
}

// How many samples were read; what is thrown beside Errors fails the test.
int64_t read_all(const Folder& folder) {
  int64_t read = 0;
  DataOptions options;
  options.sound_length = 16;
  error_of([&] {
    const DataSet set = open_data(folder.path(), options);
    for (const Source* s : {&set.train, &set.val}) {
      for (int64_t i = 0; i < s->size; ++i) error_of([&] { s->sample(i), ++read; });
    }
  });
  return read;
}

TEST(Damage, DataFilesAreReadOrRefused) {
  Dice dice;
  const std::vector<std::string> words = {std::string(4, '\xff'), std::string(4, '\0'),
                                          "\x7f\xff\xff\xff", "data", "\xff\xff\xff\x7f"};
  for (const Files& whole : data_sets()) {
    const Folder folder;
    for (const auto& [name, bytes] : whole) folder.write(name, bytes);
    const int64_t all = read_all(folder);
    EXPECT_GT(all, 0);
    int refused = 0;
    for (int n = 0; n < 150; ++n) {
      auto victim = whole.begin();
      std::advance(victim, dice.below(whole.size()));
      folder.write(victim->first, changed(victim->second, words, dice));
      refused += read_all(folder) < all ? 1 : 0;
      folder.write(victim->first, victim->second);
    }
    EXPECT_GT(refused, 10) << whole.begin()->first;
  }
}

TEST(Damage, FormulasTrainOrAreRefused) {
  Dice dice;
  const std::vector<std::string> formulas = {
      "mean((y - target)^2) + 0.1*mean(abs(y))", "mse(y, target) + sum(\"w\"^2)",
      "mean(where(less(y, 1), softmax(y, axis=1), max(y, axis=-1)))"};
  const std::vector<std::string> words = {
      "(", ")",      ",",      "^",    "\"",   "axis=", "1e308", "-",         "/0",
      "y", "target", "batch.", "conv", "loop", "topk",  "prod",  "9999999999"};
  int trained = 0, refused = 0;
  for (int n = 0; n < 400; ++n) {
    const std::string formula = changed(formulas[dice.below(formulas.size())], words, dice);
    const std::string error = error_of([&] {
      TrainerOptions options;
      set_train_setting(options, "loss", formula);
      Trainer trainer(parse("net (float[N, 2] x) => (float[N, 2] y) <float[2, 2] w = {1, 2, 3, 4}> "
                            "{ y = MatMul (x, w) }"),
                      options);
      std::vector<NamedValue> batch = {{"x", f32({1, 2}, {1, -1})}};
      if (!trainer.target().empty()) batch.push_back({"target", f32({1, 2}, {0, 1})});
      trainer.step(batch);
    });
    ++(error.empty() ? trained : refused);
    EXPECT_LT(error.size(), 3000u) << formula;
  }
  EXPECT_GT(trained, 60);
  EXPECT_GT(refused, 100);
}

TEST(Damage, ALongFormulaIsNotRepeatedWhole) {
  TrainerOptions options;
  set_train_setting(options, "loss", "mean(" + std::string(100'000, '-') + "y) +");
  const std::string error = error_of([&] {
    Trainer trainer(
        parse("net (float[2] x) => (float[2] y) <float[2] w = {1, 2}> { y = Mul (x, w) }"),
        options);
  });
  EXPECT_FALSE(error.empty());
  EXPECT_LT(error.size(), 1000u);
}

}  // namespace
}  // namespace treadle::test
