// run_stub: a run for stages that want to know of one, with a folder that goes away.
#pragma once

#include <filesystem>
#include <map>
#include <stop_token>

#include "graph/context.h"
#include "tests/folder.h"

namespace tests {

class RunStub : public graph::Run {
 public:
  void stop() override { stop_.request_stop(); }
  std::stop_token stop_token() const override { return stop_.get_token(); }
  bool failed() const override { return broken; }
  double progress(std::uint64_t number) const override {
    return static_cast<double>(number) / static_cast<double>(length);
  }
  bool ends() const override { return length > 0; }
  std::uint64_t steps() const override { return length; }
  std::uint64_t first() const override { return first_number; }
  double elapsed() const override { return seconds; }
  const std::filesystem::path& folder() const override { return folder_.path(); }
  void set(const std::string& stage, const std::string& key, const std::string& value) override {
    values[stage + "." + key] = value;
  }
  std::string get(const std::string& stage, const std::string& key) const override {
    return values.at(stage + "." + key);
  }
  std::map<std::string, std::string> live() const override { return values; }
  std::string pipeline() const override { return text; }
  std::vector<graph::EdgeReport> edges_into(const std::string&) const override { return edges; }

  std::uint64_t length = 100, first_number = 0;
  double seconds = 0;
  std::string text = "stages: {}\n";
  bool broken = false;
  std::map<std::string, std::string> values;  // "stage.parameter"
  std::vector<graph::EdgeReport> edges;

 private:
  Folder folder_;
  std::stop_source stop_;
};

}  // namespace tests
