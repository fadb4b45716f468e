// report: CSV and Markdown.
#include "tools/study/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <utility>

#include "tools/study/known_figures.h"

namespace study {
namespace {

using Status = Result::Status;

std::string quoted(const std::string& text) {
  if (text.find_first_of(",\"\n") == std::string::npos) return text;
  std::string inside;
  for (const char c : text) inside += c == '"' ? std::string("\"\"") : std::string(1, c);
  return '"' + inside + '"';
}

std::string line_of(const std::vector<std::string>& fields) {
  std::vector<std::string> all;
  for (const auto& field : fields) all.push_back(quoted(field));
  return graph::join(all, ",") + "\n";
}

// Of Markdown, in which a bar would end the cell.
std::string row_of(const std::vector<std::string>& cells) {
  std::string row = "|";
  for (const auto& cell : cells) {
    row += ' ';
    for (const char c : cell) row += c == '|' ? std::string("\\|") : std::string(1, c);
    row += " |";
  }
  return row + '\n';
}

const char* text_of(Status status) {
  switch (status) {
    case Status::open:
      return "open";
    case Status::done:
      return "done";
    case Status::failed:
      return "failed";
  }
  return "";
}

std::size_t count(const std::vector<Result>& results, Status status) {
  return static_cast<std::size_t>(std::ranges::count(results, status, &Result::status));
}

// Of a figure, every combination's numbers and the best of them.
struct Ranking {
  std::vector<Spread> spreads;
  std::size_t best = 0;

  bool has_best() const { return best < spreads.size(); }
  // Several may be equally good.
  bool is_best(std::size_t c) const {
    return spreads[c].n > 0 && spreads[c].n == spreads[best].n &&
           alike({spreads[c].mean, spreads[best].mean});
  }
};

Ranking rank(const std::vector<Result>& results, const std::vector<std::vector<std::size_t>>& all,
             const std::string& figure) {
  Ranking ranking{.best = all.size()};
  const double sign = higher_is_better(figure) ? 1 : -1;
  // A lucky seed by itself is not the best: of those with fewer seeds none is.
  const auto place = [&](const Spread& spread) { return std::pair(spread.n, sign * spread.mean); };
  for (const auto& cells : all) {
    const auto& spread = ranking.spreads.emplace_back(spread_of(results, cells, figure));
    if (spread.n == 0) continue;
    if (!ranking.has_best() || place(spread) > place(ranking.spreads[ranking.best]))
      ranking.best = ranking.spreads.size() - 1;
  }
  return ranking;
}

class Page {
 public:
  Page(const Study& study, const Plan& plan, const std::vector<Result>& results)
      : study_(study), plan_(plan), results_(results), combinations_(combinations(plan)) {
    for (const auto& figure : study.report) rankings_.push_back(rank(results, combinations_, figure));
  }

  std::string text(const std::vector<std::string>& charts) const {
    auto text = "# " + std::filesystem::path(study_.file).stem().string() + "\n\n" + head() + "\n" + table();
    if (!charts.empty()) text += "\n";
    for (const auto& chart : charts) text += fmt::format("![{0}]({0}.svg)\n", chart);
    for (std::size_t i = 0; i < study_.report.size(); ++i) text += "\n" + differences(i);
    return text + failures();
  }

 private:
  std::string head() const {
    std::vector<std::string> seeds;
    for (const auto seed : study_.seeds) seeds.push_back(std::to_string(seed));
    auto trained = "Measured is " + plan_.checkpoint.generic_string();
    if (study_.budget.steps) trained = fmt::format("Trained for {} steps a run", *study_.budget.steps);
    if (study_.budget.minutes)
      trained = fmt::format("Trained for {:g} minutes a run", *study_.budget.minutes);
    return fmt::format(
        "{}, seeds {}, measured with `run eval{}`. {} of {} cells are done; all figures of each are in "
        "results.csv.\n\nMean over the seeds ± their standard deviation; ↑ more is better, ↓ less is better; "
        "the best are bold, of those with most seeds. n are the cells that are done; a figure that some of "
        "them could not measure has its own. NFE are the network's evaluations a frame. Each combination is "
        "compared with the best, "
        "seed by seed, and the difference is called beyond the spread of seeds where a paired t test says so "
        "at 5 %, with Holm's correction for the number of comparisons. That the best was chosen by the same "
        "figures is not corrected for: what is close, other seeds should confirm.\n",
        trained, graph::join(seeds), study_.quick ? " --quick" : "", count(results_, Status::done),
        results_.size());
  }

  std::string table() const {
    auto heads = plan_.keys;
    heads.insert(heads.end(), {"n", "NFE"});
    for (const auto& figure : study_.report)
      heads.push_back(figure + (higher_is_better(figure) ? " ↑" : " ↓"));
    auto text = row_of(heads) + row_of(std::vector<std::string>(heads.size(), "---"));
    for (std::size_t c = 0; c < combinations_.size(); ++c) {
      const auto& cells = combinations_[c];
      const auto evaluations = spread_of(results_, cells, "evaluations_per_frame");
      auto row = plan_.cells[cells.front()].choices;
      row.push_back(std::to_string(done(c)));
      row.push_back(evaluations.n == 0 ? "" : fmt::format("{:g}", evaluations.mean));
      for (const auto& ranking : rankings_) {
        const auto shown = number(ranking, c);
        row.push_back(ranking.is_best(c) ? "**" + shown + "**" : shown);
      }
      text += row_of(row);
    }
    return text;
  }

  std::string differences(std::size_t index) const {
    const auto& ranking = rankings_[index];
    auto text = "## " + study_.report[index] + "\n\n";
    if (!ranking.has_best()) return text + "Nothing was measured.\n";
    const auto line = [&](std::size_t c, const std::string& said) {
      return fmt::format("- {}: {}, {}\n", name(c), number(ranking, c), said);
    };
    text += line(ranking.best, "the best");
    std::vector<std::size_t> others;
    std::vector<std::vector<double>> worse_by;
    for (std::size_t c = 0; c < combinations_.size(); ++c) {
      if (c == ranking.best || ranking.spreads[c].n == 0) continue;
      others.push_back(c);
      worse_by.push_back(differences_of(ranking.best, c, study_.report[index]));
    }
    const auto said = verdicts(worse_by);
    for (std::size_t i = 0; i < others.size(); ++i) text += line(others[i], said[i]);
    return text;
  }

  // By how much `other` is worse, in every seed that both have.
  std::vector<double> differences_of(std::size_t best, std::size_t other, const std::string& figure) const {
    std::vector<double> all;
    for (std::size_t seed = 0; seed < plan_.seeds; ++seed) {
      const auto good = number_in(results_[combinations_[best][seed]].figures, figure),
                 worse = number_in(results_[combinations_[other][seed]].figures, figure);
      if (good && worse) all.push_back(higher_is_better(figure) ? *good - *worse : *worse - *good);
    }
    return all;
  }

  std::string failures() const {
    if (count(results_, Status::failed) == 0) return "";
    std::string text = "\n## Failed\n\n";
    for (const auto& cells : combinations_)
      for (const auto cell : cells)
        if (results_[cell].status == Status::failed)
          text += fmt::format("- {}, seed {}: {}\n", label(plan_.keys, plan_.cells[cell].choices),
                              plan_.cells[cell].seed, results_[cell].complaint);
    return text;
  }

  std::size_t done(std::size_t combination) const {
    return static_cast<std::size_t>(std::ranges::count_if(
        combinations_[combination], [&](auto cell) { return results_[cell].status == Status::done; }));
  }

  // With its n where that is not the combination's.
  std::string number(const Ranking& ranking, std::size_t combination) const {
    const auto& spread = ranking.spreads[combination];
    const bool whole = spread.n == 0 || spread.n == done(combination);
    return text_of(spread) + (whole ? "" : fmt::format(" (n={})", spread.n));
  }

  std::string name(std::size_t combination) const {
    return label(plan_.keys, plan_.cells[combinations_[combination].front()].choices);
  }

  const Study& study_;
  const Plan& plan_;
  const std::vector<Result>& results_;
  std::vector<std::vector<std::size_t>> combinations_;
  std::vector<Ranking> rankings_;  // of the figures in Study::report
};

}  // namespace

Spread spread_of(const std::vector<Result>& results, const std::vector<std::size_t>& cells,
                 const std::string& figure) {
  std::vector<double> numbers;
  for (const auto cell : cells)
    if (const auto number = number_in(results[cell].figures, figure)) numbers.push_back(*number);
  return spread_of(numbers);
}

std::string csv(const Plan& plan, const std::vector<Result>& results) {
  std::vector<std::string> heads{"cell"};
  heads.insert(heads.end(), plan.keys.begin(), plan.keys.end());
  heads.insert(heads.end(), {"seed", "status"});
  for (const auto& figure : known_figures()) heads.push_back(figure.name);
  heads.insert(heads.end(), {"train_seconds", "eval_seconds"});
  auto text = line_of(heads);
  for (std::size_t i = 0; i < results.size(); ++i) {
    const auto& cell = plan.cells[i];
    const auto& result = results[i];
    std::vector<std::string> fields{cell.id};
    fields.insert(fields.end(), cell.choices.begin(), cell.choices.end());
    fields.insert(fields.end(), {std::to_string(cell.seed), text_of(result.status)});
    for (const auto& figure : known_figures()) {
      const auto number = number_in(result.figures, figure.name);
      fields.push_back(number ? fmt::format("{}", *number) : "");
    }
    fields.push_back(fmt::format("{:.1f}", result.train_seconds));
    fields.push_back(fmt::format("{:.1f}", result.eval_seconds));
    text += line_of(fields);
  }
  return text;
}

std::string report(const Study& study, const Plan& plan, const std::vector<Result>& results,
                   const std::vector<std::string>& charts) {
  return Page(study, plan, results).text(charts);
}

}  // namespace study
