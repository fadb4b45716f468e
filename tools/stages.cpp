// stages: lists the stage types, explains one, and writes both for programs (JSON) and editors (JSON schema).
#include <algorithm>
#include <iostream>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>

#include "graph/stage.h"
#include "tools/request.h"
#include "tools/verbs.h"

namespace tools {
namespace {

using Json = nlohmann::ordered_json;
using graph::Parameter;
using graph::StageType;

std::string type_of(const graph::Type* type) { return type ? type->name : "any"; }

const char* to_text(graph::Intake intake) {
  switch (intake) {
    case graph::Intake::joined:
      return "triggers";
    case graph::Intake::sampled:
      return "newest, sampled";
    case graph::Intake::gathered:
      return "all since the last firing";
  }
  return "";
}

const char* to_text(graph::Executor executor) {
  switch (executor) {
    case graph::Executor::cpu:
      return "cpu";
    case graph::Executor::thread:
      return "thread";
    case graph::Executor::main:
      return "main";
  }
  return "";
}

// YAML to paste into a pipeline, with every parameter at its default.
std::string example(const StageType& type) {
  const auto map = [] {
    graph::Value value;
    value.kind = graph::Value::Kind::map;
    return value;
  };
  auto stage = map(), from = map(), stages = map(), all = map();
  const auto source = graph::Codec<std::string>::encode("SOURCE");
  stage.set("type", graph::Codec<std::string>::encode(type.name));
  for (const auto& port : type.inputs) from.set(port.name, source);
  if (type.inputs.size() == 1) stage.set("from", source);
  if (type.inputs.size() > 1) stage.set("from", from);
  const auto params = type.default_params();
  for (const auto& parameter : type.parameters)
    if (std::ranges::find(type.shared, parameter.name) == type.shared.end())
      stage.set(parameter.name, parameter.encode(params.get()));
  stages.set("my_" + type.name, stage);
  all.set("stages", stages);
  return graph::to_yaml(all);
}

void explain(const StageType& type) {
  std::cout << type.name << ": " << type.summary << '\n';
  const auto ports = [](const char* title, const auto& all) {
    if (!all.empty()) std::cout << '\n' << title << '\n';
    for (const auto& port : all) {
      std::cout << "  " << port.name << "  " << type_of(port.type) << ": " << port.doc;
      if constexpr (requires { port.intake; }) std::cout << "  (" << to_text(port.intake) << ')';
      if constexpr (requires { port.opening; })
        if (port.opening)
          std::cout << "  (once, before the first message; for inputs that are sampled or gathered)";
      std::cout << '\n';
    }
  };
  ports("inputs", type.inputs);
  ports("outputs", type.outputs);
  const auto params = type.default_params();
  if (!type.parameters.empty()) std::cout << "\nparameters\n";
  for (const auto& parameter : type.parameters) {
    std::cout << "  " << parameter.name << " = " << parameter.text(params.get());
    if (!parameter.unit.empty()) std::cout << ' ' << parameter.unit;
    std::cout << "  " << parameter.doc << "\n      " << parameter.type;
    const auto range = parameter.range.text();
    if (!range.empty()) std::cout << ", " << range;
    if (parameter.live) std::cout << ", live";
    if (std::ranges::find(type.shared, parameter.name) != type.shared.end())
      std::cout << "; else the pipeline's `" << parameter.name << ":`";
    std::cout << '\n';
  }
  for (const auto& use : type.blocks)
    std::cout << "\nreads the block `" << use.block << ":`" << (use.optional ? " where there is one" : "")
              << ", " << graph::blocks().at(use.block).summary << '\n';
  std::cout << "\nruns on: " << to_text(type.executor);
  if (type.is_source()) std::cout << ", in_flight " << type.in_flight;
  if (type.writes) std::cout << "; writes into the run's folder";
  std::cout << "\n\nexample\n" << example(type);
}

Json json_of(const std::vector<Parameter>& parameters, const void* params) {
  Json all = Json::array();
  for (const auto& parameter : parameters) {
    Json one{{"name", parameter.name},
             {"type", parameter.type},
             {"default", parameter.text(params)},
             {"doc", parameter.doc},
             {"live", parameter.live}};
    if (!parameter.unit.empty()) one["unit"] = parameter.unit;
    if (const auto range = parameter.range.text(); !range.empty()) one["range"] = range;
    all.push_back(one);
  }
  return all;
}

Json json_of(const StageType& type) {
  const auto ports = [](const auto& all) {
    Json list = Json::array();
    for (const auto& port : all) {
      Json one{{"name", port.name}, {"type", type_of(port.type)}, {"doc", port.doc}};
      if constexpr (requires { port.intake; }) one["intake"] = to_text(port.intake);
      list.push_back(one);
    }
    return list;
  };
  Json blocks = Json::array();
  for (const auto& use : type.blocks) blocks.push_back(use.block);
  return {{"name", type.name},
          {"summary", type.summary},
          {"inputs", ports(type.inputs)},
          {"outputs", ports(type.outputs)},
          {"parameters", json_of(type.parameters, type.default_params().get())},
          {"blocks", blocks},
          {"executor", to_text(type.executor)},
          {"example", example(type)}};
}

// --- JSON schema -----------------------------------------------------------------------------------------------

Json schema_of(const Parameter& parameter) {
  Json one{{"description", parameter.doc}};
  const auto& type = parameter.type;
  if (type == "true | false")
    one["type"] = "boolean";
  else if (type == "integer" || type == "natural number")
    one["type"] = "integer";
  else if (type == "number")
    one["type"] = "number";
  else if (type == "list")
    one["type"] = "array";
  else if (type == "map")
    one["type"] = "object";
  else
    one["type"] = "string";
  const auto& range = parameter.range;
  if (!range.choices.empty()) one["enum"] = range.choices;
  if (range.low) one[range.low_open ? "exclusiveMinimum" : "minimum"] = *range.low;
  if (range.high) one[range.high_open ? "exclusiveMaximum" : "maximum"] = *range.high;
  return one;
}

// Of maps from these keys, needed or not, to text.
Json list_of(const std::map<std::string, bool>& keys) {
  Json item{{"type", "object"}, {"required", Json::array()}, {"additionalProperties", false}};
  for (const auto& [key, needed] : keys) {
    item["properties"][key] = {{"type", "string"}};
    if (needed) item["required"].push_back(key);
  }
  return {{"type", "array"}, {"items", item}};
}

Json schema() {
  const Json policy{{"enum", {"wait", "latest", "drop_oldest", "drop_newest"}}};
  const Json edge{{"anyOf",
                   {{{"type", "string"}},
                    {{"type", "object"},
                     {"properties",
                      {{"stage", {{"type", "string"}}},
                       {"when_full", policy},
                       {"capacity", {{"type", "integer"}, {"minimum", 1}}},
                       {"feedback", {{"type", "integer"}, {"minimum", 1}}}}},
                     {"required", {"stage"}},
                     {"additionalProperties", false}}}}};
  Json kinds = Json::array();
  const Json files{{"type", "array"}, {"items", {{"type", "string"}}}};
  Json top{{"configs", files},
           {"plugins", files},
           {"headless", {{"type", "object"}}},
           {"taps", list_of({{"edge", true}, {"topic", true}, {"publish", false}, {"encoding", false}})},
           {"inject", list_of({{"input", true}, {"topic", true}, {"endpoint", true}})},
           {"stop",
            {{"type", "object"},
             {"properties",
              {{"steps", {{"type", "integer"}, {"minimum", 1}}},
               {"minutes", {{"type", "number"}, {"exclusiveMinimum", 0}}}}},
             {"additionalProperties", false}}}};
  for (const auto& [name, type] : graph::stage_types()) {
    Json properties{{"type", {{"const", name}}}};
    if (!type.is_source()) {
      Json ports = Json::object();
      for (const auto& port : type.inputs)
        ports[port.name] = port.intake == graph::Intake::gathered
                               ? Json{{"anyOf", {edge, {{"type", "array"}, {"items", edge}}}}}
                               : edge;
      properties["from"] = {
          {"anyOf", {edge, {{"type", "object"}, {"properties", ports}, {"additionalProperties", false}}}}};
    }
    properties["in_flight"] = {{"type", "integer"}, {"minimum", 1}};
    for (const auto& parameter : type.parameters) {
      properties[parameter.name] = schema_of(parameter);
      if (std::ranges::find(type.shared, parameter.name) != type.shared.end())
        top[parameter.name] = schema_of(parameter);
    }
    kinds.push_back({{"description", type.summary},
                     {"properties", properties},
                     {"required", {"type"}},
                     {"additionalProperties", false}});
  }
  for (const auto& [name, block] : graph::blocks()) {
    Json properties = Json::object();
    for (const auto& parameter : block.parameters) properties[parameter.name] = schema_of(parameter);
    top[name] = {{"description", block.summary},
                 {"type", "object"},
                 {"properties", properties},
                 {"additionalProperties", false}};
  }
  // A config names parameters of a stage whose type stands in the pipeline, so `type` may be missing there.
  top["stages"] = {
      {"type", "object"},
      {"additionalProperties",
       {{"if", {{"required", {"type"}}}}, {"then", {{"oneOf", kinds}}}, {"else", {{"type", "object"}}}}}};
  return {{"$schema", "https://json-schema.org/draft/2020-12/schema"},
          {"title", "worldline pipeline or config"},
          {"type", "object"},
          {"properties", top},
          {"additionalProperties", false}};
}

int list(bool json) {
  const auto& types = graph::stage_types();
  if (json) {
    Json all = Json::array();
    for (const auto& known : types) all.push_back(json_of(known.second));
    std::cout << all.dump(2) << '\n';
    return 0;
  }
  std::size_t width = 0;
  for (const auto& known : types) width = std::max(width, known.first.size());
  for (const auto& [name, type] : types)
    std::cout << name << std::string(width + 2 - name.size(), ' ') << type.summary << '\n';
  return 0;
}

}  // namespace

void add_stages(CLI::App& app, Verb& chosen) {
  auto* command = app.add_subcommand("stages", "list the stage types, or explain one");
  struct Options {
    std::string name;
    bool json = false, schema = false;
    std::vector<std::string> plugins;
  };
  auto options = std::make_shared<Options>();
  auto* name = command->add_option("name", options->name, "the stage type to explain");
  auto* json = command->add_flag("--json", options->json, "as JSON");
  command->add_flag("--schema", options->schema, "the JSON schema of pipelines and configs, for editors")
      ->excludes(json)
      ->excludes(name);
  add_plugins(*command, options->plugins);
  command->callback([options, &chosen] {
    chosen = [options] {
      load_plugins(options->plugins);
      if (options->schema) {
        std::cout << schema().dump(2) << '\n';
        return 0;
      }
      if (options->name.empty()) return list(options->json);
      const auto& types = graph::stage_types();
      const auto type = types.find(options->name);
      if (type == types.end()) {
        std::vector<std::string> names;
        for (const auto& known : types) names.push_back(known.first);
        throw graph::Error("no stage type '" + options->name + "'" +
                           graph::did_you_mean(options->name, names) + " (./run stages lists them)");
      }
      if (options->json)
        std::cout << json_of(type->second).dump(2) << '\n';
      else
        explain(type->second);
      return 0;
    };
  });
}

}  // namespace tools
