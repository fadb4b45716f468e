// number_stages: small stages of integers that the engine's tests are wired from.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <vector>

namespace tests {

struct Number {
  std::int64_t value = 0;
};
struct Word {
  std::string text;
};

/// What the `collect` stages received since the last clear(), by the stage's name.
class Collected {
 public:
  void clear();
  void add(const std::string& stage, std::uint64_t number, std::int64_t value);
  std::vector<std::int64_t> values(const std::string& stage) const;
  std::vector<std::uint64_t> numbers(const std::string& stage) const;

 private:
  mutable std::mutex mutex_;
  std::map<std::string, std::vector<std::pair<std::uint64_t, std::int64_t>>> all_;
};
Collected& collected();

}  // namespace tests
