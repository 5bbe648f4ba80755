// The list of formats, how they are found, and splits.
#include "training/data/source.h"

#include <algorithm>
#include <memory>
#include <numeric>

#include "files/image.h"
#include "graph/base/suggestion.h"
#include "training/data/formats.h"

namespace treadle {
namespace fs = std::filesystem;
namespace {

// Not of what cannot be looked at, as a link to itself.
bool is_folder(const fs::path& path) {
  std::error_code unknown;
  return fs::is_directory(path, unknown);
}

bool ends_with(const fs::path& path, std::string_view end) {
  const std::string name = path.filename().string();
  return name.ends_with(end) || name.ends_with(std::string(end) + ".gz");
}

// The file of a folder with this in its name, or "".
fs::path find_named(const fs::path& folder, std::string_view part, std::string_view end) {
  for (const fs::path& file : sorted_entries(folder)) {
    if (file.filename().string().find(part) != std::string::npos && ends_with(file, end))
      return file;
  }
  return {};
}

bool is_file_of_kind(const fs::path& path, std::initializer_list<std::string_view> ends) {
  return fs::is_regular_file(path) &&
         std::any_of(ends.begin(), ends.end(), [&](auto end) { return ends_with(path, end); });
}

bool has_class_files(const fs::path& folder, bool (*wanted)(const fs::path&)) {
  if (!fs::is_directory(folder)) return false;
  for (const fs::path& entry : sorted_entries(folder)) {
    if (!is_folder(entry)) continue;
    const Paths files = sorted_entries(entry);
    if (std::any_of(files.begin(), files.end(), wanted)) return true;
  }
  return false;
}

bool is_picture(const fs::path& file) { return is_image_extension(file.extension().string()); }
bool is_wav(const fs::path& file) { return file.extension() == ".wav"; }

bool is_masks(const fs::path& p) {
  return fs::is_directory(p / "image") && fs::is_directory(p / "label");
}

// ---- Formats whose folder or file is one part

struct Format {
  const char* name;
  bool (*fits)(const fs::path& path);
  Source (*open)(const fs::path& path, const DataOptions& options);
};
constexpr Format kFormats[] = {
    {"masks", is_masks, open_image_masks},
    {"images", [](const fs::path& p) { return has_class_files(p, is_picture); }, open_image_folder},
    {"wav", [](const fs::path& p) { return has_class_files(p, is_wav); }, open_wav_folder},
    {"npz",
     [](const fs::path& p) {
       return is_file_of_kind(p, {".npz"}) ||
              (fs::is_directory(p) && !find_named(p, "", ".npy").empty());
     },
     open_npz},
    {"csv", [](const fs::path& p) { return is_file_of_kind(p, {".csv"}); }, open_csv},
    {"hdf5",
     [](const fs::path& p) {
       const Paths files = fs::is_directory(p) ? sorted_entries(p) : Paths{p};
       return std::any_of(files.begin(), files.end(), is_hdf5);
     },
     open_hdf5},
    {"lmdb",
     [](const fs::path& p) { return fs::exists(p / "data.mdb") || p.extension() == ".mdb"; },
     open_lmdb},
    {"text",
     [](const fs::path& p) {
       return is_file_of_kind(p, {".txt", ".md"});
     },
     open_text},
};

// ---- Formats with parts of their own

Source idx_part(const fs::path& folder, std::string_view part) {
  const fs::path images = find_named(folder, part, "-images-idx3-ubyte");
  const fs::path labels = find_named(folder, part, "-labels-idx1-ubyte");
  return images.empty() || labels.empty() ? Source{} : open_idx(images, labels);
}

Source cifar_part(const fs::path& folder, bool test) {
  Paths files;
  for (const fs::path& file : sorted_entries(folder)) {
    const bool is_test = file.filename().string().starts_with("test");
    if (file.extension() == ".bin" && is_test == test) files.push_back(file);
  }
  return files.empty() ? Source{} : open_cifar(files);
}

struct PartsFormat {
  const char* name;
  Source (*train)(const fs::path& folder);
  Source (*val)(const fs::path& folder);
};
constexpr PartsFormat kPartsFormats[] = {
    {"idx", [](const fs::path& p) { return idx_part(p, "train"); },
     [](const fs::path& p) { return idx_part(p, "t10k"); }},
    {"cifar", [](const fs::path& p) { return cifar_part(p, false); },
     [](const fs::path& p) { return cifar_part(p, true); }},
};

// Neither part where the folder is of another format.
DataSet open_parts(const fs::path& path, const DataOptions& options) {
  if (!fs::is_directory(path)) return {};
  for (const PartsFormat& format : kPartsFormats) {
    if (options.format != "auto" && options.format != format.name) continue;
    DataSet set{format.train(path), format.val(path)};
    if (set.train.size != 0) return set;
  }
  return {};
}

std::string list_of_formats() {
  std::string list;
  for (const std::string& name : data_formats()) list += " " + name;
  return list;
}

// Each takes 8 bytes in the order of an epoch.
Source checked_size(Source source) {
  constexpr int64_t kMost = int64_t{1} << 30;
  TREADLE_CHECK(source.size <= kMost, kLimit, "'", source.name, "' tells ", source.size,
                " samples, at most ", kMost, " are taken");
  return source;
}

Source open_part(const fs::path& path, const DataOptions& options) {
  for (const Format& format : kFormats) {
    if (options.format == "auto" ? format.fits(path) : options.format == format.name)
      return checked_size(format.open(path, options));
  }
  fail(Code::kInvalidArgument, "'", path.string(),
       "' holds no data of a known format; there are:", list_of_formats());
}

void check_format(const std::string& name) {
  const std::vector<std::string> known = data_formats();
  if (name == "auto" || std::find(known.begin(), known.end(), name) != known.end()) return;
  fail(Code::kInvalidArgument, "there is no data format '", name, "'", suggestion(name, known, "."),
       " There are:", list_of_formats());
}

DataSet split(const Source& all, const DataOptions& options) {
  TREADLE_CHECK(options.val_split >= 0 && options.val_split < 1, kInvalidArgument,
                "the share of validation is ", options.val_split, ", expected 0 to below 1");
  std::vector<int64_t> order = permutation(all.size, options.seed, 0);
  if (options.split_tail) std::iota(order.begin(), order.end(), int64_t{0});
  const auto val =
      static_cast<ptrdiff_t>(std::llround(options.val_split * static_cast<double>(all.size)));
  std::sort(order.begin(), order.end() - val);  // as they lie: to shuffle is the loader's work
  DataSet set{subset(all, {order.begin(), order.end() - val}), {}};
  if (val > 0) set.val = subset(all, {order.end() - val, order.end()});
  return set;
}

void check_same(const Source& train, const Source& val) {
  TREADLE_CHECK(train.classes == val.classes, kInvalidArgument,
                "train and val have different classes: ", train.classes.size(), " and ",
                val.classes.size(), " of them, or other names");
  for (size_t i = 0; i < train.inputs.size(); ++i) {
    const bool same = i < val.inputs.size() && train.inputs[i].dims == val.inputs[i].dims;
    TREADLE_CHECK(same, kInvalidArgument,
                  "train and val have different inputs: ", shape_text(train.inputs[i].dims),
                  " in train");
  }
}

}  // namespace

std::vector<std::string> data_formats() {
  std::vector<std::string> names;
  for (const Format& format : kFormats) names.emplace_back(format.name);
  for (const PartsFormat& format : kPartsFormats) names.emplace_back(format.name);
  return names;
}

DataSet open_data(const fs::path& path, const DataOptions& options) {
  check_format(options.format);
  std::error_code why;
  TREADLE_CHECK(fs::exists(path, why), kIo, "there are no data at '", path.string(), "'",
                why ? ": " + why.message() : "");
  if (fs::is_directory(path / "train") && fs::is_directory(path / "val")) {
    DataOptions part = options;
    DataSet set{open_part(path / "train", part), {}};
    if (set.train.content == Content::kPictures) {  // the first picture of train rules both
      part.height = set.train.inputs[0].dims[1];
      part.width = set.train.inputs[0].dims[2];
    }
    set.val = open_part(path / "val", part);
    check_same(set.train, set.val);
    return set;
  }
  DataSet set = open_parts(path, options);
  if (set.train.size == 0) return split(open_part(path, options), options);
  return set.val.size == 0 ? split(set.train, options) : set;
}

// ---- What several formats need

bool is_hdf5(const fs::path& file) {
  const std::string end = file.extension().string();
  return fs::is_regular_file(file) && (end == ".h5" || end == ".hdf5");
}

Paths sorted_entries(const fs::path& folder) {
  TREADLE_CHECK(fs::is_directory(folder), kIo, "'", folder.string(), "' is no folder");
  Paths paths;
  for (const auto& entry : fs::directory_iterator(folder)) paths.push_back(entry.path());
  std::sort(paths.begin(), paths.end());
  return paths;
}

ClassFolders class_folders(const fs::path& folder, bool (*wanted)(const fs::path&)) {
  ClassFolders found;
  for (const fs::path& entry : sorted_entries(folder)) {
    if (!is_folder(entry)) continue;
    for (const fs::path& file : sorted_entries(entry)) {
      if (wanted(file)) found.files.push_back({file, static_cast<int64_t>(found.classes.size())});
    }
    found.classes.push_back(entry.filename().string());
  }
  TREADLE_CHECK(!found.files.empty(), kInvalidArgument, "'", folder.string(),
                "' holds no folder with files, expected one for each class");
  return found;
}

}  // namespace treadle
