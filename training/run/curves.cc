#include "training/run/curves.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <string_view>

namespace treadle {
namespace {

constexpr int64_t kWidth = 640, kHeight = 400;
constexpr int64_t kLeft = 84, kRight = 620, kTop = 20, kBottom = 366;
constexpr int64_t kGlyph = 2;  // pixels a dot

struct Color {
  uint8_t red, green, blue;
};
constexpr Color kInk = {60, 60, 60};

// Five rows of three dots, the left one in the highest bit.
struct Glyph {
  char character;
  std::array<uint8_t, 5> rows;
};
constexpr Glyph kFont[] = {
    {'0', {7, 5, 5, 5, 7}}, {'1', {2, 6, 2, 2, 7}}, {'2', {7, 1, 7, 4, 7}}, {'3', {7, 1, 7, 1, 7}},
    {'4', {5, 5, 7, 1, 1}}, {'5', {7, 4, 7, 1, 7}}, {'6', {7, 4, 7, 5, 7}}, {'7', {7, 1, 1, 2, 2}},
    {'8', {7, 5, 7, 5, 7}}, {'9', {7, 5, 7, 1, 7}}, {'.', {0, 0, 0, 0, 2}}, {'-', {0, 0, 7, 0, 0}},
    {'+', {0, 2, 7, 2, 0}}, {'e', {0, 7, 7, 4, 7}},
};

void dot(Image& image, int64_t x, int64_t y, Color c) {
  if (x < 0 || y < 0 || x >= image.width || y >= image.height) return;
  uint8_t* at = &image.rgb[static_cast<size_t>((y * image.width + x) * 3)];
  at[0] = c.red;
  at[1] = c.green;
  at[2] = c.blue;
}

// Bresenham's line, two dots thick.
void line(Image& image, int64_t x0, int64_t y0, int64_t x1, int64_t y1, Color c) {
  const int64_t dx = std::abs(x1 - x0), dy = -std::abs(y1 - y0);
  int64_t error = dx + dy;
  for (;;) {
    dot(image, x0, y0, c);
    dot(image, x0, y0 + 1, c);
    if (x0 == x1 && y0 == y1) return;
    const int64_t twice = 2 * error;
    if (twice >= dy) {
      error += dy;
      x0 += x0 < x1 ? 1 : -1;
    }
    if (twice <= dx) {
      error += dx;
      y0 += y0 < y1 ? 1 : -1;
    }
  }
}

void write(Image& image, int64_t x, int64_t y, std::string_view text) {
  for (const char character : text) {
    for (const Glyph& glyph : kFont) {
      if (glyph.character != character) continue;
      for (int64_t i = 0; i < 15 * kGlyph * kGlyph; ++i) {
        const int64_t row = i / (3 * kGlyph), column = i % (3 * kGlyph);
        const auto bits = glyph.rows[static_cast<size_t>(row / kGlyph)];
        if (bits >> (2 - column / kGlyph) & 1) dot(image, x + column, y + row, kInk);
      }
    }
    x += 4 * kGlyph;
  }
}

std::string label(double value) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.4g", value);
  return text.data();
}

struct Range {
  double low = INFINITY, high = -INFINITY;
  void take(double v) {
    low = std::min(low, v);
    high = std::max(high, v);
  }
  // In 0..1; the middle where there is but one value.
  double place(double v) const { return high > low ? (v - low) / (high - low) : 0.5; }
};

bool finite(const Point& p) { return std::isfinite(p.x) && std::isfinite(p.y); }

void draw_axes(Image& image, const Range& x, const Range& y) {
  line(image, kLeft, kTop, kLeft, kBottom, kInk);
  line(image, kLeft, kBottom, kRight, kBottom, kInk);
  if (x.low > x.high) return;
  write(image, 4, kTop, label(y.high));
  write(image, 4, kBottom - 10, label(y.low));
  write(image, kLeft, kBottom + 10, label(x.low));
  const std::string right = label(x.high);
  write(image, kRight - static_cast<int64_t>(right.size()) * 4 * kGlyph, kBottom + 10, right);
}

}  // namespace

Image draw_curves(const std::vector<Curve>& curves) {
  Image image = blank_image(kWidth, kHeight);
  image.rgb.assign(image.rgb.size(), 255);
  Range x, y;
  for (const Curve& curve : curves) {
    for (const Point& p : curve.points) {
      if (!finite(p)) continue;
      x.take(p.x);
      y.take(p.y);
    }
  }
  draw_axes(image, x, y);
  for (const Curve& curve : curves) {
    const Point* last = nullptr;
    int64_t last_x = 0, last_y = 0;
    for (const Point& p : curve.points) {
      const bool usable = finite(p);
      const int64_t px = usable ? kLeft + std::lround(x.place(p.x) * (kRight - kLeft)) : 0;
      const int64_t py = usable ? kBottom - std::lround(y.place(p.y) * (kBottom - kTop)) : 0;
      const Color color = {curve.red, curve.green, curve.blue};
      if (usable)
        line(image, last == nullptr ? px : last_x, last == nullptr ? py : last_y, px, py, color);
      last = usable ? &p : nullptr;
      last_x = px;
      last_y = py;
    }
  }
  return image;
}

}  // namespace treadle
