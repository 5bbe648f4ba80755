// Each data format from files made here: shapes, values, classes, parts, and what is refused.
#include <gtest/gtest.h>

#include "files/npy.h"
#include "tests/paths.h"
#include "tests/support/tensors.h"
#include "tests/training/data_files.h"
#include "training/data/source.h"

namespace treadle::test {
namespace {

std::string little(uint32_t value, int bytes) {
  std::string out;
  for (int i = 0; i < bytes; ++i) out += static_cast<char>(value >> (8 * i));
  return out;
}
std::string big(uint32_t value) {
  std::string out = little(value, 4);
  return {out.rbegin(), out.rend()};
}

DataOptions whole() {
  DataOptions o;
  o.val_split = 0;
  return o;
}

int64_t label(const Source& s, int64_t i) { return s.sample(i).target.to_ints()[0]; }

void expect_error(const std::string& got, std::initializer_list<const char*> parts) {
  for (const char* part : parts) EXPECT_NE(got.find(part), std::string::npos) << got;
}

TEST(Data, ReadsAFolderAClass) {
  const Folder folder;
  write_picture(folder, "train/cat/a.png", 4, 2, 51);
  write_picture(folder, "train/cat/b.png", 8, 8, 255);
  write_picture(folder, "train/dog/c.png", 4, 2, 0);
  folder.write("train/dog/notes.txt", "not a picture");
  write_picture(folder, "val/cat/a.png", 4, 2, 51);
  write_picture(folder, "val/dog/c.png", 6, 6, 102);
  const DataSet set = open_data(folder.path());
  EXPECT_EQ(set.train.size, 3);
  EXPECT_EQ(set.val.size, 2);
  EXPECT_EQ(set.train.classes, (std::vector<std::string>{"cat", "dog"}));
  EXPECT_EQ(set.train.inputs[0].dims, (Dims{3, 2, 4}));  // as the first
  EXPECT_EQ(label(set.train, 2), 1);
  const Tensor x = set.val.sample(1).inputs[0];
  EXPECT_EQ(difference(x, Tensor::of<float>({3, 2, 4}, std::vector<float>(24, 0.4f))), "");
  DataOptions grey;
  grey.channels = 1;
  grey.height = grey.width = 5;
  EXPECT_EQ(open_data(folder.path(), grey).train.sample(0).inputs[0].dims(), (Dims{1, 5, 5}));
}

TEST(Data, NamesABrokenPicture) {
  const Folder folder;
  write_picture(folder, "a/good.png", 2, 2, 9);
  folder.write("a/thin.png", "\x89PNG\r\n\x1a\nrubbish");
  const DataSet set = open_data(folder.path(), whole());
  expect_error(error_of([&] { set.train.sample(1); }), {"thin.png", "broken PNG"});
}

TEST(Data, RefusesOtherClassesInVal) {
  const Folder folder;
  write_picture(folder, "train/a/1.png", 2, 2, 9);
  write_picture(folder, "val/b/1.png", 2, 2, 9);
  expect_error(error_of([&] { open_data(folder.path()); }), {"different classes"});
}

TEST(Data, ReadsMasks) {
  const Folder folder;
  write_picture(folder, "image/1.png", 4, 4, 51);
  write_picture(folder, "image/2.png", 4, 4, 102);
  write_picture(folder, "label/1.png", 4, 4, 0);
  write_picture(folder, "label/2.png", 4, 4, 255);
  const DataSet set = open_data(folder.path(), whole());
  EXPECT_TRUE(set.train.target_is_mask);
  EXPECT_EQ(set.train.classes.size(), 2u);
  int64_t ones = 0;
  for (int64_t i = 0; i < 2; ++i) {
    const Sample s = set.train.sample(i);
    EXPECT_EQ(s.target.dims(), (Dims{4, 4}));
    EXPECT_EQ(s.target.to_ints()[5], s.inputs[0].data<float>()[0] > 0.3f ? 1 : 0);
    ones += s.target.to_ints()[0];
  }
  EXPECT_EQ(ones, 1);
  std::filesystem::remove(folder.path() / "label/2.png");
  expect_error(error_of([&] { open_data(folder.path(), whole()); }), {"2.png", "no mask"});
}

TEST(Data, ReadsIdx) {
  const Folder folder;
  std::string pixels;
  for (int i = 0; i < 12; ++i) pixels += static_cast<char>(i * 20);
  const std::string images = std::string("\0\0\x08\x03", 4) + big(2) + big(2) + big(3) + pixels;
  const std::string labels = std::string("\0\0\x08\x01", 4) + big(2) + std::string("\x04\x01", 2);
  for (const char* part : {"train", "t10k"}) {
    folder.write(cat(part, "-images-idx3-ubyte"), images);
    folder.write(cat(part, "-labels-idx1-ubyte"), labels);
  }
  const DataSet set = open_data(folder.path());
  EXPECT_EQ(set.train.size, 2);
  EXPECT_EQ(set.val.size, 2);
  EXPECT_EQ(set.train.classes.size(), 5u);
  const Sample s = set.train.sample(1);
  EXPECT_EQ(s.target.to_ints(), (std::vector<int64_t>{1}));
  EXPECT_EQ(difference(s.inputs[0], f32({1, 2, 3}, {120 / 255.f, 140 / 255.f, 160 / 255.f,
                                                    180 / 255.f, 200 / 255.f, 220 / 255.f})),
            "");
  folder.write("train-images-idx3-ubyte", images.substr(0, images.size() - 1));
  expect_error(error_of([&] { open_data(folder.path()); }),
               {"train-images", "11 bytes", "12 expected"});
  folder.write("train-images-idx3-ubyte", std::string("\0\0\x08\x03", 4) + std::string(12, '\xff'));
  expect_error(error_of([&] { open_data(folder.path()); }), {"train-images", "overflows"});
}

TEST(Data, ReadsGzip) {  // python3 -c 'gzip.compress(b"1,0\n2,1\n", mtime=0)'
  const Folder folder;
  const std::string zipped(
      "\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\x33\xd4\x31\xe0\x32\xd2\x31\xe4\x02\x00\x6c\xa1\x6f"
      "\x27\x08\x00\x00\x00",
      28);
  const auto file = folder.write("d.csv.gz", zipped);
  EXPECT_EQ(open_data(file, whole()).train.size, 2);
  folder.write("d.csv.gz", zipped.substr(0, 20));
  expect_error(error_of([&] { open_data(file, whole()); }), {"d.csv.gz", "gzip"});
}

TEST(Data, ReadsCifar) {
  const Folder folder;
  std::string record(1, '\x03');
  for (int i = 0; i < 3072; ++i) record += static_cast<char>(i % 255);
  folder.write("data_batch_1.bin", record + record);
  folder.write("data_batch_2.bin", record);
  folder.write("test_batch.bin", record);
  const DataSet set = open_data(folder.path());
  EXPECT_EQ(set.train.size, 3);
  EXPECT_EQ(set.val.size, 1);
  EXPECT_EQ(label(set.train, 2), 3);
  EXPECT_FLOAT_EQ(set.train.sample(2).inputs[0].data<float>()[7], 7 / 255.f);
  folder.write("data_batch_2.bin", record.substr(1));
  expect_error(error_of([&] { open_data(folder.path()); }), {"data_batch_2.bin", "CIFAR"});
}

TEST(Data, ReadsCsv) {
  const Folder folder;
  const auto file = folder.write(
      "d.csv", "size,kind,\"the, weight\"\n1.5,pear,3\n2,\"ap\"\"ple\",4\n-1e2,pear,5\n");
  DataOptions o = whole();
  o.target = "kind";
  const Source s = open_data(file, o).train;
  EXPECT_EQ(s.classes, (std::vector<std::string>{"ap\"ple", "pear"}));
  std::vector<float> first;
  for (int64_t i = 0; i < 3; ++i) {
    first.push_back(s.sample(i).inputs[0].data<float>()[0]);
    EXPECT_EQ(label(s, i), first.back() == 2 ? 0 : 1);
  }
  std::sort(first.begin(), first.end());
  EXPECT_EQ(first, (std::vector<float>{-100, 1.5, 2}));
  o.target = "wait";
  expect_error(error_of([&] { open_data(file, o); }), {"no column 'wait'"});
  o.target = "the, weight";
  expect_error(error_of([&] { open_data(file, o); }), {"line 2, column 2", "'pear'"});
  folder.write("d.csv", "1,2\n3\n");
  expect_error(error_of([&] { open_data(file, whole()); }), {"line 2", "1 columns, expected 2"});
}

TEST(Data, TellsNanFromOtherClasses) {
  const Folder folder;
  const auto file = folder.write("d.csv", "0,2\n1,nan\n2,1\n3,nan\n");
  const Source s = open_data(file, whole()).train;
  EXPECT_EQ(s.classes, (std::vector<std::string>{"1", "2", "nan"}));
  const std::vector<int64_t> expected = {1, 2, 0, 2};
  for (int64_t i = 0; i < 4; ++i) {
    const auto number = static_cast<size_t>(s.sample(i).inputs[0].data<float>()[0]);
    EXPECT_EQ(label(s, i), expected[number]);
  }
}

TEST(Data, TakesTheLastColumnForNumbers) {
  const Folder folder;
  DataOptions o = whole();
  o.regression = true;
  const Source s = open_data(folder.write("d.csv", "1,2.5\n2,3.5\n"), o).train;
  EXPECT_EQ(s.target.dtype, DType::kFloat);
  EXPECT_EQ(s.sample(0).target.dims(), (Dims{1}));
  o.regression = false;
  expect_error(error_of([&] { open_data(folder.path() / "d.csv", o); }),
               {"d.csv' line 1", "the target '2.5' is a number, no class", "data.regression=true"});
}

TEST(Data, ReadsArrays) {
  const Folder folder;
  write_npz(folder.path() / "d.npz",
            {{"x", f32({2, 2}, {1, 2, 3, 4})}, {"target", i64({2}, {7, 8})}});
  DataOptions o = whole();
  const Source s = open_data(folder.path() / "d.npz", o).train;
  EXPECT_EQ(s.inputs[0].name, "x");
  for (int64_t i = 0; i < 2; ++i)
    EXPECT_EQ(label(s, i), s.sample(i).inputs[0].data<float>()[0] == 1 ? 7 : 8);
  o.target = "targt";
  expect_error(error_of([&] { open_data(folder.path() / "d.npz", o); }), {"did you mean 'target'"});
  write_npz(folder.path() / "d.npz", {{"x", f32({1, 1}, {1})}, {"target", i64({2}, {7, 8})}});
  expect_error(error_of([&] { open_data(folder.path() / "d.npz", whole()); }),
               {"'x'", "2 samples"});
  folder.write("set/x.npy", format_npy(f32({2}, {1, 2})));
  folder.write("set/target.npy", format_npy(i64({2}, {1, 0})));
  EXPECT_EQ(open_data(folder.path() / "set", whole()).train.size, 2);
}

TEST(Data, ReadsText) {
  const Folder folder;
  const auto file = folder.write("t.txt",
                                 "ab\xc3\xa9"
                                 "ab\xc3\xa9"
                                 "a");
  DataOptions o = whole();
  o.window = 3;
  const Source s = open_data(file, o).train;
  EXPECT_EQ(s.classes, (std::vector<std::string>{"a", "b", "\xc3\xa9"}));
  EXPECT_EQ(s.size, 2);
  EXPECT_EQ(s.sample(0).inputs[0].to_ints(), (std::vector<int64_t>{0, 1, 2}));
  EXPECT_EQ(s.sample(0).target.to_ints(), (std::vector<int64_t>{1, 2, 0}));
  o.bytes = true;
  EXPECT_EQ(open_data(file, o).train.classes.size(), 256u);
  o.window = 100;
  expect_error(error_of([&] { open_data(file, o); }), {"t.txt", "9 tokens", "100"});
}

TEST(Data, ReadsSound) {
  const Folder folder;
  const auto wav = [](uint32_t format, uint32_t channels, uint32_t bits, const std::string& data) {
    return "RIFF" + little(0, 4) + "WAVEfmt " + little(16, 4) + little(format, 2) +
           little(channels, 2) + little(8000, 4) + little(0, 4) + little(0, 2) + little(bits, 2) +
           "data" + little(static_cast<uint32_t>(data.size()), 4) + data;
  };
  folder.write(
      "no/a.wav",
      wav(1, 2, 16, little(0x4000, 2) + little(0, 2) + little(0xc000, 2) + little(0xc000, 2)));
  folder.write("yes/b.wav", wav(1, 1, 8, little(192, 1) + little(64, 1)));
  folder.write("yes/c.wav", wav(7, 1, 8, "xx"));
  DataOptions o = whole();
  o.sound_length = 3;
  const Source s = open_data(folder.path(), o).train;
  EXPECT_EQ(s.classes, (std::vector<std::string>{"no", "yes"}));
  int read = 0;
  for (int64_t i = 0; i < 3; ++i) {
    std::string problem = error_of([&] {
      const Sample sample = s.sample(i);
      ++read;
      EXPECT_EQ(difference(sample.inputs[0], sample.target.to_ints()[0] == 0
                                                 ? f32({1, 3}, {0.25, -0.5, 0})
                                                 : f32({1, 3}, {0.5, -0.5, 0})),
                "");
    });
    if (!problem.empty()) expect_error(problem, {"c.wav", "format 7"});
  }
  EXPECT_EQ(read, 2);
  for (const char* cut : {"", "RIFF", "RIFF123"}) {
    folder.write("yes/c.wav", cut);
    expect_error(error_of([&] { s.sample(2); }), {"c.wav", "no WAV file"});
  }
}

TEST(Data, SplitsBySeed) {
  const Folder folder;
  std::string text;
  for (int i = 0; i < 100; ++i) text += cat(i, ",", i % 2, "\n");
  const auto file = folder.write("d.csv", text);
  DataOptions o;
  o.val_split = 0.25;
  const auto firsts = [&](const Source& s) {
    std::vector<float> all;
    for (int64_t i = 0; i < s.size; ++i) all.push_back(s.sample(i).inputs[0].data<float>()[0]);
    return all;
  };
  const DataSet set = open_data(file, o);
  EXPECT_EQ(set.val.size, 25);
  EXPECT_EQ(firsts(set.val), firsts(open_data(file, o).val));
  std::vector<float> both = firsts(set.train), val = firsts(set.val);
  both.insert(both.end(), val.begin(), val.end());
  std::sort(both.begin(), both.end());
  EXPECT_EQ(std::adjacent_find(both.begin(), both.end()), both.end());
  o.seed = 1;
  EXPECT_NE(firsts(set.val), firsts(open_data(file, o).val));
  o.split_tail = true;
  EXPECT_EQ(firsts(open_data(file, o).val)[0], 75);
}

TEST(Data, RefusesUnknownFormats) {
  const Folder folder;
  expect_error(error_of([&] { open_data(folder.path() / "none"); }), {"none"});
  expect_error(error_of([&] { open_data(folder.path()); }), {"known format", "images"});
  DataOptions o;
  o.format = "image";
  expect_error(error_of([&] { open_data(folder.path(), o); }), {"did you mean 'images'"});
}

TEST(Data, PermutesByPhilox) {  // numpy, from the definition
  EXPECT_EQ(permutation(10, 5, 0), (std::vector<int64_t>{1, 4, 5, 0, 3, 8, 6, 2, 9, 7}));
  EXPECT_EQ(permutation(10, 5, 1), (std::vector<int64_t>{0, 8, 5, 4, 2, 6, 1, 9, 7, 3}));
}

TEST(Data, ReadsRealSets) {
  if (shared_dir().empty()) GTEST_SKIP() << "TREADLE_SHARED names no folder of data";
  const std::filesystem::path data = shared_dir() + "/data";
  DataOptions o;
  o.height = o.width = 32;
  const DataSet insects = open_data(data / "ants_bees", o);
  EXPECT_EQ(insects.train.size, 243);
  EXPECT_EQ(insects.val.size, 153);
  EXPECT_EQ(insects.val.classes, (std::vector<std::string>{"ants", "bees"}));
  EXPECT_EQ(insects.train.sample(242).inputs[0].dims(), (Dims{3, 32, 32}));
  o.height = o.width = 0;
  o.channels = 1;
  const DataSet membrane = open_data(data / "membrane", o);
  EXPECT_EQ(membrane.train.size, 24);
  EXPECT_EQ(membrane.val.sample(5).target.dims(), (Dims{256, 256}));
  EXPECT_EQ(membrane.val.classes.size(), 2u);
}

}  // namespace
}  // namespace treadle::test
