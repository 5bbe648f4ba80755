// Checkpoints: all that a run needs to go on bit for bit, in one file that is written as a whole or
// not at all.
//
// A file is a sequence of named tensors, each with a CRC-32C over its name, type and bytes, between
// a magic number and a count with a CRC of its own. Little-endian, without padding.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "training/trainer.h"

namespace treadle {

struct Checkpoint {
  std::vector<std::pair<std::string, Tensor>> variables;  // as Trainer::variables
  Progress progress;
  uint64_t config = 0;  // of what the variables mean (config_hash)
  // What belongs to others: the sampler's cursor, the state of metrics… Any bytes.
  std::map<std::string, std::string> extra;
};

// Of the options that a run cannot go on without: the model's parameters, loss, update rule,
// groups, seed and schedule.
uint64_t config_hash(const Trainer& trainer);

// Shares the live bytes until it is written: write it before the next step.
Checkpoint checkpoint_of(const Trainer& trainer, std::map<std::string, std::string> extra = {});
// kInvalidArgument where it belongs to another configuration (unless that is wanted), or to other
// variables: then nothing has changed.
void restore(Trainer& trainer, const Checkpoint& checkpoint, bool any_config = false);

// Atomically: temporary file, fsync, rename, fsync of the folder. kIo.
void write_checkpoint(const Checkpoint& checkpoint, const std::filesystem::path& path);
// kIo; kInvalidData saying what is damaged.
Checkpoint read_checkpoint(const std::filesystem::path& path);

// A run's folder of checkpoints: the last two, and the best.
class CheckpointFolder {
 public:
  explicit CheckpointFolder(std::filesystem::path folder) : folder_(std::move(folder)) {}
  // The first time makes the folder, and removes what an interrupted write left there: one process
  // a folder saves. The oldest ones beyond two go after the write.
  void save(const Checkpoint& checkpoint, bool best = false);
  // The newest that is whole; `damaged` gets a line about each that is not. Nothing where there is
  // none; kInvalidData where all are damaged.
  std::optional<Checkpoint> newest(std::vector<std::string>* damaged = nullptr) const;
  std::optional<Checkpoint> best() const;
  const std::filesystem::path& path() const { return folder_; }

 private:
  std::vector<std::filesystem::path> files() const;  // newest first
  void prepare();
  std::filesystem::path folder_;
  bool prepared_ = false;
};

}  // namespace treadle
