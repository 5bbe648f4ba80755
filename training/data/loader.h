// Batches of a source, prepared by threads ahead of who takes them.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "training/data/augment.h"
#include "training/data/preprocess.h"
#include "training/data/source.h"

namespace treadle {

struct LoaderOptions {
  int64_t batch = 32;
  std::vector<int64_t> batches;  // instead: the size in each epoch, the last one in those after
  uint64_t seed = 0;
  bool shuffle = true;       // a new order each epoch
  bool drop_last = false;    // the batch at the end of an epoch that is not full
  int threads = 1;           // 0: a batch is made when it is asked for
  int64_t ahead = 4;         // batches at most that wait
  bool skip_broken = false;  // a sample that cannot be read is left out and told; else an error
  Augmentation augmentation;
  Preprocess preprocess;
};

int64_t batch_size(const LoaderOptions& options, int64_t epoch);
int64_t batch_count(const LoaderOptions& options, int64_t samples, int64_t epoch);

struct Batch {
  std::vector<Tensor> inputs;  // [samples, …] each
  Tensor target;
  std::vector<int64_t> samples;  // their numbers
  int64_t epoch = 0;
  bool ends_epoch = false;
  std::vector<std::string> broken;  // what was left out, and why
};

// Where the next batch begins: all that is needed to go on with the same bytes.
struct LoaderState {
  int64_t epoch = 0;
  int64_t cursor = 0;  // batches of the epoch before it
};

// The order of an epoch depends on the seed and the epoch, what happens to a sample on these and
// its number: never on threads. Not thread-safe itself.
class Loader {
 public:
  // kInvalidArgument: an empty source, numbers out of range, an augmentation that does not fit.
  Loader(Source source, const LoaderOptions& options);
  ~Loader();
  Loader(const Loader&) = delete;
  Loader& operator=(const Loader&) = delete;

  const Source& source() const;
  int64_t batches() const;  // of the epoch that the next batch is of
  // The next batch, over the epochs without end. Throws what a sample threw; with `skip_broken` a
  // batch of which nothing can be read has no samples.
  Batch next();
  LoaderState state() const;
  void seek(const LoaderState& state);
  // Seconds that `next` has waited for a batch.
  double waited() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace treadle
