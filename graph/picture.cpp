// picture: text, Graphviz and Mermaid.
#include "graph/picture.h"

#include <algorithm>
#include <utility>

namespace graph {
namespace {

std::string label(const Pipeline& pipeline, const EdgePlan& edge) {
  const auto& type = *pipeline.stages[edge.from].type;
  std::string text = edge.output == type.plain_output() ? "" : type.outputs[edge.output].name;
  const auto add = [&](const std::string& word) { text += (text.empty() ? "" : ", ") + word; };
  if (edge.feedback > 0) add("feedback " + std::to_string(edge.feedback));
  // A sampled or gathered input drops by its nature; only a chosen policy is worth a word.
  const bool chosen = pipeline.stages[edge.to].type->inputs[edge.input].intake == Intake::joined;
  if (chosen && edge.when_full != WhenFull::wait) add(to_text(edge.when_full));
  return text;
}

// Letters as a terminal counts them: all but UTF-8's continuation bytes.
std::size_t width(const std::string& text) {
  return static_cast<std::size_t>(
      std::ranges::count_if(text, [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

class Drawing {
 public:
  explicit Drawing(const Pipeline& pipeline) : pipeline_(pipeline), drawn_(pipeline.stages.size()) {
    for (std::size_t i = 0; i < pipeline.stages.size(); ++i) parent_.push_back(parent_of(i));
  }

  std::string run() {
    std::string text;
    for (std::size_t i = 0; i < pipeline_.stages.size(); ++i)
      if (!drawn_[i] && parent_[i] == none)
        for (const auto& line : draw(i)) text += line + "\n";
    return text;
  }

 private:
  static constexpr auto none = static_cast<std::size_t>(-1);

  // The one edge below which a stage is drawn: its first input that triggers.
  std::size_t parent_of(std::size_t i) {
    for (std::size_t e = 0; e < pipeline_.edges.size(); ++e) {
      const auto& edge = pipeline_.edges[e];
      if (edge.to == i && edge.feedback == 0 &&
          pipeline_.stages[i].type->inputs[edge.input].intake == Intake::joined)
        return e;
    }
    return none;
  }

  std::vector<std::string> draw(std::size_t i) {
    drawn_[i] = true;
    std::vector<std::pair<std::string, std::vector<std::string>>> branches;
    for (std::size_t e = 0; e < pipeline_.edges.size(); ++e) {
      const auto& edge = pipeline_.edges[e];
      if (edge.from != i) continue;
      const auto word = label(pipeline_, edge);
      const auto arrow = word.empty() ? "─► " : "─ " + word + " ─► ";
      const auto& to = pipeline_.stages[edge.to];
      if (parent_[edge.to] == e && !drawn_[edge.to])
        branches.emplace_back(arrow, draw(edge.to));
      else
        branches.emplace_back(arrow, std::vector{"↩ " + to.name + "." + to.type->inputs[edge.input].name});
    }
    // What goes back is short and comes last.
    std::stable_partition(branches.begin(), branches.end(),
                          [](const auto& branch) { return !branch.second[0].starts_with("↩"); });
    const auto& name = pipeline_.stages[i].name;
    if (branches.empty()) return {name};
    std::vector<std::string> lines;
    const std::string indent(width(name) + 1, ' ');
    for (std::size_t b = 0; b < branches.size(); ++b) {
      const auto& [arrow, below] = branches[b];
      const bool last = b + 1 == branches.size();
      const char* corner = branches.size() == 1 ? "─" : b == 0 ? "┬" : last ? "└" : "├";
      lines.push_back((b == 0 ? name + " ─" : indent + " ") + corner + arrow + below[0]);
      if (branches.size() == 1) lines.back() = name + " " + arrow + below[0];
      const auto gap = branches.size() == 1
                           ? indent + std::string(width(arrow), ' ')
                           : indent + " " + (last ? " " : "│") + std::string(width(arrow), ' ');
      for (std::size_t k = 1; k < below.size(); ++k) lines.push_back(gap + below[k]);
    }
    return lines;
  }

  const Pipeline& pipeline_;
  std::vector<bool> drawn_;
  std::vector<std::size_t> parent_;
};

}  // namespace

std::string draw_text(const Pipeline& pipeline) { return Drawing(pipeline).run(); }

std::string draw_dot(const Pipeline& pipeline) {
  std::string text = "digraph pipeline {\n  rankdir=LR;\n  node [shape=box];\n";
  for (const auto& stage : pipeline.stages)
    text += "  " + stage.name + " [label=\"" + stage.name + "\\n" + stage.type->name + "\"];\n";
  for (const auto& edge : pipeline.edges) {
    const auto word = label(pipeline, edge);
    text += "  " + pipeline.stages[edge.from].name + " -> " + pipeline.stages[edge.to].name;
    text += " [label=\"" + word + "\"" + (edge.when_full == WhenFull::wait ? "" : ", style=dashed") +
            (edge.feedback ? ", constraint=false" : "") + "];\n";
  }
  return text + "}\n";
}

std::string draw_mermaid(const Pipeline& pipeline) {
  std::string text = "flowchart LR\n";
  for (const auto& stage : pipeline.stages)
    text += "  " + stage.name + "[\"" + stage.name + "<br/>" + stage.type->name + "\"]\n";
  for (const auto& edge : pipeline.edges) {
    const auto word = label(pipeline, edge);
    const auto* arrow = edge.when_full == WhenFull::wait ? " -->" : " -.->";
    text += "  " + pipeline.stages[edge.from].name + arrow + (word.empty() ? "" : "|" + word + "|") + " " +
            pipeline.stages[edge.to].name + "\n";
  }
  return text;
}

}  // namespace graph
