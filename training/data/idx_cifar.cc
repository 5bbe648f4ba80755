// IDX (MNIST, Fashion-MNIST; also gzipped) and CIFAR's binary files.
#include <algorithm>
#include <cstring>

#include "files/gzip.h"
#include "training/data/formats.h"

namespace treadle {
namespace fs = std::filesystem;
namespace {

struct Idx {
  Dims dims;
  std::string bytes;
  size_t at = 0;  // where the elements begin
};

int64_t count_of(const Dims& dims, const fs::path& file) {
  try {
    return element_count(dims);
  } catch (Error& e) {
    e.add_context(cat("file '", file.string(), "'"));
    throw;
  }
}

// Magic 0, 0, type (8: unsigned bytes), rank; then the sizes, big-endian.
Idx read_idx(const fs::path& file, size_t rank) {
  Idx idx{{}, read_unzipped(file), 4 + 4 * rank};
  const auto byte = [&](size_t i) { return int64_t{static_cast<unsigned char>(idx.bytes[i])}; };
  TREADLE_CHECK(idx.bytes.size() >= idx.at && byte(0) == 0 && byte(1) == 0 && byte(2) == 8 &&
                    byte(3) == static_cast<int64_t>(rank),
                kInvalidArgument, "'", file.string(), "' is no IDX file of bytes of rank ", rank);
  for (size_t i = 4; i < idx.at; i += 4)
    idx.dims.push_back(byte(i) << 24 | byte(i + 1) << 16 | byte(i + 2) << 8 | byte(i + 3));
  const int64_t count = count_of(idx.dims, file);
  TREADLE_CHECK(idx.bytes.size() - idx.at == static_cast<size_t>(count), kInvalidArgument, "'",
                file.string(), "' holds ", idx.bytes.size() - idx.at, " bytes of data, ", count,
                " expected for ", shape_text(idx.dims));
  return idx;
}

int64_t largest(const std::vector<int64_t>& labels) {
  return labels.empty() ? -1 : *std::max_element(labels.begin(), labels.end());
}

void number_classes(Source& source, const std::vector<int64_t>& labels) {
  for (int64_t i = 0; i <= largest(labels); ++i) source.classes.push_back(std::to_string(i));
}

constexpr size_t kCifarPixels = 3 * 32 * 32;

}  // namespace

Source open_idx(const fs::path& images, const fs::path& labels) {
  const Idx x = read_idx(images, 3), y = read_idx(labels, 1);
  Tensor pictures(DType::kUint8, {x.dims[0], 1, x.dims[1], x.dims[2]});
  if (pictures.bytes() != 0) std::memcpy(pictures.raw(), x.bytes.data() + x.at, pictures.bytes());
  std::vector<int64_t> classes;
  for (size_t i = y.at; i < y.bytes.size(); ++i)
    classes.push_back(static_cast<unsigned char>(y.bytes[i]));
  Source source = from_bytes(images.string(), pictures, classes);
  number_classes(source, classes);
  return source;
}

// Records of a label (CIFAR-100: a coarse and a fine one) and 3 × 32 × 32 bytes.
Source open_cifar(const Paths& files) {
  std::string all;
  size_t label_bytes = 1;
  for (const fs::path& file : files) {
    const std::string bytes = read_unzipped(file);
    const std::string stem = file.stem().string();
    label_bytes = stem == "train" || stem == "test" ? 2 : 1;
    TREADLE_CHECK(!bytes.empty() && bytes.size() % (label_bytes + kCifarPixels) == 0,
                  kInvalidArgument, "'", file.string(), "' is no CIFAR file: its ", bytes.size(),
                  " bytes are no whole number of records of ", label_bytes + kCifarPixels);
    all += bytes;
  }
  const size_t record = label_bytes + kCifarPixels, count = all.size() / record;
  Tensor pictures(DType::kUint8, {static_cast<int64_t>(count), 3, 32, 32});
  std::vector<int64_t> labels;
  for (size_t i = 0; i < count; ++i) {
    const char* from = all.data() + i * record + label_bytes;
    labels.push_back(static_cast<unsigned char>(from[-1]));
    std::memcpy(pictures.raw() + i * kCifarPixels, from, kCifarPixels);
  }
  Source source = from_bytes(files[0].parent_path().string(), pictures, labels);
  number_classes(source, labels);
  return source;
}

}  // namespace treadle
