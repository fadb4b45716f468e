// plot: a chart of points and lines, as an SVG text or a PNG picture; one layout for both.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace study {

struct Point {
  double x = 0, y = 0;
  double spread = 0;  // a whisker goes so far up and down
};

/// Joined in the order of x. Without a name it has no place in the legend. Names are ASCII: OpenCV draws no other.
struct Series {
  std::string name;
  std::vector<Point> points;
};

struct Scale {
  std::string label;
  bool logarithmic = false;  // then numbers of 0 and below are left out
};

/// Numbers that are not finite are left out.
struct Plot {
  std::string title;
  Scale x, y;
  std::vector<Series> series;
};

std::string to_svg(const Plot& plot);

/// Throws std::runtime_error when the disk refuses.
void write_png(const Plot& plot, const std::filesystem::path& path);

/// Where a scale from `low` to `high`, low < high, has its marks: some round numbers inside, rising.
std::vector<double> ticks(double low, double high, bool logarithmic);

}  // namespace study
