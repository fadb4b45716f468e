// process: fork, exec, wait.
#include "tests/pipelines/process.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <thread>

namespace tests {

using Clock = std::chrono::steady_clock;

namespace {

// Named endpoints lie below it: those of tests must not meet those of a game that is played meanwhile.
const Folder& runtime_folder() {
  static const Folder folder;
  return folder;
}

}  // namespace

Process::Process(std::vector<std::string> arguments) {
  setenv("XDG_RUNTIME_DIR", runtime_folder().string().c_str(), 1);
  static std::atomic<int> processes = 0;
  log_ = runtime_folder() / (std::to_string(++processes) + ".log");
  const int log = open(log_.c_str(), O_CREAT | O_EXCL | O_RDWR, S_IRUSR | S_IWUSR);
  if (log < 0) throw std::runtime_error("cannot make a log file");
  std::string binary = WORLDLINE_BINARY;
  std::vector<char*> argv = {binary.data()};
  for (auto& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  pid_ = fork();
  if (pid_ == 0) {
    if (chdir(PROJECT_DIR) != 0) _exit(127);
    dup2(log, STDOUT_FILENO);
    dup2(log, STDERR_FILENO);
    execv(argv[0], argv.data());
    _exit(127);
  }
  close(log);
}

Process::~Process() {
  if (pid_ > 0) {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  std::error_code ignored;
  std::filesystem::remove(log_, ignored);
}

void Process::signal(int number) const { kill(pid_, number); }

int Process::wait(std::chrono::milliseconds limit) {
  const auto end = Clock::now() + limit;
  while (Clock::now() < end) {
    int status = 0;
    if (waitpid(pid_, &status, WNOHANG) == pid_) {
      pid_ = -1;
      return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return -1;
}

std::string Process::output() const {
  std::ifstream file(log_);
  return {std::istreambuf_iterator<char>(file), {}};
}

bool Process::printed(const std::string& text, std::chrono::milliseconds limit) const {
  const auto end = Clock::now() + limit;
  while (Clock::now() < end) {
    if (has(output(), text)) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return false;
}

SmallDisk::SmallDisk(std::size_t bytes)
    : ready_(mount("tmpfs", folder_.string().c_str(), "tmpfs", 0,
                   ("size=" + std::to_string(bytes)).c_str()) == 0) {}

SmallDisk::~SmallDisk() {
  if (ready_) umount2(folder_.string().c_str(), MNT_DETACH);
}

Result run(std::vector<std::string> arguments) {
  Process process(std::move(arguments));
  const int code = process.wait();
  return {code, process.output()};
}

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace tests
