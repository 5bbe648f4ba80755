// Losses at learning rates that grow.
#include <algorithm>
#include <cmath>

#include "training/run/batches.h"
#include "training/run/fit.h"

namespace treadle {
namespace {

std::vector<Tensor> copies(const Trainer& trainer) {
  std::vector<Tensor> all;
  for (const Variable& v : trainer.variables()) all.push_back(trainer.variable(v.name).clone());
  return all;
}

double suggested(const std::vector<Point>& losses) {
  double best = 0, steepest = 0, smooth = losses.empty() ? 0 : losses[0].y, before = smooth;
  for (const Point& p : losses) {
    smooth = 0.9 * smooth + 0.1 * p.y;
    if (smooth - before < steepest) {
      steepest = smooth - before;
      best = p.x;
    }
    before = smooth;
  }
  return best;
}

}  // namespace

RateSearch find_rate(Trainer& trainer, const Source& given, const LoaderOptions& loader_options,
                     int64_t steps) {
  constexpr double kLow = 1e-7, kHigh = 10;
  TREADLE_CHECK(steps >= 10, kInvalidArgument, "a search of ", steps,
                " steps, expected 10 at least");
  const std::vector<Tensor> before = copies(trainer);
  const Progress progress = trainer.progress();
  const Source source = fitted(given, trainer);
  Loader loader(source, loader_options);
  RateSearch out;
  double best = INFINITY;
  for (int64_t i = 0; i < steps; ++i) {
    const double rate =
        kLow * std::pow(kHigh / kLow, static_cast<double>(i) / static_cast<double>(steps - 1));
    trainer.set_rate(rate);
    const Batch batch = loader.next();
    if (batch.samples.empty()) continue;
    try {
      const double loss = trainer.step(named_batch(trainer, source, batch)).loss;
      out.losses.push_back({rate, loss});
      best = std::min(best, loss);
      if (loss > 4 * best) break;
    } catch (const Error& e) {
      if (e.code() != Code::kInvalidData) throw;
      break;  // it exploded
    }
  }
  for (size_t i = 0; i < before.size(); ++i)
    trainer.set_variable(trainer.variables()[i].name, before[i]);
  trainer.set_progress(progress);
  out.suggestion = suggested(out.losses);
  return out;
}

}  // namespace treadle
