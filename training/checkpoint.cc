#include "training/checkpoint.h"

#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <set>
#include <utility>

#include "graph/base/checked.h"
#include "importer/file_writer.h"
#include "training/crc32c.h"

namespace treadle {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kMagic = "TREADLE\1";
constexpr std::string_view kEnd = "THE END\1";
constexpr uint64_t kMostRecords = 1 << 24;
constexpr uint64_t kLongestName = 1 << 20;
constexpr const char* kSuffix = ".ckpt";

template <class T>
void append_number(std::string& to, T number) {
  to.append(reinterpret_cast<const char*>(&number), sizeof number);
}

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text));
}
std::span<const std::byte> bytes_of(const Tensor& t) { return {t.raw(), t.bytes()}; }

// ---- The file

void write_record(FileWriter& file, const std::string& name, const Tensor& tensor) {
  std::string head;
  append_number(head, static_cast<uint64_t>(name.size()));
  head += name;
  append_number(head, static_cast<uint64_t>(tensor.dtype()));
  append_number(head, static_cast<uint64_t>(tensor.rank()));
  for (int64_t d : tensor.dims()) append_number(head, d);
  std::string tail;
  append_number(tail, crc32c(bytes_of(tensor), crc32c(bytes_of(head))));
  file.write(bytes_of(head));
  file.write(bytes_of(tensor));
  file.write(bytes_of(tail));
}

class Reader {
 public:
  explicit Reader(const fs::path& path) : path_(path), in_(path, std::ios::binary) {
    TREADLE_CHECK(in_.good(), kIo, "cannot read the checkpoint '", path.string(), "'");
    left_ = static_cast<uint64_t>(fs::file_size(path));
  }

  std::vector<std::pair<std::string, Tensor>> run() {
    if (text(kMagic.size()) != kMagic) damaged("it does not begin as one");
    const auto count = number<uint64_t>();
    if (count > kMostRecords) damaged(cat("it counts ", count, " tensors"));
    std::vector<std::pair<std::string, Tensor>> records;
    for (uint64_t i = 0; i < count; ++i) records.push_back(record());
    if (text(kEnd.size()) != kEnd || left_ != 0) damaged("it does not end as one");
    return records;
  }

 private:
  [[noreturn]] void damaged(const std::string& why) const {
    fail(Code::kInvalidData, "the checkpoint '", path_.string(), "' is damaged: ", why);
  }
  void read(std::span<std::byte> to) {
    if (to.size() > left_) damaged(cat("it ends within ", where_));
    in_.read(reinterpret_cast<char*>(to.data()), static_cast<std::streamsize>(to.size()));
    TREADLE_CHECK(in_.good(), kIo, "cannot read the checkpoint '", path_.string(), "'");
    left_ -= to.size();
    crc_ = crc32c(to, crc_);
  }
  std::string text(uint64_t size) {
    if (size > std::min(left_, kLongestName)) damaged(cat("it ends within ", where_));
    std::string s(size, '\0');
    read(std::as_writable_bytes(std::span(s)));
    return s;
  }
  template <class T>
  T number() {
    T value{};
    read(std::as_writable_bytes(std::span(&value, 1)));
    return value;
  }

  // Whether the file is long enough; nothing is allocated before.
  bool fits(DType dtype, const Dims& dims) const {
    try {
      return static_cast<uint64_t>(byte_size(dtype, element_count(dims))) <= left_;
    } catch (const Error&) {
      return false;
    }
  }

  std::pair<std::string, Tensor> record() {
    crc_ = 0;
    where_ = "the name of a tensor";
    std::string name = text(number<uint64_t>());
    where_ = "tensor '" + name + "'";
    const auto dtype = number<uint64_t>();
    const auto rank = number<uint64_t>();
    if (dtype > 63 || !kNumbers.has(static_cast<DType>(dtype)) || rank > kMaxRank) {
      damaged(where_ + " has no type");
    }
    Dims dims(rank);
    for (int64_t& d : dims) {
      d = number<int64_t>();
      if (d < 0) damaged(where_ + " has a negative size");
    }
    if (!fits(static_cast<DType>(dtype), dims)) damaged("it ends within " + where_);
    Tensor tensor(static_cast<DType>(dtype), std::move(dims));
    read({tensor.raw(), tensor.bytes()});
    const uint32_t crc = crc_;
    if (number<uint32_t>() != crc) damaged(where_ + " does not fit its checksum");
    return {std::move(name), std::move(tensor)};
  }

  fs::path path_;
  std::ifstream in_;
  uint64_t left_ = 0;
  uint32_t crc_ = 0;
  std::string where_ = "the header";
};

// ---- Progress as tensors

constexpr std::string_view kVariable = "variable/", kExtra = "extra/";
constexpr const char* kCounters = "progress/counters";
constexpr const char* kMeasures = "progress/measures";

Tensor counters_of(const Checkpoint& c) {
  const Progress& p = c.progress;
  return Tensor::of<int64_t>(
      {9}, {p.steps, p.runs, p.good, p.plateau.bad, p.plateau.reductions, p.plateau.started,
            p.rate.has_value(), static_cast<int64_t>(c.config), 1});
}
Tensor measures_of(const Progress& p) {
  return Tensor::of<double>({3}, {p.plateau.best, p.scale, p.rate.value_or(0)});
}

Tensor find_numbers(const std::vector<std::pair<std::string, Tensor>>& records,
                    const std::string& name, const Tensor& like) {
  for (const auto& [found, tensor] : records) {
    if (found == name && tensor.dtype() == like.dtype() && tensor.dims() == like.dims()) {
      return tensor;
    }
  }
  fail(Code::kInvalidData, "the checkpoint is damaged: it lacks '", name, "'");
}

void take_progress(const std::vector<std::pair<std::string, Tensor>>& records, Checkpoint& c) {
  const Tensor counters = find_numbers(records, kCounters, counters_of({}));
  const Tensor measures = find_numbers(records, kMeasures, measures_of({}));
  const auto n = counters.data<int64_t>();
  const auto m = measures.data<double>();
  Progress& p = c.progress;
  p.steps = n[0], p.runs = n[1], p.good = n[2];
  p.plateau = {m[0], n[3], n[4], n[5] != 0};
  p.scale = m[1];
  if (n[6] != 0) p.rate = m[2];
  c.config = static_cast<uint64_t>(n[7]);
}

// ---- The configuration

class Hash {
 public:
  void add(std::string_view text) {
    for (const char c : text) {
      hash_ = (hash_ ^ static_cast<unsigned char>(c)) * 0x100000001b3;  // FNV-1a
    }
    hash_ = (hash_ ^ 0xff) * 0x100000001b3;
  }
  template <class T>
  requires std::is_arithmetic_v<T>
  void add(T number) { add(cat(number)); }
  template <class... Parts>
  void all(const Parts&... parts) {
    (add(parts), ...);
  }
  uint64_t value() const { return hash_; }

 private:
  uint64_t hash_ = 0xcbf29ce484222325;
};

}  // namespace

uint64_t config_hash(const Trainer& trainer) {
  Hash h;
  const TrainerOptions& o = trainer.options();
  const JointOptions& j = o.joint;
  h.all(j.loss.kind, static_cast<int>(j.loss.reduction), j.loss.label_smoothing,
        j.loss.ignore_index.value_or(-1), j.loss.delta, j.output, j.target);
  for (double w : j.loss.class_weights) h.add(w);
  const UpdateOptions& u = j.update;
  h.all(u.rule, u.momentum, u.rho, u.beta1, u.beta2, u.epsilon, u.weight_decay, u.decoupled_decay,
        u.clip_value, u.clip_norm);
  for (const ParameterGroup& g : j.groups) {
    h.all(g.pattern, g.rate.value_or(1), g.decay.value_or(1), g.frozen);
  }
  h.all(j.training_form, j.accumulate, j.average, j.scaled, j.seed);
  const ScheduleOptions& s = o.schedule;
  h.all(s.kind, s.rate, s.gamma, s.power, s.last, s.rise, s.period, is_bounded(s) ? s.steps : 0,
        s.warm_up, s.patience, s.threshold);
  for (int64_t m : s.milestones) h.add(m);
  for (const Variable& v : trainer.variables()) {
    h.all(v.name, dtype_name(v.initial.dtype()), shape_text(v.initial.dims()));
  }
  return h.value();
}

Checkpoint checkpoint_of(const Trainer& trainer, std::map<std::string, std::string> extra) {
  Checkpoint c;
  for (const Variable& v : trainer.variables()) c.variables.emplace_back(v.name, v.initial);
  c.progress = trainer.progress();
  c.config = config_hash(trainer);
  c.extra = std::move(extra);
  return c;
}

void restore(Trainer& trainer, const Checkpoint& checkpoint, bool any_config) {
  TREADLE_CHECK(any_config || checkpoint.config == config_hash(trainer), kInvalidArgument,
                "the checkpoint belongs to a run with other options");
  const std::vector<Variable>& own = trainer.variables();
  TREADLE_CHECK(own.size() == checkpoint.variables.size(), kInvalidArgument,
                "the checkpoint holds ", checkpoint.variables.size(),
                " variables, the trainer has ", own.size());
  std::set<std::string_view> seen;
  for (const auto& [name, tensor] : checkpoint.variables) {
    TREADLE_CHECK(seen.insert(name).second, kInvalidData, "the checkpoint holds '", name,
                  "' twice");
    const Tensor& to = trainer.variable(name);
    TREADLE_CHECK(tensor.dtype() == to.dtype() && tensor.dims() == to.dims(), kInvalidArgument,
                  "variable '", name, "' is ", dtype_name(to.dtype()), shape_text(to.dims()),
                  ", in the checkpoint ", dtype_name(tensor.dtype()), shape_text(tensor.dims()));
  }
  for (const auto& [name, tensor] : checkpoint.variables) trainer.set_variable(name, tensor);
  trainer.set_progress(checkpoint.progress);
}

void write_checkpoint(const Checkpoint& c, const fs::path& path) {
  FileWriter file(path);
  std::string head(kMagic);
  append_number(head, static_cast<uint64_t>(c.variables.size() + c.extra.size() + 2));
  file.write(bytes_of(head));
  write_record(file, kCounters, counters_of(c));
  write_record(file, kMeasures, measures_of(c.progress));
  for (const auto& [name, tensor] : c.variables) {
    write_record(file, cat(kVariable, name), tensor);
  }
  for (const auto& [name, text] : c.extra) {
    Tensor bytes(DType::kUint8, {static_cast<int64_t>(text.size())});
    if (!text.empty()) std::memcpy(bytes.raw(), text.data(), text.size());
    write_record(file, cat(kExtra, name), bytes);
  }
  file.write(bytes_of(kEnd));
  file.commit();
}

Checkpoint read_checkpoint(const fs::path& path) {
  TREADLE_CHECK(fs::is_regular_file(path), kIo, "there is no checkpoint '", path.string(), "'");
  auto records = Reader(path).run();
  Checkpoint c;
  try {
    take_progress(records, c);
  } catch (Error& e) {
    e.add_context(cat("'", path.string(), "'"));
    throw;
  }
  for (auto& [name, tensor] : records) {
    if (name.starts_with(kVariable)) {
      c.variables.emplace_back(name.substr(kVariable.size()), std::move(tensor));
    } else if (name.starts_with(kExtra)) {
      c.extra[name.substr(kExtra.size())] =
          std::string(reinterpret_cast<const char*>(tensor.raw()), tensor.bytes());
    }
  }
  return c;
}

// ---- The folder

namespace {

template <class F>
auto on_disk(F&& f) try {
  return f();
} catch (const fs::filesystem_error& e) {
  fail(Code::kIo, e.what());
}

}  // namespace

void CheckpointFolder::prepare() {
  if (std::exchange(prepared_, true)) return;
  on_disk([&] {
    fs::create_directories(folder_);
    for (const auto& entry : fs::directory_iterator(folder_)) {
      const std::string name = entry.path().filename();
      if (name.find(cat(kSuffix, ".")) != std::string::npos) fs::remove(entry.path());
    }
  });
}

std::vector<fs::path> CheckpointFolder::files() const {
  std::vector<fs::path> found;
  if (!fs::exists(folder_)) return found;
  on_disk([&] {
    for (const auto& entry : fs::directory_iterator(folder_)) {
      const std::string name = entry.path().filename();
      if (name.starts_with("run-") && name.ends_with(kSuffix)) found.push_back(entry.path());
    }
  });
  std::ranges::sort(found, std::ranges::greater());
  return found;
}

void CheckpointFolder::save(const Checkpoint& checkpoint, bool best) {
  prepare();
  constexpr size_t kDigits = 15, kKept = 2;
  const std::string number = cat(checkpoint.progress.runs);
  const fs::path path =
      folder_ /
      cat("run-", std::string(kDigits - std::min(kDigits, number.size()), '0'), number, kSuffix);
  write_checkpoint(checkpoint, path);
  on_disk([&] {
    if (best) {
      // A second name of the same bytes: nobody writes into a checkpoint once it is there.
      const fs::path link = folder_ / cat("best", kSuffix, ".link");
      fs::remove(link);
      fs::create_hard_link(path, link);
      fs::rename(link, folder_ / cat("best", kSuffix));
    }
    const std::vector<fs::path> all = files();
    for (size_t i = kKept; i < all.size(); ++i) fs::remove(all[i]);
  });
}

std::optional<Checkpoint> CheckpointFolder::newest(std::vector<std::string>* damaged) const {
  std::string last;
  for (const fs::path& path : files()) {
    try {
      return read_checkpoint(path);
    } catch (const Error& e) {
      last = e.what();
      if (damaged != nullptr) damaged->push_back(last);
    }
  }
  TREADLE_CHECK(last.empty(), kInvalidData, "no checkpoint in '", folder_.string(),
                "' can be read: ", last);
  return std::nullopt;
}

std::optional<Checkpoint> CheckpointFolder::best() const {
  const fs::path path = folder_ / cat("best", kSuffix);
  if (!fs::exists(path)) return std::nullopt;
  return read_checkpoint(path);
}

}  // namespace treadle
