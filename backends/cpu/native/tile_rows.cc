#include "backends/cpu/native/tile_rows.h"

#include <algorithm>

#include "graph/base/checked.h"

namespace treadle::cpu {
namespace {

constexpr auto kOutputs = static_cast<int64_t>(kTileOutputs);

bool are_points(const ConvParams& p) {
  const auto all = [](const Dims& dims, int64_t x) {
    return std::ranges::all_of(dims, [x](int64_t d) { return d == x; });
  };
  return all(p.kernel, 1) && all(p.pads_begin, 0) && all(p.pads_end, 0);
}

// Rows as far apart as a power of two meet in few sets of the first-level cache.
int64_t spread(int64_t numbers) {
  constexpr int64_t kApart = 256;
  return numbers % kApart == 0 ? numbers + static_cast<int64_t>(kTileNumbers) : numbers;
}

TileSteps steps_of(const ConvParams& p, bool points) {
  if (points) return {p.in_channels, 1, 1};
  const bool lines = p.dilations[1] == 1 && spread(p.in_channels) == p.in_channels;
  return {p.in_channels, p.kernel[0] * p.kernel[1], lines ? p.kernel[1] : 1};
}

}  // namespace

TileSteps::TileSteps(int64_t channels_of, int64_t all_taps, int64_t taps_of_run)
    : channels(channels_of), taps(all_taps), run_taps(taps_of_run) {
  const int64_t steps = ceil_div(run(), static_cast<int64_t>(kTileNumbers));
  numbers = ceil_div(ceil_div(run(), steps), 2) * 2;
}

int64_t TileSteps::source(int64_t step, int64_t i) const {
  const int64_t at = step % in_run() * numbers + i;
  if (at >= run()) return -1;
  return at % channels * taps + step / in_run() * run_taps + at / channels;
}

TileRows::TileRows(const ConvParams& conv)
    : images_(conv.batch),
      in_channels_(conv.in_channels),
      points_(are_points(conv)),
      steps_(1, 1, 1) {
  const ConvParams p = conv.rank() == 1 ? in_planes(conv) : conv;
  const auto axis = [&p](size_t i) {
    return Axis{p.kernel[i],     p.strides[i], p.dilations[i],
                p.pads_begin[i], p.input[i],   p.output[i]};
  };
  if (p.rank() == 2) down_ = axis(0), across_ = axis(1);
  steps_ = steps_of(p, points_);
  points_ ? lay_points() : lay_windows();
}

bool TileRows::fits(const ConvParams& p) {
  if (are_points(p)) return true;
  double plane = 1, input = 1;
  for (size_t i = 0; i < p.rank(); ++i) {
    const auto steps = static_cast<double>(p.output[i] - 1);
    plane *= steps * static_cast<double>(p.strides[i]) +
             static_cast<double>(p.kernel[i] - 1) * static_cast<double>(p.dilations[i]) + 1;
    input *= static_cast<double>(p.input[i]);
  }
  const double behind = static_cast<double>(kOutputs) * static_cast<double>(p.strides.back());
  constexpr double kMostGrowth = 4, kFewPixels = 1024;
  return plane + behind <= std::max(kMostGrowth * input, kFewPixels);
}

void TileRows::lay_points() {
  channels_ = spread(steps_.count() * steps_.numbers);
  row_step_ = channels_;
  lines_ = images_ * down_.output * across_.output;
  for (int64_t i = 0; i < steps_.count(); ++i) offsets_.push_back(i * steps_.numbers);
  path_ = {lines_, lines_, lines_};
}

void TileRows::lay_windows() {
  channels_ = spread(in_channels_);
  width_ = across_.reach();
  lines_ = images_ * down_.reach();
  row_step_ = across_.stride * channels_;
  const int64_t along = across_.kernel / steps_.run_taps;
  for (int64_t i = 0; i < steps_.count(); ++i) {
    const int64_t run = i / steps_.in_run();
    const int64_t row = run / along * down_.dilation, column = run % along * across_.dilation;
    offsets_.push_back((row * width_ + column) * channels_ + i % steps_.in_run() * steps_.numbers);
  }
  const bool flat = down_.stride == 1 && across_.stride == 1;
  paths_ = flat ? images_ : images_ * down_.output;
  path_ = flat ? Path{(down_.output - 1) * width_ + across_.output, width_, across_.output}
               : Path{across_.output, across_.output, across_.output};
}

int64_t TileRows::tiles_of_path() const { return ceil_div(path_.length, kOutputs); }

int64_t TileRows::place(int64_t tile) const {
  const int64_t path = tile / tiles_of_path(), at = tile % tiles_of_path() * kOutputs * row_step_;
  if (points_) return at;
  const int64_t of_image = paths_ / images_;
  const int64_t row = path / of_image * down_.reach() + path % of_image * down_.stride;
  return row * line() + at;
}

void TileRows::outputs(int64_t tile, int32_t* to) const {
  const int64_t all = path_.length / path_.period * path_.outputs + path_.length % path_.period;
  const int64_t first = tile / tiles_of_path() * all, at = tile % tiles_of_path() * kOutputs;
  int64_t row = at / path_.period, column = at % path_.period;
  for (int64_t i = 0; i < kOutputs; ++i, ++column) {
    if (column == path_.period) column = 0, ++row;
    const bool inside = column < path_.outputs && at + i < path_.length;
    to[i] = inside ? static_cast<int32_t>(first + row * path_.outputs + column) : -1;
  }
}

int64_t TileRows::first_output(int64_t tile) const {
  const int64_t all = path_.length / path_.period * path_.outputs + path_.length % path_.period;
  const int64_t at = tile % tiles_of_path() * kOutputs;
  return tile / tiles_of_path() * all + at / path_.period * path_.outputs +
         std::min(at % path_.period, path_.outputs);
}

int64_t TileRows::plane(int64_t lines) const {
  const int64_t behind = kOutputs * row_step_ + offsets_.back() + steps_.numbers;
  return checked_add(checked_mul(lines, line()), behind);
}

TileRows::Lines TileRows::lines_of(int64_t begin, int64_t end) const {
  const int64_t last = (place(end - 1) + (kOutputs - 1) * row_step_) / line();
  return {place(begin) / line(), std::min(lines_, last + down_.extent())};
}

// Zeros behind what is split, up to `end`.
void TileRows::split_part(const float* from, int64_t count, int64_t end, Planes to) const {
  functions_.split({from, static_cast<size_t>(count), to.first, to.step});
  for (size_t i = 0; i < kTileParts; ++i, to.first += to.step)
    std::fill(to.first + count, to.first + end, uint16_t{0});
}

void TileRows::split_line(const float* from, Planes to) const {
  const int64_t before = std::min(across_.pad, width_);
  const int64_t count = std::min(across_.input, width_ - before);
  split_part(from, 0, before * channels_, to);
  to.first += before * channels_;
  const int64_t behind = (width_ - before - count) * channels_;
  if (channels_ == in_channels_)
    return split_part(from, count * channels_, count * channels_ + behind, to);
  for (int64_t i = 0; i < count; ++i, to.first += channels_)
    split_part(from + i * in_channels_, in_channels_, channels_, to);
  split_part(from, 0, behind, to);
}

void TileRows::split_point(const float* x, int64_t i, Planes to) const {
  const int64_t column = i % across_.output, row = i / across_.output % down_.output;
  const int64_t image = i / (across_.output * down_.output);
  const int64_t at = (image * down_.input + row * down_.stride) * across_.input;
  split_part(x + (at + column * across_.stride) * in_channels_, in_channels_, channels_, to);
}

void TileRows::split(const float* x, Lines lines, Planes to) const {
  const int64_t height = down_.reach();
  for (int64_t i = lines.begin; i < lines.end; ++i, to.first += line()) {
    const int64_t y = i % height - down_.pad;
    if (points_) {
      split_point(x, i, to);
    } else if (y < 0 || y >= down_.input) {
      split_part(x, 0, line(), to);
    } else {
      split_line(x + (i / height * down_.input + y) * across_.input * in_channels_, to);
    }
  }
  split_part(x, 0, plane(0), to);
}

}  // namespace treadle::cpu
