// picture: a pipeline drawn for people and for tools.
#pragma once

#include <string>

#include "graph/pipeline.h"

namespace graph {

/// Lines of text: every stage once, edges left to right, "(latest)" and the like on edges that drop,
/// "↩ stage.port" where an edge goes to a stage that is drawn elsewhere.
std::string draw_text(const Pipeline& pipeline);

/// Graphviz.
std::string draw_dot(const Pipeline& pipeline);

/// Mermaid flowchart.
std::string draw_mermaid(const Pipeline& pipeline);

}  // namespace graph
