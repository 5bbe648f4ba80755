// The formats, one function each; source.cc lists them.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "training/data/source.h"

namespace treadle {

struct Image;        // files/image.h
struct PictureSize;  // files/picture.h

// Files and folders of one part of a data set ("train" or "val"), as the format finds them.
using Paths = std::vector<std::filesystem::path>;

Source open_image_folder(const std::filesystem::path& folder, const DataOptions& options);
Source open_image_masks(const std::filesystem::path& folder, const DataOptions& options);
Source open_wav_folder(const std::filesystem::path& folder, const DataOptions& options);
Source open_text(const std::filesystem::path& file, const DataOptions& options);
Source open_csv(const std::filesystem::path& file, const DataOptions& options);
Source open_npz(const std::filesystem::path& path, const DataOptions& options);
Source open_idx(const std::filesystem::path& images, const std::filesystem::path& labels);
Source open_cifar(const Paths& files);
// kUnsupported where the build did not find their libraries.
Source open_hdf5(const std::filesystem::path& path, const DataOptions& options);
Source open_lmdb(const std::filesystem::path& path, const DataOptions& options);

// ---- What several formats need

// Sorted, so that a data set is the same on every machine. kIo where it is no folder.
Paths sorted_entries(const std::filesystem::path& folder);

// Samples as rows of tensors that lie in memory: [size, …] each.
Source from_memory(std::string name, std::vector<std::pair<std::string, Tensor>> inputs,
                   const Tensor& target);
// 8-bit pictures [size, C, H, W] in memory, which become floats in 0..1, with a class each.
Source from_bytes(std::string name, const Tensor& pictures, const std::vector<int64_t>& labels);

// Floats [channels, height, width] in 0..1, resized to fill the size and cropped in the middle.
Tensor plain_picture(const Image& image, const PictureSize& size);
bool is_hdf5(const std::filesystem::path& file);

struct Labelled {
  std::filesystem::path file;
  int64_t label;
};
struct ClassFolders {
  std::vector<std::string> classes;
  std::vector<Labelled> files;
};
// The files that are wanted in the sub folders, which are the classes. kInvalidArgument when there
// are none.
ClassFolders class_folders(const std::filesystem::path& folder,
                           bool (*wanted)(const std::filesystem::path& file));

}  // namespace treadle
