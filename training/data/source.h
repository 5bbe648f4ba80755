// Data sets: samples by number, from the formats that data come in.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "graph/base/tensor.h"

namespace treadle {

// One tensor of a sample, without the batch's dimension.
struct Field {
  std::string name;  // "": the model's next input
  DType dtype = DType::kUndefined;
  Dims dims;
};

struct Sample {
  std::vector<Tensor> inputs;
  Tensor target;
};

// What the inputs are, as far as augmentation and normalization must know.
enum class Content : uint8_t {
  kFeatures,  // floats, each with its own meaning
  kPictures,  // floats [channels, height, width] in 0..1
  kSound,     // floats [1, length] in -1..1
  kTokens     // integers
};

struct Source {
  std::string name;  // for messages
  Content content = Content::kFeatures;
  std::vector<Field> inputs;
  Field target;
  bool target_is_mask = false;       // [height, width] that moves as the picture does
  std::vector<std::string> classes;  // what the target's integers mean; empty where it has none
  int64_t size = 0;
  // From any thread, of 0 <= i < size. What cannot be read is an Error naming the file. The sample
  // is the caller's to change.
  std::function<Sample(int64_t i)> sample;
};

struct DataSet {
  Source train;
  Source val;  // size 0 where there is none
};

struct DataOptions {
  // "auto", "images" (a folder a class), "masks" (image/ and label/), "text", "idx", "cifar",
  // "csv", "npz" (or a folder of .npy), "wav" (a folder a class), "hdf5", "lmdb".
  std::string format = "auto";
  // Of what has no parts of its own, this share of the samples, drawn by the seed, is val.
  double val_split = 0.2;
  bool split_tail = false;  // not drawn: the last samples
  uint64_t seed = 0;
  // Pictures: resized to fill it, then cropped in the middle. 0 in height and width: the size of
  // the first picture.
  int64_t channels = 3, height = 0, width = 0;
  std::string target;       // the array of an npz ("target"), the column of a csv (the last)
  bool regression = false;  // the column of a csv is a number, not a class
  int64_t window = 64;      // text: units of a sample; sound: samples at `sound_length`
  bool bytes = false;       // text: its bytes, not its characters
  int64_t sound_length = 16000;
  int64_t max_bytes = int64_t{1} << 36;  // of what is held in memory
};

std::vector<std::string> data_formats();

// A folder with train/ and val/, the format's own parts (IDX: train-* and t10k-*; CIFAR: *batch*
// and test*), else a split. kIo, kInvalidArgument naming the file and what was expected.
DataSet open_data(const std::filesystem::path& path, const DataOptions& options = {});

// The samples of these numbers.
Source subset(const Source& source, std::vector<int64_t> samples);
// 0 … count-1 in a random order of the seed and epoch.
std::vector<int64_t> permutation(int64_t count, uint64_t seed, uint64_t epoch);
// The first input's samples under other dims of equal count; kInvalidArgument otherwise.
Source with_input_dims(const Source& source, const Dims& dims);

}  // namespace treadle
