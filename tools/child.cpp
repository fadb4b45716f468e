// child: fork, exec, wait.
#include "tools/child.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <stdexcept>

namespace tools {

Child::Child(const std::vector<std::string>& arguments, const std::filesystem::path& log) {
  std::vector<std::string> all{"worldline"};
  all.insert(all.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (auto& argument : all) argv.push_back(argument.data());
  argv.push_back(nullptr);
  const int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
  const int file = open(log.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0644);
  if (nothing < 0 || file < 0)
    throw std::runtime_error("cannot write " + log.generic_string() + ": " + std::strerror(errno));
  const auto parent = getpid();
  pid_ = fork();
  if (pid_ == 0) {
    // Nothing here may allocate: another thread of the parent may have held the heap's lock.
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(127);  // it was gone before it could be told of
    setpgid(0, 0);
    dup2(nothing, STDIN_FILENO);
    dup2(file, STDOUT_FILENO);
    dup2(file, STDERR_FILENO);
    // The program that runs, even where the file has been built anew meanwhile.
    execv("/proc/self/exe", argv.data());
    _exit(127);
  }
  const std::string why = std::strerror(errno);
  close(nothing);
  close(file);
  if (pid_ < 0) throw std::runtime_error("cannot start a process: " + why);
}

Child::~Child() {
  if (pid_ < 0) return;
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
}

void Child::signal(int number) const {
  if (pid_ > 0) kill(pid_, number);
}

std::optional<int> Child::ended() {
  int status = 0;
  if (pid_ > 0) {
    if (waitpid(pid_, &status, WNOHANG) != pid_) return std::nullopt;
    code_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    pid_ = -1;
  }
  return code_;
}

}  // namespace tools
