// LMDB databases of Caffe's Datum: pictures of bytes, pictures as files, or floats, with a class.
#include <algorithm>
#include <memory>

#include "datum.pb.h"
#include "files/picture.h"
#include "graph/base/checked.h"
#include "training/data/formats.h"
#include "training/data/lmdb_api.h"
#include "training/data/lmdb_pages.h"

namespace treadle {
namespace fs = std::filesystem;
namespace {

using treadle_caffe::Datum;

// Reads from any thread.
class Database {
 public:
  explicit Database(const fs::path& path) : name_(path.string()) {
    require(lmdb().env_create(&env_), "open");
    const unsigned file = fs::is_directory(path) ? 0 : MDB_NOSUBDIR;
    const int status =
        lmdb().env_open(env_, name_.c_str(), MDB_RDONLY | MDB_NOLOCK | MDB_NOTLS | file, 0);
    if (status != 0) lmdb().env_close(env_);
    require(status, "open");
    try {
      const fs::path data = fs::is_directory(path) ? path / "data.mdb" : path;
      check_length(data);
      check_lmdb_pages(data);
      const Transaction transaction(*this);
      require(lmdb().dbi_open(transaction.get(), nullptr, 0, &table_), "open");
    } catch (...) {
      lmdb().env_close(env_);
      throw;
    }
  }
  ~Database() { lmdb().env_close(env_); }
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  const std::string& name() const { return name_; }

  // In the database's order.
  std::vector<std::string> keys(int64_t max_bytes) const {
    const Transaction transaction(*this);
    MDB_cursor* opened = nullptr;
    require(lmdb().cursor_open(transaction.get(), table_, &opened), "read");
    const std::unique_ptr<MDB_cursor, void (*)(MDB_cursor*)> cursor(opened, lmdb().cursor_close);
    std::vector<std::string> all;
    int64_t bytes = 0;
    MDB_val key = {}, value = {};
    int status = lmdb().cursor_get(opened, &key, &value, MDB_FIRST);
    for (; status == 0; status = lmdb().cursor_get(opened, &key, &value, MDB_NEXT)) {
      all.emplace_back(static_cast<const char*>(key.mv_data), key.mv_size);
      bytes += static_cast<int64_t>(key.mv_size + sizeof(std::string));
      TREADLE_CHECK(bytes <= max_bytes, kLimit, "the keys of '", name_, "' take more than ",
                    max_bytes, " bytes");
    }
    if (status != MDB_NOTFOUND) require(status, "read");
    return all;
  }

  Datum datum(const std::string& key) const {
    const Transaction transaction(*this);
    MDB_val k = {key.size(), const_cast<char*>(key.data())}, value = {};
    require(lmdb().get(transaction.get(), table_, &k, &value), "read");
    Datum datum;
    TREADLE_CHECK(value.mv_size <= INT32_MAX &&
                      datum.ParseFromArray(value.mv_data, static_cast<int>(value.mv_size)),
                  kInvalidData, "it is no Datum");
    return datum;
  }

 private:
  class Transaction {
   public:
    explicit Transaction(const Database& of) {
      of.require(lmdb().txn_begin(of.env_, nullptr, MDB_RDONLY, &transaction_), "read");
    }
    ~Transaction() { lmdb().txn_abort(transaction_); }
    Transaction(const Transaction&) = delete;
    Transaction& operator=(const Transaction&) = delete;
    MDB_txn* get() const { return transaction_; }

   private:
    MDB_txn* transaction_ = nullptr;
  };

  // LMDB reads by a mapping: what lies behind the end of a file that was cut kills the process.
  void check_length(const fs::path& file) const {
    MDB_envinfo info = {};
    MDB_stat stat = {};
    require(lmdb().env_info(env_, &info), "open");
    require(lmdb().env_stat(env_, &stat), "open");
    const uint64_t pages = fs::file_size(file) / std::max(stat.ms_psize, 1U);
    TREADLE_CHECK(info.me_last_pgno < pages, kInvalidData, "the LMDB database '", name_, "' has ",
                  pages, " pages, expected ", info.me_last_pgno + 1,
                  ": it was cut off (or ends in unused pages, which mdb_copy -c leaves out)");
  }

  void require(int status, const char* verb) const {
    TREADLE_CHECK(status == 0, kIo, "cannot ", verb, " the LMDB database '", name_,
                  "': ", lmdb().strerror(status));
  }

  std::string name_;
  MDB_env* env_ = nullptr;
  MDB_dbi table_ = 0;
};

Dims dims_of(const Datum& datum) {
  const Dims dims = {datum.channels(), datum.height(), datum.width()};
  for (const int64_t d : dims) {
    TREADLE_CHECK(d > 0, kInvalidData, "a Datum of shape ", shape_text(dims));
  }
  return dims;
}

// `size` is of pictures that are files.
Tensor input_of(const Datum& datum, const PictureSize& size) {
  if (datum.encoded()) return plain_picture(decode_image(datum.data()), size);
  const Dims dims = dims_of(datum);
  const auto count = static_cast<size_t>(element_count(dims));
  const bool bytes = datum.float_data_size() == 0;
  const size_t given = bytes ? datum.data().size() : static_cast<size_t>(datum.float_data_size());
  TREADLE_CHECK(given == count, kInvalidData, "a Datum of shape ", shape_text(dims), " holds ",
                given, bytes ? " bytes" : " floats");
  Tensor x(DType::kFloat, dims);
  for (size_t i = 0; i < count; ++i) {
    x.data<float>()[i] = bytes ? static_cast<float>(static_cast<uint8_t>(datum.data()[i])) / 255
                               : datum.float_data(static_cast<int>(i));
  }
  return x;
}

PictureSize size_of(const Datum& first, const DataOptions& options) {
  PictureSize size{options.channels, options.height, options.width, false};
  if (!first.encoded() || (size.height > 0 && size.width > 0)) return size;
  const Image image = decode_image(first.data());
  return {size.channels, image.height, image.width, false};
}

// "'FOLDER', entry '00000001'", whatever bytes the key is of.
std::string place(const Database& database, const std::string& key) {
  std::string shown;
  for (const char c : key.substr(0, 100)) shown += c >= ' ' && c <= '~' ? c : '?';
  return cat("'", database.name(), "', entry '", shown, "'");
}

template <class F>
auto at_entry(const Database& database, const std::string& key, F&& read) {
  try {
    return read();
  } catch (Error& e) {
    e.add_context(place(database, key));
    throw;
  }
}

Sample read_sample(const Database& database, const std::string& key, const PictureSize& size) {
  return at_entry(database, key, [&]() -> Sample {
    const Datum datum = database.datum(key);
    return {{input_of(datum, size)}, Tensor::scalar<int64_t>(datum.label())};
  });
}

}  // namespace

Source open_lmdb(const fs::path& path, const DataOptions& options) {
  const auto database = std::make_shared<const Database>(path);
  std::vector<std::string> keys = database->keys(options.max_bytes);
  TREADLE_CHECK(!keys.empty(), kInvalidArgument, "'", path.string(), "' holds no entry");
  const auto [first, size] = at_entry(*database, keys[0], [&] {
    Datum datum = database->datum(keys[0]);
    const PictureSize pictures = size_of(datum, options);
    return std::pair(std::move(datum), pictures);
  });
  Source source;
  source.name = path.string();
  source.content = first.float_data_size() > 0 ? Content::kFeatures : Content::kPictures;
  source.inputs = {{"", DType::kFloat, read_sample(*database, keys[0], size).inputs[0].dims()}};
  source.target = {"target", DType::kInt64, {}};
  source.size = static_cast<int64_t>(keys.size());
  source.sample = [database, keys = std::move(keys), size = size,
                   dims = source.inputs[0].dims](int64_t i) {
    const std::string& key = keys[static_cast<size_t>(i)];
    Sample sample = read_sample(*database, key, size);
    TREADLE_CHECK(sample.inputs[0].dims() == dims, kInvalidData, place(*database, key),
                  " is of shape ", shape_text(sample.inputs[0].dims()), ", the first of ",
                  shape_text(dims));
    return sample;
  };
  return source;
}

}  // namespace treadle
