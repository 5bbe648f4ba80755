// HDF5: datasets by the inputs' names and `target` (or `label`, as Caffe has it), of a file or of
// the files of a folder one after another. Samples are read when they are asked for.
#include <algorithm>
#include <memory>
#include <mutex>
#include <utility>

#include "graph/base/checked.h"
#include "training/data/formats.h"
#include "training/data/hdf5_api.h"

namespace treadle {
namespace fs = std::filesystem;
namespace {

constexpr size_t kLongestName = 4096;
constexpr unsigned kReadOnly = 0;  // H5F_ACC_RDONLY, which calls the library

// Debian's HDF5 is not to be called by two threads at once.
std::mutex& library() {
  static std::mutex mutex;
  return mutex;
}

// An identifier of the library's, closed at the end.
class Handle {
 public:
  Handle() = default;
  Handle(hid_t id, herr_t (*close)(hid_t)) : id_(id), close_(close) {}
  ~Handle() {
    if (id_ >= 0) close_(id_);
  }
  Handle(Handle&& other) noexcept : id_(std::exchange(other.id_, -1)), close_(other.close_) {}
  Handle& operator=(Handle&& other) noexcept {
    std::swap(id_, other.id_);
    std::swap(close_, other.close_);
    return *this;
  }
  operator hid_t() const { return id_; }  // NOLINT: it is passed to the library only
  bool valid() const { return id_ >= 0; }

 private:
  hid_t id_ = -1;
  herr_t (*close_)(hid_t) = nullptr;
};

// Rows along the first dimension, of the dtype that they are read as.
struct Dataset {
  std::string name;
  Handle id;
  DType dtype = DType::kUndefined;
  Dims dims;  // with the samples'
};

DType dtype_of(const Handle& id, const std::string& what) {
  const Handle type(hdf5().type(id), hdf5().close_type);
  const H5T_class_t kind = hdf5().type_class(type);
  TREADLE_CHECK(kind == H5T_FLOAT || kind == H5T_INTEGER, kInvalidArgument, what,
                " holds neither floats nor integers");
  if (kind == H5T_INTEGER) return DType::kInt64;
  return hdf5().type_size(type) > 4 ? DType::kDouble : DType::kFloat;
}

hid_t memory_type(DType dtype) {
  if (dtype == DType::kInt64) return hdf5().native_int64;
  return dtype == DType::kDouble ? hdf5().native_double : hdf5().native_float;
}

Dims dims_of(const Handle& id, const std::string& what) {
  const Handle space(hdf5().space(id), hdf5().close_space);
  const int rank = hdf5().rank(space);
  TREADLE_CHECK(rank >= 1 && rank <= kMaxRank, kInvalidArgument, what, " is of rank ", rank,
                ", expected samples along the first dimension");
  std::vector<hsize_t> sizes(static_cast<size_t>(rank));
  hdf5().dims(space, sizes.data(), nullptr);
  Dims dims;
  for (const hsize_t size : sizes) {
    TREADLE_CHECK(size <= INT64_MAX, kLimit, what, " has a dimension of ", size);
    dims.push_back(static_cast<int64_t>(size));
  }
  element_count(dims);
  return dims;
}

std::string file_of(hid_t id) {
  std::string name(kLongestName, '\0');
  const ssize_t length = hdf5().file_name(id, name.data(), name.size());
  name.resize(length < 0 ? 0 : std::min(static_cast<size_t>(length), name.size()));
  return name;
}

// A file may say that its numbers lie in others: then it would tell what is read of this machine.
void check_own(const Handle& dataset, const Handle& file, const std::string& what) {
  const Handle list(hdf5().creation(dataset), hdf5().close_list);
  const bool own = file_of(dataset) == file_of(file) && hdf5().external_count(list) == 0 &&
                   hdf5().layout(list) != H5D_VIRTUAL;
  TREADLE_CHECK(own, kInvalidArgument, what, " lies in another file, which is not followed");
}

class File {
 public:
  File(const fs::path& path, const DataOptions& options) : name_(path.string()) {
    const std::lock_guard<std::mutex> lock(library());
    file_ = Handle(hdf5().open_file(name_.c_str(), kReadOnly, H5P_DEFAULT), hdf5().close_file);
    TREADLE_CHECK(file_.valid(), kIo, "cannot read '", name_, "' as HDF5");
    for (const std::string& name : names()) add(name, options.max_bytes);
    take_target(options);
  }
  ~File() {
    const std::lock_guard<std::mutex> lock(library());
    inputs_.clear();
    target_ = {};
    file_ = {};
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  const std::string& name() const { return name_; }
  const std::vector<Dataset>& inputs() const { return inputs_; }
  const Dataset& target() const { return target_; }
  int64_t size() const { return target_.dims[0]; }

  Tensor row(const Dataset& from, int64_t i) const {
    Tensor out(from.dtype, Dims(from.dims.begin() + 1, from.dims.end()));
    std::vector<hsize_t> start(from.dims.size(), 0), count(from.dims.begin(), from.dims.end());
    start[0] = static_cast<hsize_t>(i);
    count[0] = 1;
    const std::lock_guard<std::mutex> lock(library());
    const Hdf5& h = hdf5();
    const Handle rows(h.space(from.id), h.close_space);
    const Handle one(h.make_space(static_cast<int>(count.size()), count.data(), nullptr),
                     h.close_space);
    const bool read =
        h.select(rows, H5S_SELECT_SET, start.data(), nullptr, count.data(), nullptr) >= 0 &&
        h.read(from.id, memory_type(from.dtype), one, rows, H5P_DEFAULT, out.raw()) >= 0;
    TREADLE_CHECK(read, kIo, "cannot read sample ", i, " of dataset '", from.name, "' in '", name_,
                  "'");
    return out;
  }

 private:
  // Of what the root group links.
  std::vector<std::string> names() const {
    H5G_info_t info = {};
    hdf5().group_info(file_, &info);
    std::vector<std::string> all;
    for (hsize_t i = 0; i < info.nlinks; ++i) {
      std::string name(kLongestName, '\0');
      const ssize_t length = hdf5().link_name(file_, ".", H5_INDEX_NAME, H5_ITER_INC, i,
                                              name.data(), name.size(), H5P_DEFAULT);
      TREADLE_CHECK(length >= 0 && length < static_cast<ssize_t>(kLongestName), kInvalidArgument,
                    "'", name_, "': the name of link ", i, " cannot be read");
      name.resize(static_cast<size_t>(length));
      all.push_back(std::move(name));
    }
    return all;
  }

  void add(const std::string& name, int64_t max_bytes) {
    const std::string what = cat("dataset '", name, "' of '", name_, "'");
    // Opening a link would open the file that it points to; a soft one may go through such a link.
    H5L_info_t link = {};
    TREADLE_CHECK(hdf5().link_info(file_, name.c_str(), &link, H5P_DEFAULT) >= 0, kIo, what,
                  " cannot be read");
    TREADLE_CHECK(link.type == H5L_TYPE_HARD, kInvalidArgument, what,
                  " is a link that may lead to another file, which is not followed");
    Dataset set;
    set.name = name;
    set.id = Handle(hdf5().open_object(file_, name.c_str(), H5P_DEFAULT), hdf5().close_object);
    if (!set.id.valid() || hdf5().kind(set.id) != H5I_DATASET) return;
    check_own(set.id, file_, what);
    set.dtype = dtype_of(set.id, what);
    set.dims = dims_of(set.id, what);
    const int64_t sample = element_count(Dims(set.dims.begin() + 1, set.dims.end()));
    TREADLE_CHECK(sample <= max_bytes / 8, kLimit, what, " has samples of ", sample, " numbers");
    inputs_.push_back(std::move(set));
  }

  void take_target(const DataOptions& options) {
    std::vector<std::string> wanted = {options.target};
    if (options.target.empty()) wanted = {"target", "label"};
    for (const std::string& name : wanted) {
      const auto found = std::ranges::find(inputs_, name, &Dataset::name);
      if (found == inputs_.end()) continue;
      target_ = std::move(*found);
      inputs_.erase(found);
      break;
    }
    TREADLE_CHECK(target_.id.valid(), kInvalidArgument, "'", name_, "' holds no dataset '",
                  wanted[0], "'");
    TREADLE_CHECK(!inputs_.empty(), kInvalidArgument, "'", name_,
                  "' holds no dataset beside the target");
    for (const Dataset& set : inputs_) {
      TREADLE_CHECK(set.dims[0] == size(), kInvalidArgument, "dataset '", set.name, "' of '", name_,
                    "' holds ", set.dims[0], " samples, the target ", size());
    }
  }

  std::string name_;
  Handle file_;
  std::vector<Dataset> inputs_;
  Dataset target_;
};

Field field_of(const Dataset& set, const std::string& name) {
  return {name, set.dtype, Dims(set.dims.begin() + 1, set.dims.end())};
}

using Files = std::vector<std::shared_ptr<const File>>;

void check_same(const File& first, const File& other) {
  bool same = first.inputs().size() == other.inputs().size() &&
              field_of(first.target(), "").dims == field_of(other.target(), "").dims &&
              first.target().dtype == other.target().dtype;
  for (size_t i = 0; same && i < first.inputs().size(); ++i) {
    const Field a = field_of(first.inputs()[i], ""), b = field_of(other.inputs()[i], "");
    same =
        first.inputs()[i].name == other.inputs()[i].name && a.dims == b.dims && a.dtype == b.dtype;
  }
  TREADLE_CHECK(same, kInvalidArgument, "'", other.name(), "' holds other datasets than '",
                first.name(), "'");
}

Sample read_sample(const Files& files, int64_t i) {
  auto file = files.begin();
  for (; i >= (*file)->size(); ++file) i -= (*file)->size();
  Sample sample;
  for (const Dataset& set : (*file)->inputs()) sample.inputs.push_back((*file)->row(set, i));
  sample.target = (*file)->row((*file)->target(), i);
  return sample;
}

}  // namespace

Source open_hdf5(const fs::path& path, const DataOptions& options) {
  Files files;
  if (fs::is_directory(path)) {
    for (const fs::path& file : sorted_entries(path)) {
      if (is_hdf5(file)) files.push_back(std::make_shared<const File>(file, options));
    }
  } else {
    files.push_back(std::make_shared<const File>(path, options));
  }
  TREADLE_CHECK(!files.empty(), kInvalidArgument, "'", path.string(), "' holds no .h5 file");
  Source source;
  source.name = path.string();
  const File& first = *files[0];
  // A single input may have any name, as Caffe's "data" has.
  for (const Dataset& set : first.inputs())
    source.inputs.push_back(field_of(set, first.inputs().size() == 1 ? "" : set.name));
  source.target = field_of(first.target(), "target");
  if (first.inputs()[0].dtype == DType::kInt64) source.content = Content::kTokens;
  for (const auto& file : files) {
    check_same(first, *file);
    source.size += file->size();
  }
  source.sample = [files](int64_t i) { return read_sample(files, i); };
  return source;
}

}  // namespace treadle
