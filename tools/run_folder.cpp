// run_folder: temporary name, rename, lock.
#include "tools/run_folder.h"

#include <fcntl.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/spdlog.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <iostream>
#include <memory>
#include <set>
#include <stdexcept>

#include "stages/whole_file.h"

namespace tools {
namespace {

namespace fs = std::filesystem;

// "2026-01-31-142530"
std::string now_as_name() {
  const auto now = std::time(nullptr);
  std::tm local{};
  localtime_r(&now, &local);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%d-%H%M%S", &local);
  return text;
}

std::string text_of(const graph::Pipeline& pipeline) {
  return "# This run's pipeline with its configs, overrides and defaults; it runs as it is.\n" +
         graph::to_yaml(pipeline.merged);
}

[[noreturn]] void fail(const fs::path& runs, const std::string& why) {
  throw std::runtime_error("cannot make the run's folder below " + runs.generic_string() + ": " + why);
}

// Values of `now` that differ from `before`, down to what is no map.
void compare(const std::string& name, const graph::Value& before, const graph::Value& now,
             const std::set<std::string>& free, std::vector<graph::Problem>& problems) {
  if (free.contains(name)) return;
  const auto inner = [&](const std::string& key) { return name.empty() ? key : name + "." + key; };
  if (before.is_map() && now.is_map()) {
    // Another type has other keys, and that it is another says it all.
    const auto *old_type = before.find("type"), *new_type = now.find("type");
    if (old_type && new_type && old_type->scalar != new_type->scalar)
      return compare(inner("type"), *old_type, *new_type, free, problems);
    for (const auto& entry : now.entries) {
      const auto* old = before.find(entry.key);
      if (old) compare(inner(entry.key), *old, entry.value, free, problems);
      if (!old && !free.contains(inner(entry.key)))
        problems.push_back(
            {entry.place, "'" + inner(entry.key) + "' is new; a run cannot change it on its way"});
    }
    for (const auto& entry : before.entries)
      if (!now.find(entry.key) && !free.contains(inner(entry.key)))
        problems.push_back(
            {now.place, "'" + inner(entry.key) + "' is gone; a run cannot change it on its way"});
    return;
  }
  const auto text = [](const graph::Value& value) {
    auto yaml = graph::to_yaml(value);
    while (yaml.ends_with('\n')) yaml.pop_back();
    return yaml;
  };
  if (text(before) != text(now))
    problems.push_back({now.place, "'" + name + "' is " + text(before) +
                                       " in this run, which cannot change it to " + text(now) +
                                       " on its way; start a new run for that"});
}

}  // namespace

RunFolder::RunFolder(fs::path path) : path_(std::move(path)) {
  lock_ = open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (lock_ < 0)
    throw std::runtime_error("cannot open " + path_.generic_string() + ": " + std::strerror(errno));
  if (flock(lock_, LOCK_EX | LOCK_NB) == 0) return;
  close(lock_);
  throw graph::Error(path_.generic_string() +
                     " is being written by another process; wait for it, or stop it");
}

RunFolder::RunFolder(RunFolder&& other) noexcept
    : path_(std::move(other.path_)), lock_(std::exchange(other.lock_, -1)) {}

RunFolder::~RunFolder() {
  if (lock_ >= 0) close(lock_);
}

RunFolder RunFolder::reopen(const fs::path& folder) { return RunFolder(folder); }

RunFolder RunFolder::make(const fs::path& runs, const std::string& given, const graph::Pipeline& pipeline) {
  const auto plain = [](unsigned char c) { return std::isalnum(c) || c == '-' || c == '_' || c == '.'; };
  if (given.starts_with('.') || !std::ranges::all_of(given, plain))
    throw graph::Error("--name " + given +
                       ": expected letters, digits and - _ . alone; --runs chooses the folder around it");
  std::error_code code;
  fs::create_directories(runs, code);
  if (code) fail(runs, code.message());
  auto temporary = (runs / ".new-XXXXXX").string();
  if (!mkdtemp(temporary.data())) fail(runs, std::strerror(errno));
  try {
    fs::permissions(
        temporary,
        fs::perms::group_read | fs::perms::group_exec | fs::perms::others_read | fs::perms::others_exec,
        fs::perm_options::add);
    RunFolder made(temporary);
    made.write(pipeline);
    const auto name = given.empty() ? now_as_name() : given;
    // Two runs of one second get different names.
    for (int copy = 1; copy < 100; ++copy) {
      made.path_ = runs / (copy == 1 ? name : name + "-" + std::to_string(copy));
      if (renameat2(AT_FDCWD, temporary.c_str(), AT_FDCWD, made.path_.c_str(), RENAME_NOREPLACE) == 0)
        return made;
      if (errno != EEXIST) fail(runs, std::strerror(errno));
      if (!given.empty())
        throw graph::Error(made.path_.generic_string() + " exists; `./run " + made.path_.generic_string() +
                           "` goes on with it, another --name begins anew");
    }
    fail(runs, "no free name");
  } catch (...) {
    fs::remove_all(temporary, code);
    throw;
  }
}

void RunFolder::write(const graph::Pipeline& pipeline) const {
  stages::write_whole(path_ / "pipeline.yaml", text_of(pipeline));
}

void RunFolder::take_log() const {
  auto file = std::make_shared<spdlog::sinks::basic_file_sink_mt>((path_ / "log.txt").string());
  file->set_pattern("%Y-%m-%d %H:%M:%S %l %v");
  // The file also gets what a terminal shows in another form.
  auto& logger = *spdlog::default_logger();
  for (const auto& sink : logger.sinks()) sink->set_level(spdlog::level::info);
  logger.sinks().push_back(std::move(file));
  logger.set_level(spdlog::level::debug);
  logger.flush_on(spdlog::level::debug);
  // A disk that is full ends the run by what matters more than its log.
  logger.set_error_handler([said = std::make_shared<bool>(false)](const std::string& why) {
    if (!std::exchange(*said, true)) std::cerr << "log.txt is incomplete: " << why << '\n';
  });
}

void RunFolder::remove_if_unused() const {
  for (const auto& entry : fs::recursive_directory_iterator(path_)) {
    const auto name = entry.path().filename();
    const bool ours = name == "pipeline.yaml" || name == "log.txt";
    if (!entry.is_directory() && !ours && entry.file_size() > 0) return;
  }
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

void check_changes(const graph::Pipeline& before, const graph::Pipeline& now) {
  std::set<std::string> free{"stop"};
  for (const auto& stage : now.stages)
    for (const auto& parameter : stage.type->parameters)
      if (parameter.live) free.insert("stages." + stage.name + "." + parameter.name);
  std::vector<graph::Problem> problems;
  compare("", before.merged, now.merged, free, problems);
  if (!problems.empty()) throw graph::Error(std::move(problems));
}

}  // namespace tools
