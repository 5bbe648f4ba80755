// treadle sweep: a seeded random search over a job's fields.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <numbers>

#include "files/file.h"
#include "graph/base/suggestion.h"
#include "tools/treadle/files.h"
#include "tools/treadle/training_run.h"
#include "training/data/exact.h"
#include "training/data/random.h"
#include "training/run/curves.h"

namespace treadle::tool {
namespace fs = std::filesystem;
namespace {

// KEY=LOW:HIGH (log-uniform where LOW > 0), or KEY=A|B|C.
struct Range {
  std::string key;
  double low = 0, high = 0;
  bool whole = false;  // of integers
  std::vector<std::string> choices;
};

std::string word_of(const Range& range, double value) {
  return cat(range.key, "=", exact_text(range.whole ? std::round(value) : value));
}

// A field that is unknown, or does not take what is drawn, is told before the first trial. One
// that takes no fraction is drawn from integers.
void check_range(Range& range) {
  Job job;
  const auto set = [&](const std::string& word) {
    try {
      set_job_field(job, word);
    } catch (const UsageError& e) {
      throw UsageError(cat("--vary: ", e.what()));
    }
  };
  for (const std::string& choice : range.choices) set(cat(range.key, "=", choice));
  if (!range.choices.empty()) return;
  range.whole = true;
  set(word_of(range, range.low));
  range.whole = false;
  try {
    set(word_of(range, range.low + (range.high - range.low) * std::numbers::inv_pi));
  } catch (const UsageError&) {
    range.whole = true;
  }
}

Range parse_range(const std::string& word) {
  const size_t equals = word.find('=');
  if (equals == std::string::npos) throw UsageError(cat("--vary: '", word, "' is no KEY=LOW:HIGH"));
  Range range;
  range.key = word.substr(0, equals);
  const std::string value = word.substr(equals + 1);
  const size_t colon = value.find(':');
  if (colon == std::string::npos) {
    for (size_t begin = 0; begin <= value.size();) {
      const size_t bar = std::min(value.find('|', begin), value.size());
      range.choices.push_back(value.substr(begin, bar - begin));
      begin = bar + 1;
    }
    return range;
  }
  range.low = std::atof(value.substr(0, colon).c_str());
  range.high = std::atof(value.substr(colon + 1).c_str());
  if (!(range.low < range.high) || !std::isfinite(range.high))
    throw UsageError(cat("--vary: '", word, "' wants LOW below HIGH"));
  return range;
}

// KEY=VALUE of [low, high] in the first half of the trials; later within a quarter of it about the
// best.
std::string draw(const Range& range, Random& random, const std::string& best) {
  if (!range.choices.empty()) {
    const auto count = static_cast<int64_t>(range.choices.size());
    return cat(range.key, "=", range.choices[static_cast<size_t>(random.below(count))]);
  }
  const bool logarithmic = range.low > 0;
  const auto to = [&](double x) { return logarithmic ? std::log(x) : x; };
  double low = to(range.low), high = to(range.high);
  if (!best.empty()) {
    const double middle = to(std::atof(best.c_str())), reach = (high - low) / 8;
    low = std::max(low, middle - reach);
    high = std::min(high, middle + reach);
  }
  const double x = random.uniform(low, high);
  return word_of(range, logarithmic ? std::exp(x) : x);
}

struct Trial {
  std::vector<std::string> words;  // KEY=VALUE
  double value = NAN;
  bool stopped = false;
  std::vector<double> curve;  // the monitor after each epoch; empty where the loss was not finite
};

Json number_json(double value) { return std::isfinite(value) ? Json(value) : Json(); }
double number_of(const Json& json) { return json.is_number() ? json.get<double>() : NAN; }

Json trial_json(size_t number, const Trial& t) {
  Json curve = Json::array();
  for (const double value : t.curve) curve.push_back(number_json(value));
  return {{"trial", number},
          {"value", number_json(t.value)},
          {"stopped", t.stopped},
          {"fields", t.words},
          {"epochs", curve}};
}

Trial trial_of(const Json& json) {
  Trial t;
  t.words = json.at("fields").get<std::vector<std::string>>();
  t.value = number_of(json.at("value"));
  t.stopped = json.at("stopped").get<bool>();
  for (const Json& value : json.value("epochs", Json::array())) t.curve.push_back(number_of(value));
  return t;
}

// Trials of an earlier call of the same sweep.
std::vector<Trial> read_trials(const fs::path& file) {
  std::vector<Trial> trials;
  if (!fs::exists(file)) return trials;
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) {
    const Json json = Json::parse(line, nullptr, false);
    if (json.is_discarded()) break;  // cut off by a kill
    try {
      trials.push_back(trial_of(json));
    } catch (const Json::exception& e) {
      fail(Code::kInvalidData, "'", file.string(), "' line ", trials.size() + 1, ": ", e.what());
    }
  }
  return trials;
}

class Sweep {
 public:
  explicit Sweep(const Args& args)
      : args_(args),
        out_(args.text("out", "sweep")),
        monitor_(args.text("monitor", "val_loss")),
        less_(monitor_.find("loss") != std::string::npos || monitor_.ends_with("mae") ||
              monitor_.ends_with("rmse")),
        count_(static_cast<size_t>(args.integer("trials", 20, 1))) {
    for (const std::string& word : args.all("vary")) ranges_.push_back(parse_range(word));
    for (Range& range : ranges_) check_range(range);
    if (ranges_.empty()) throw UsageError("give --vary KEY=LOW:HIGH or KEY=A|B, once or more");
  }

  int run() {
    fs::create_directories(out_);
    const fs::path file = out_ / "trials.jsonl";
    trials_ = read_trials(file);
    check_earlier();
    for (size_t i = trials_.size(); i < count_; ++i) {
      trials_.push_back(run_trial(i));
      std::string lines;
      for (size_t k = 0; k < trials_.size(); ++k)
        lines += trial_json(k + 1, trials_[k]).dump() + "\n";
      write_file(file, lines);
    }
    return report();
  }

 private:
  // Trials of other fields cannot be gone on with.
  void check_earlier() const {
    for (const Trial& t : trials_) {
      const bool same = std::ranges::equal(t.words, ranges_, [](const auto& word, const Range& r) {
        return word.starts_with(r.key + "=");
      });
      if (same) continue;
      std::string words;
      for (const std::string& word : t.words)
        words += cat(words.empty() ? "" : ", ", word.substr(0, word.find('=')));
      fail(Code::kInvalidArgument, "'", out_.string(), "' holds a search over other fields (",
           words, "): name another folder with --out");
    }
  }
  bool better(double a, double b) const { return less_ ? a < b : a > b; }
  const Trial* best() const {
    const Trial* found = nullptr;
    for (const Trial& t : trials_) {
      if (std::isfinite(t.value) && (found == nullptr || better(t.value, found->value))) found = &t;
    }
    return found;
  }

  std::string best_value(const Range& range, size_t number) const {
    const Trial* top = best();
    if (number < count_ / 2 || top == nullptr) return "";
    for (const std::string& word : top->words) {
      if (word.starts_with(range.key + "=")) return word.substr(range.key.size() + 1);
    }
    return "";
  }

  // The median at an epoch of the trials before; nothing where fewer than three got there.
  std::optional<double> median(size_t epoch) const {
    std::vector<double> values;
    for (const Trial& t : trials_) {
      if (t.curve.size() > epoch) values.push_back(t.curve[epoch]);
    }
    if (values.size() < 3) return std::nullopt;
    std::ranges::nth_element(values, values.begin() + std::ssize(values) / 2);
    return values[values.size() / 2];
  }

  double monitored(const NamedNumbers& numbers) const {
    std::vector<std::string> names;
    for (const auto& [name, value] : numbers) {
      if (name == monitor_) return value;
      names.push_back(name);
    }
    fail(Code::kInvalidArgument, "no epoch has a number '", monitor_, "', the monitor",
         suggestion(monitor_, names));
  }

  Trial run_trial(size_t number) {
    const auto seed = static_cast<uint64_t>(args_.integer("seed", 0));
    Random random(seed, Purpose::kSearch, number);
    Trial trial;
    Job job;
    for (const std::string& word : args_.positional) {
      if (word.ends_with(".toml")) {
        read_job(word, job);
      } else if (word.find('=') != std::string::npos) {
        set_job_field(job, word);
      } else {
        job.model = word;
      }
    }
    apply_flags(args_, job);
    for (const Range& range : ranges_) {
      trial.words.push_back(draw(range, random, best_value(range, number)));
      set_job_field(job, trial.words.back());
    }
    job.fit.out.clear();
    job.fit.monitor = monitor_;
    train(job, trial);
    std::fprintf(stderr, "trial %zu of %zu: %s %.5g%s\n", number + 1, count_, monitor_.c_str(),
                 trial.value, trial.stopped ? " (stopped)" : "");
    return trial;
  }

  void train(Job& job, Trial& trial) {
    CancelToken stop;
    std::vector<double> curve;
    job.fit.cancel = &stop;
    job.fit.on_event = [&](const Event& e) {
      if (e.kind != Event::Kind::kEpochCompleted) return;
      const double value = monitored(e.numbers);
      if (!std::isfinite(trial.value) || better(value, trial.value)) trial.value = value;
      const auto usual = median(curve.size());
      curve.push_back(value);
      if (usual && better(*usual, value)) stop.cancel();
    };
    try {
      Training training = prepare(job);
      TREADLE_CHECK(training.data.val.size > 0, kInvalidArgument,
                    "a search needs validation data: give data.val_split");
      trial.stopped = fit(*training.trainer, training.data, job.fit).cancelled;
      trial.curve = std::move(curve);
    } catch (const Error& e) {
      if (e.code() != Code::kInvalidData) throw;  // a loss that is not finite ends the trial alone
      trial.stopped = true;
    }
  }

  int report() {
    std::vector<size_t> order;
    for (size_t i = 0; i < trials_.size(); ++i) order.push_back(i);
    std::ranges::stable_sort(order, [&](size_t a, size_t b) {
      const bool finite = std::isfinite(trials_[a].value);
      if (finite != std::isfinite(trials_[b].value)) return finite;
      return finite && better(trials_[a].value, trials_[b].value);
    });
    Curve points;
    for (size_t i = 0; i < trials_.size(); ++i)
      points.points.push_back({static_cast<double>(i + 1), trials_[i].value});
    write_file(out_ / "trials.png", encode_png(draw_curves({points})));
    Json table = Json::array();
    for (const size_t i : order) table.push_back(trial_json(i + 1, trials_[i]));
    if (args_.has("json")) {
      print_json({{"monitor", monitor_}, {"trials", table}});
      return kExitOk;
    }
    for (const size_t i : order) {
      std::string words;
      for (const std::string& word : trials_[i].words) words += "  " + word;
      std::printf("%4zu  %10.5g%s\n", i + 1, trials_[i].value, words.c_str());
    }
    std::printf("trials: %s\n", (out_ / "trials.jsonl").c_str());
    return kExitOk;
  }

  const Args& args_;
  fs::path out_;
  std::string monitor_;
  bool less_;
  size_t count_;
  std::vector<Range> ranges_;
  std::vector<Trial> trials_;
};

}  // namespace

int run_sweep(const Args& args) { return Sweep(args).run(); }

}  // namespace treadle::tool
