// Pictures on disk: a folder a class, and pictures with masks.
#include <algorithm>

#include "files/image.h"
#include "files/picture.h"
#include "training/data/formats.h"

namespace treadle {
namespace fs = std::filesystem;
namespace {

bool is_picture(const fs::path& file) {
  std::error_code unknown;  // of a link to itself
  return fs::is_regular_file(file, unknown) && is_image_extension(file.extension().string());
}

// What cannot be read is told where its sample is read.
Image first_readable(const Paths& files) {
  for (const fs::path& file : files) {
    try {
      return read_image(file);
    } catch (const Error&) {
      if (file == files.back()) throw;
    }
  }
  fail(Code::kInvalidArgument, "there are no pictures");
}

PictureSize size_of(const DataOptions& options, const Paths& files) {
  TREADLE_CHECK(options.channels == 1 || options.channels == 3, kInvalidArgument,
                "pictures have 1 or 3 channels, not ", options.channels);
  if (options.height > 0 && options.width > 0)
    return {options.channels, options.height, options.width, false};
  const Image image = first_readable(files);
  return {options.channels, image.height, image.width, false};
}

Source picture_source(const fs::path& folder, const PictureSize& size) {
  Source source;
  source.name = folder.string();
  source.content = Content::kPictures;
  source.inputs = {{"", DType::kFloat, {size.channels, size.height, size.width}}};
  source.target = {"target", DType::kInt64, {}};
  return source;
}

// The picture of the same name without its extension.
fs::path mask_of(const fs::path& image, const Paths& masks) {
  for (const fs::path& mask : masks) {
    if (mask.stem() == image.stem()) return mask;
  }
  fail(Code::kInvalidArgument, "'", image.string(), "' has no mask of its name in label/");
}

// Grey values of a mask at the size of the pictures; a pixel is taken, never mixed of several.
std::vector<uint8_t> read_mask(const fs::path& file, const PictureSize& size) {
  const Image image = read_image(file);
  std::vector<uint8_t> grey;
  for (int64_t y = 0; y < size.height; ++y) {
    for (int64_t x = 0; x < size.width; ++x) {
      const int64_t sy = y * image.height / size.height, sx = x * image.width / size.width;
      grey.push_back(image.rgb[static_cast<size_t>((sy * image.width + sx) * 3)]);
    }
  }
  return grey;
}

// The grey values that masks have, in rising order: the classes. Values within the noise of a
// JPEG are not told apart: more than 32 are taken for two, dark and light.
std::vector<uint8_t> mask_values(const Paths& masks, const PictureSize& size) {
  std::vector<bool> seen(256, false);
  for (const fs::path& mask : masks) {
    try {
      for (const uint8_t value : read_mask(mask, size)) seen[value] = true;
    } catch (const Error&) {
      if (mask == masks.back() && std::ranges::find(seen, true) == seen.end()) throw;
    }
  }
  std::vector<uint8_t> values;
  for (size_t i = 0; i < 256; ++i) {
    if (seen[i]) values.push_back(static_cast<uint8_t>(i));
  }
  return values.size() > 32 ? std::vector<uint8_t>{0, 255} : values;
}

// The class of each grey value: the nearest one that is a class.
std::vector<int64_t> class_table(const std::vector<uint8_t>& values) {
  std::vector<int64_t> table(256, 0);
  for (size_t grey = 0; grey < 256; ++grey) {
    const auto distance = [&](size_t i) {
      return std::abs(static_cast<int>(values[i]) - static_cast<int>(grey));
    };
    for (size_t i = 1; i < values.size(); ++i) {
      if (distance(i) < distance(static_cast<size_t>(table[grey])))
        table[grey] = static_cast<int64_t>(i);
    }
  }
  return table;
}

}  // namespace

Tensor plain_picture(const Image& image, const PictureSize& size) {
  PictureOptions options;
  options.mean.assign(3, 0.0);
  options.std.assign(3, 1.0);
  return picture_tensor(image, size, options);
}

Source open_image_folder(const fs::path& folder, const DataOptions& options) {
  ClassFolders found = class_folders(folder, is_picture);
  Paths files;
  for (const Labelled& item : found.files) files.push_back(item.file);
  const PictureSize size = size_of(options, files);
  Source source = picture_source(folder, size);
  source.classes = std::move(found.classes);
  source.size = static_cast<int64_t>(found.files.size());
  source.sample = [files = std::move(found.files), size](int64_t i) {
    const Labelled& item = files[static_cast<size_t>(i)];
    return Sample{{plain_picture(read_image(item.file), size)},
                  Tensor::scalar<int64_t>(item.label)};
  };
  return source;
}

Source open_image_masks(const fs::path& folder, const DataOptions& options) {
  Paths images, masks;
  const Paths labels = sorted_entries(folder / "label");
  for (const fs::path& file : sorted_entries(folder / "image")) {
    if (!is_picture(file)) continue;
    images.push_back(file);
    masks.push_back(mask_of(file, labels));
  }
  TREADLE_CHECK(!images.empty(), kInvalidArgument, "'", (folder / "image").string(),
                "' holds no pictures");
  const PictureSize size = size_of(options, images);
  Source source = picture_source(folder, size);
  source.target.dims = {size.height, size.width};
  source.target_is_mask = true;
  const std::vector<uint8_t> values = mask_values(masks, size);
  for (const uint8_t value : values) source.classes.push_back(std::to_string(value));
  source.size = static_cast<int64_t>(images.size());
  source.sample = [images, masks, size, table = class_table(values)](int64_t i) {
    const auto k = static_cast<size_t>(i);
    std::vector<int64_t> target;
    for (const uint8_t grey : read_mask(masks[k], size)) target.push_back(table[grey]);
    return Sample{{plain_picture(read_image(images[k]), size)},
                  Tensor::of<int64_t>({size.height, size.width}, target)};
  };
  return source;
}

}  // namespace treadle
