// plot: the layout, and two canvases for it.
#include "tools/study/plot.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>
#include <stdexcept>

#include "stages/whole_file.h"
#include "tools/study/spread.h"

namespace study {
namespace {

using Colour = std::uint32_t;  // 0xRRGGBB

constexpr Colour ink = 0x333333, faint = 0xdddddd;
// Okabe and Ito's, which tell each other apart for colour-blind eyes too; the yellow is darker.
constexpr std::array<Colour, 8> palette{0x0072b2, 0xd55e00, 0x009e73, 0xcc79a7,
                                        0x56b4e9, 0xe69f00, 0x9a8f00, 0x000000};

// In units of an SVG's pixel.
constexpr double left = 70, top = 60, width = 560, height = 360, below = 50;
constexpr double font = 13, letter = 7.5, line_height = 20;
constexpr std::size_t most_dots = 30;  // a series of more points is a curve

enum class Anchor { begin, middle, end };

// x to the right, y down.
class Canvas {
 public:
  virtual ~Canvas() = default;
  virtual void line(double x0, double y0, double x1, double y1, Colour colour, double thick) = 0;
  virtual void dot(double x, double y, Colour colour, bool square) = 0;
  virtual void text(double x, double y, const std::string& text, Anchor anchor) = 0;  // y: of the base line
};

constexpr double dot_radius = 4;

class Svg : public Canvas {
 public:
  Svg(double w, double h)
      : svg_(fmt::format(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0:g} {1:g}\" width=\"{0:g}\" "
            "height=\"{1:g}\" font-family=\"sans-serif\" font-size=\"{2:g}\">\n"
            "<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n",
            w, h, font)) {}

  void line(double x0, double y0, double x1, double y1, Colour colour, double thick) override {
    svg_ += fmt::format(
        "<line x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\" stroke=\"#{:06x}\" "
        "stroke-width=\"{:g}\" stroke-linecap=\"round\"/>\n",
        x0, y0, x1, y1, colour, thick);
  }
  void dot(double x, double y, Colour colour, bool square) override {
    svg_ += square
                ? fmt::format(
                      "<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:g}\" height=\"{:g}\" fill=\"#{:06x}\"/>\n",
                      x - dot_radius, y - dot_radius, 2 * dot_radius, 2 * dot_radius, colour)
                : fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"{:g}\" fill=\"#{:06x}\"/>\n", x, y,
                              dot_radius, colour);
  }
  void text(double x, double y, const std::string& text, Anchor anchor) override {
    constexpr std::array names{"start", "middle", "end"};
    svg_ += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" fill=\"#{:06x}\" text-anchor=\"{}\">", x, y, ink,
                        names[static_cast<std::size_t>(anchor)]);
    for (const char c : text) svg_ += c == '<' ? "&lt;" : c == '&' ? "&amp;" : std::string(1, c);
    svg_ += "</text>\n";
  }

  std::string whole() const { return svg_ + "</svg>\n"; }

 private:
  std::string svg_;
};

class Picture : public Canvas {
 public:
  Picture(double w, double h) : image_(pixels(h), pixels(w), CV_8UC3, cv::Scalar::all(255)) {}

  void line(double x0, double y0, double x1, double y1, Colour colour, double thick) override {
    cv::line(image_, at(x0, y0), at(x1, y1), scalar(colour), pixels(thick), cv::LINE_AA);
  }
  void dot(double x, double y, Colour colour, bool square) override {
    if (square)
      cv::rectangle(image_, at(x - dot_radius, y - dot_radius), at(x + dot_radius, y + dot_radius),
                    scalar(colour), cv::FILLED);
    else
      cv::circle(image_, at(x, y), pixels(dot_radius), scalar(colour), cv::FILLED, cv::LINE_AA);
  }
  void text(double x, double y, const std::string& text, Anchor anchor) override {
    constexpr auto face = cv::FONT_HERSHEY_SIMPLEX;
    constexpr double size = 0.033 * font * scale;  // the face is about 30 pixels high at size 1
    int base = 0;
    auto where = at(x, y);
    const auto wide = cv::getTextSize(text, face, size, 1, &base).width;
    if (anchor == Anchor::middle) where.x -= wide / 2;
    if (anchor == Anchor::end) where.x -= wide;
    cv::putText(image_, text, where, face, size, scalar(ink), 1, cv::LINE_AA);
  }

  std::string whole() const {
    std::vector<std::uint8_t> bytes;
    if (!cv::imencode(".png", image_, bytes)) throw std::runtime_error("OpenCV cannot write PNG files");
    return {bytes.begin(), bytes.end()};
  }

 private:
  static constexpr double scale = 2;  // for sharp letters

  static int pixels(double length) { return static_cast<int>(std::lround(scale * length)); }
  static cv::Point at(double x, double y) { return {pixels(x), pixels(y)}; }
  static cv::Scalar scalar(Colour colour) {
    return {static_cast<double>(colour & 0xff), static_cast<double>((colour >> 8) & 0xff),
            static_cast<double>(colour >> 16)};  // blue, green, red
  }

  cv::Mat image_;
};

// Where numbers lie along one side of the chart.
class Side {
 public:
  Side(bool logarithmic, std::vector<double> numbers) : logarithmic_(logarithmic) {
    std::erase_if(numbers, [&](double number) { return !shows(number); });
    if (numbers.empty()) numbers = {1, 10};
    const auto [least, most] = std::ranges::minmax(numbers);
    low_ = along(least);
    high_ = along(most);
    // Around a single number, or several that rounding alone tells apart: half of it, or half a decade.
    const auto alone = logarithmic ? 0.5 : 0.5 * std::max(1.0, std::abs(low_));
    const auto margin = alike({least, most}) ? alone : 0.05 * (high_ - low_);
    low_ -= margin;
    high_ += margin;
  }

  bool shows(double number) const { return std::isfinite(number) && (!logarithmic_ || number > 0); }
  /// 0 at the low end, 1 at the high one.
  double place(double number) const { return (along(number) - low_) / (high_ - low_); }
  std::vector<double> marks() const { return ticks(back(low_), back(high_), logarithmic_); }

 private:
  double along(double number) const { return logarithmic_ ? std::log10(number) : number; }
  double back(double place) const { return logarithmic_ ? std::pow(10, place) : place; }

  bool logarithmic_;
  double low_ = 0, high_ = 1;
};

class Layout {
 public:
  explicit Layout(const Plot& plot)
      : plot_(plot), x_(plot.x.logarithmic, numbers(&Point::x)), y_(plot.y.logarithmic, numbers(&Point::y)) {}

  double whole_width() const {
    std::size_t longest = 0;
    for (const auto& series : plot_.series) longest = std::max(longest, series.name.size());
    return left + width + 50 + letter * static_cast<double>(longest);
  }
  double whole_height() const {
    return std::max(top + height + below, top + line_height * static_cast<double>(plot_.series.size() + 1));
  }

  void draw(Canvas& canvas) const {
    frame(canvas);
    for (std::size_t i = 0; i < plot_.series.size(); ++i) {
      const auto colour = palette[i % palette.size()];
      const bool square = i / palette.size() % 2 == 1;
      curve(canvas, plot_.series[i], colour, square);
      if (plot_.series[i].name.empty()) continue;
      const auto y = top + line_height * (static_cast<double>(i) + 0.5);
      canvas.dot(left + width + 20, y, colour, square);
      canvas.text(left + width + 32, y + font / 3, plot_.series[i].name, Anchor::begin);
    }
  }

 private:
  double across(double number) const { return left + width * x_.place(number); }
  double down(double number) const { return top + height * (1 - y_.place(number)); }

  bool shows(const Point& point) const { return x_.shows(point.x) && y_.shows(point.y); }

  // Of y, the whiskers' ends as well.
  std::vector<double> numbers(double Point::*side) const {
    std::vector<double> all;
    for (const auto& series : plot_.series)
      for (const auto& point : series.points) {
        all.push_back(point.*side);
        if (side == &Point::y) all.insert(all.end(), {point.y - point.spread, point.y + point.spread});
      }
    return all;
  }

  void frame(Canvas& canvas) const {
    canvas.text(left, line_height, plot_.title, Anchor::begin);
    canvas.text(left, top - 10, plot_.y.label, Anchor::begin);
    canvas.text(left + width / 2, top + height + below - 12, plot_.x.label, Anchor::middle);
    for (const auto mark : x_.marks()) {
      canvas.line(across(mark), top, across(mark), top + height, faint, 1);
      canvas.text(across(mark), top + height + line_height, fmt::format("{:g}", mark), Anchor::middle);
    }
    for (const auto mark : y_.marks()) {
      canvas.line(left, down(mark), left + width, down(mark), faint, 1);
      canvas.text(left - 8, down(mark) + font / 3, fmt::format("{:g}", mark), Anchor::end);
    }
    canvas.line(left, top + height, left + width, top + height, ink, 1);
    canvas.line(left, top, left, top + height, ink, 1);
  }

  void curve(Canvas& canvas, const Series& series, Colour colour, bool square) const {
    auto points = series.points;
    std::erase_if(points, [&](const Point& point) { return !shows(point); });
    std::ranges::sort(points, {}, &Point::x);
    for (std::size_t i = 0; i < points.size(); ++i) {
      const auto& [x, y, spread] = points[i];
      if (i > 0) canvas.line(across(points[i - 1].x), down(points[i - 1].y), across(x), down(y), colour, 1.5);
      if (points.size() > most_dots) continue;
      canvas.dot(across(x), down(y), colour, square);
      if (spread > 0 && y_.shows(y - spread))
        canvas.line(across(x), down(y - spread), across(x), down(y + spread), colour, 1);
    }
  }

  const Plot& plot_;
  Side x_, y_;
};

// A step of 1, 2 or 5 times a power of ten, with at most six of them in between.
std::vector<double> linear_ticks(double low, double high) {
  constexpr int most = 6;
  const auto power = std::pow(10, std::floor(std::log10((high - low) / most)));
  auto step = 10 * power;
  for (const double times : {5, 2, 1})
    if ((high - low) / (times * power) <= most) step = times * power;
  const auto first = std::ceil(low / step);
  std::vector<double> all;
  // Counted, since a large `first` may stay the same when one is added.
  for (int i = 0; i <= most; ++i)
    if (const auto mark = (first + i) * step; mark <= high) all.push_back(mark + 0.0);  // never -0
  return all;
}

}  // namespace

std::vector<double> ticks(double low, double high, bool logarithmic) {
  constexpr double last = std::numeric_limits<double>::max_exponent10;
  std::vector<double> all;
  if (logarithmic)
    for (auto power = std::max(std::floor(std::log10(low)), -last); power <= std::min(std::log10(high), last);
         ++power)
      for (const int times : {1, 2, 5})
        if (const auto mark = times * std::pow(10, power); mark >= low && mark <= high) all.push_back(mark);
  // Less than a decade may hold none.
  return all.size() >= 2 ? all : linear_ticks(low, high);
}

std::string to_svg(const Plot& plot) {
  const Layout layout(plot);
  Svg canvas(layout.whole_width(), layout.whole_height());
  layout.draw(canvas);
  return canvas.whole();
}

void write_png(const Plot& plot, const std::filesystem::path& path) {
  const Layout layout(plot);
  Picture canvas(layout.whole_width(), layout.whole_height());
  layout.draw(canvas);
  stages::write_whole(path, canvas.whole());
}

}  // namespace study
