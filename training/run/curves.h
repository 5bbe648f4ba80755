// A line chart of few pixels, for a glance at a run without tools.
#pragma once

#include <string>
#include <vector>

#include "files/image.h"

namespace treadle {

struct Point {
  double x, y;
};
struct Curve {
  std::vector<Point> points;  // in rising x
  uint8_t red = 31, green = 119, blue = 180;
};

// The curves over common axes, whose ends are written beside them. Points that are not finite break
// a line.
Image draw_curves(const std::vector<Curve>& curves);

}  // namespace treadle
