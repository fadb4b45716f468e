// graph: draws a pipeline.
#include <iostream>
#include <memory>

#include "graph/picture.h"
#include "tools/request.h"
#include "tools/verbs.h"

namespace tools {

void add_graph(CLI::App& app, Verb& chosen) {
  auto* command = app.add_subcommand("graph", "draw a pipeline");
  auto request = std::make_shared<graph::Request>();
  auto format = std::make_shared<std::string>("text");
  add_request(*command, *request);
  command->add_option("--format", *format, "text, dot (Graphviz) or mermaid")
      ->check(CLI::IsMember({"text", "dot", "mermaid"}));
  command->add_flag("--headless", request->headless, "its form without a display");
  command->callback([=, &chosen] {
    chosen = [=] {
      const auto pipeline = graph::load(*request);
      std::cout << (*format == "dot"       ? graph::draw_dot(pipeline)
                    : *format == "mermaid" ? graph::draw_mermaid(pipeline)
                                           : graph::draw_text(pipeline));
      return 0;
    };
  });
}

}  // namespace tools
