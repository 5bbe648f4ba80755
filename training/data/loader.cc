#include "training/data/loader.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>

namespace treadle {
namespace {

// [samples, …] of tensors of equal shape.
Tensor stacked(const std::vector<Tensor>& parts) {
  Dims dims = parts[0].dims();
  dims.insert(dims.begin(), static_cast<int64_t>(parts.size()));
  Tensor out(parts[0].dtype(), dims);
  const size_t size = parts[0].bytes();
  for (size_t i = 0; i < parts.size(); ++i) {
    TREADLE_CHECK(parts[i].dtype() == parts[0].dtype() && parts[i].dims() == parts[0].dims(),
                  kInvalidData, "samples of ", shape_text(parts[0].dims()), " and ",
                  shape_text(parts[i].dims()), " in one batch");
    if (size != 0) std::memcpy(out.raw() + i * size, parts[i].raw(), size);
  }
  return out;
}

void check_options(const Source& source, const LoaderOptions& o) {
  TREADLE_CHECK(source.size > 0, kInvalidArgument, "'", source.name, "' holds no samples");
  TREADLE_CHECK(o.ahead > 0 && o.ahead <= 1024 && o.threads >= 0 && o.threads <= 256,
                kInvalidArgument, o.ahead, " batches ahead (1 to 1024), ", o.threads,
                " threads (0 to 256)");
  for (int64_t epoch = 0; epoch <= std::ssize(o.batches); ++epoch) {
    const int64_t size = batch_size(o, epoch);
    TREADLE_CHECK(size > 0, kInvalidArgument, "a batch of ", size, " samples");
    TREADLE_CHECK(!o.drop_last || source.size >= size, kInvalidArgument, "'", source.name,
                  "' holds ", source.size, " samples, less than a batch of ", size);
  }
  check_augmentation(o.augmentation, source);
}

}  // namespace

int64_t batch_size(const LoaderOptions& options, int64_t epoch) {
  const auto& sizes = options.batches;
  return sizes.empty() ? options.batch
                       : sizes[static_cast<size_t>(std::min(epoch, std::ssize(sizes) - 1))];
}

int64_t batch_count(const LoaderOptions& options, int64_t samples, int64_t epoch) {
  const int64_t size = batch_size(options, epoch), full = samples / size;
  return options.drop_last || samples % size == 0 ? full : full + 1;
}

class Loader::Impl {
 public:
  Impl(Source source, const LoaderOptions& options)
      : source_(std::move(source)), options_(options) {
    check_options(source_, options_);
    start();
  }
  ~Impl() { stop(); }

  const Source& source() const { return source_; }
  double waited() const { return waited_; }
  int64_t batches(int64_t epoch) const { return batch_count(options_, source_.size, epoch); }
  LoaderState state() const { return place(taken_); }

  void seek(const LoaderState& state) {
    TREADLE_CHECK(state.epoch >= 0 && state.cursor >= 0 && state.cursor <= batches(state.epoch),
                  kInvalidArgument, "epoch ", state.epoch, ", batch ", state.cursor, " of ",
                  batches(state.epoch));
    stop();
    const int64_t listed = std::min(state.epoch, std::ssize(options_.batches));
    taken_ = checked_add(checked_mul(state.epoch - listed, batches(listed)), state.cursor);
    for (int64_t epoch = 0; epoch < listed; ++epoch) taken_ = checked_add(taken_, batches(epoch));
    start();
  }

  Batch next() {
    if (options_.threads == 0) return make(taken_++);
    const auto begin = std::chrono::steady_clock::now();
    std::unique_lock lock(mutex_);
    Slot& slot = slots_.front();
    ready_.wait(lock, [&] { return slot.done; });
    waited_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    if (slot.error) std::rethrow_exception(slot.error);
    Batch batch = std::move(slot.batch);
    slots_.pop_front();
    slots_.emplace_back();
    ++taken_;
    room_.notify_one();
    return batch;
  }

 private:
  // The batch number taken_ + its place in the queue.
  struct Slot {
    Batch batch;
    std::exception_ptr error;
    bool done = false;
  };

  // Where the batch of this number lies.
  LoaderState place(int64_t number) const {
    int64_t epoch = 0;
    for (; epoch < std::ssize(options_.batches) && number >= batches(epoch); ++epoch)
      number -= batches(epoch);
    return {epoch + number / batches(epoch), number % batches(epoch)};
  }

  void start() {
    stopping_ = false;
    claimed_ = taken_;
    slots_.clear();
    slots_.resize(static_cast<size_t>(options_.ahead));
    try {
      for (int i = 0; i < options_.threads; ++i) threads_.emplace_back([this] { work(); });
    } catch (const std::system_error& e) {
      const size_t started = threads_.size();
      stop();
      fail(Code::kDevice, "cannot start thread ", started + 1, " of ", options_.threads, ": ",
           e.what());
    }
  }

  void stop() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    room_.notify_all();
    for (std::thread& t : threads_) t.join();
    threads_.clear();
  }

  void work() {
    std::unique_lock lock(mutex_);
    for (;;) {
      room_.wait(lock, [&] { return stopping_ || claimed_ < taken_ + options_.ahead; });
      if (stopping_) return;
      const int64_t number = claimed_++;
      lock.unlock();
      Slot made;
      try {
        made.batch = make(number);
      } catch (...) {
        made.error = std::current_exception();
      }
      made.done = true;
      lock.lock();
      slots_[static_cast<size_t>(number - taken_)] = std::move(made);
      ready_.notify_one();
    }
  }

  std::shared_ptr<const std::vector<int64_t>> order_of(int64_t epoch) {
    const std::lock_guard lock(order_mutex_);
    if (order_ != nullptr && order_epoch_ == epoch) return order_;
    order_ = std::make_shared<const std::vector<int64_t>>(
        permutation(source_.size, options_.seed, static_cast<uint64_t>(epoch)));
    order_epoch_ = epoch;
    return order_;
  }

  Batch make(int64_t number) {
    Batch batch;
    const LoaderState at = place(number);
    batch.epoch = at.epoch;
    const int64_t size = batch_size(options_, at.epoch), begin = at.cursor * size;
    const int64_t end = std::min(begin + size, source_.size);
    batch.ends_epoch = at.cursor == batches(at.epoch) - 1;
    const auto order = options_.shuffle ? order_of(batch.epoch) : nullptr;
    std::vector<Sample> samples;
    for (int64_t i = begin; i < end; ++i) {
      const int64_t sample = order == nullptr ? i : (*order)[static_cast<size_t>(i)];
      try {
        samples.push_back(prepared(sample, batch.epoch));
        batch.samples.push_back(sample);
      } catch (const Error& e) {
        if (!options_.skip_broken) throw;
        batch.broken.emplace_back(e.what());
      }
    }
    if (!samples.empty()) stack(samples, batch);
    return batch;
  }

  // As read and augmented, but not yet normalized.
  Sample drawn(int64_t i, int64_t epoch) const {
    Sample sample = source_.sample(i);
    Random random(options_.seed, Purpose::kAugment, static_cast<uint64_t>(epoch),
                  static_cast<uint64_t>(i));
    augment(options_.augmentation, source_.target_is_mask, random, sample);
    return sample;
  }

  Sample prepared(int64_t i, int64_t epoch) const {
    Sample sample = drawn(i, epoch);
    if (options_.augmentation.mixup > 0) {
      Random random(options_.seed, Purpose::kMixup, static_cast<uint64_t>(epoch),
                    static_cast<uint64_t>(i));
      const double lambda = beta(options_.augmentation.mixup, random);
      const bool numbered = source_.target.dtype == DType::kInt64;
      mix(sample, drawn(random.below(source_.size), epoch), lambda,
          numbered ? static_cast<int64_t>(source_.classes.size()) : 0);
    }
    apply(options_.preprocess, sample.inputs[0]);
    return sample;
  }

  static void stack(const std::vector<Sample>& samples, Batch& batch) {
    std::vector<Tensor> parts(samples.size());
    for (size_t k = 0; k < samples[0].inputs.size(); ++k) {
      for (size_t i = 0; i < samples.size(); ++i) parts[i] = samples[i].inputs[k];
      batch.inputs.push_back(stacked(parts));
    }
    for (size_t i = 0; i < samples.size(); ++i) parts[i] = samples[i].target;
    batch.target = stacked(parts);
  }

  const Source source_;
  const LoaderOptions options_;
  std::mutex mutex_;  // guards what follows
  std::condition_variable ready_, room_;
  std::deque<Slot> slots_;
  int64_t taken_ = 0;    // batches that were taken, over all epochs
  int64_t claimed_ = 0;  // batches that a thread has made or makes
  bool stopping_ = false;
  double waited_ = 0;
  std::mutex order_mutex_;
  std::shared_ptr<const std::vector<int64_t>> order_;
  int64_t order_epoch_ = -1;
  std::vector<std::thread> threads_;
};

Loader::Loader(Source source, const LoaderOptions& options)
    : impl_(std::make_unique<Impl>(std::move(source), options)) {}
Loader::~Loader() = default;
const Source& Loader::source() const { return impl_->source(); }
int64_t Loader::batches() const { return impl_->batches(state().epoch); }
Batch Loader::next() { return impl_->next(); }
LoaderState Loader::state() const { return impl_->state(); }
void Loader::seek(const LoaderState& state) { impl_->seek(state); }
double Loader::waited() const { return impl_->waited(); }

}  // namespace treadle
