// posix_spawn rather than system() or popen(): extra variables without touching our environment,
// and a socket as standard input, so that a command that reads nothing cannot kill us by SIGPIPE.

#include "cli/run_command.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <sys/socket.h>
#include <sys/wait.h>

#include <fcntl.h>
#include <spawn.h>
#include <unistd.h>

namespace state_engine::cli {
namespace {

Error system_error(const std::string& what, int error) {
  return {ErrorCode::kInternal, what + ": " + std::strerror(error)};
}

// Sends everything, or stops when the command closes its end. A socket rather than a pipe: its
// MSG_NOSIGNAL spares the process a SIGPIPE.
void send_all(int socket, const std::string& input) {
  std::size_t sent = 0;
  while (sent < input.size()) {
    const ssize_t count = send(socket, input.data() + sent, input.size() - sent, MSG_NOSIGNAL);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return;
    sent += static_cast<std::size_t>(count);
  }
}

Result<int> wait_for(pid_t child) {
  int status = 0;
  while (waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) return system_error("waiting for the command", errno);
  }
  constexpr int kSignalBase = 128;
  return WIFEXITED(status) ? WEXITSTATUS(status) : kSignalBase + WTERMSIG(status);
}

}  // namespace

Result<int> run_command(const std::string& command, const CommandVariables& variables,
                        const std::string& input) {
  std::vector<std::string> settings;
  settings.reserve(variables.size());
  for (const auto& [name, value] : variables) {
    std::string& setting = settings.emplace_back(name);
    setting += '=';
    setting += value;
  }
  std::vector<char*> environment;
  for (char** entry = environ; *entry != nullptr; ++entry) environment.push_back(*entry);
  for (std::string& setting : settings) environment.push_back(setting.data());
  environment.push_back(nullptr);

  std::array<int, 2> ends{};
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) {
    return system_error("cannot make a socket pair", errno);
  }
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDIN_FILENO);
  std::string shell = "sh";
  std::string flag = "-c";
  std::string text = command;
  std::array<char*, 4> arguments = {shell.data(), flag.data(), text.data(), nullptr};
  pid_t child = 0;
  const int error =
      posix_spawn(&child, "/bin/sh", &actions, nullptr, arguments.data(), environment.data());
  posix_spawn_file_actions_destroy(&actions);
  close(ends[1]);
  if (error == 0) send_all(ends[0], input);
  close(ends[0]);
  if (error != 0) return system_error("cannot start the command", error);
  return wait_for(child);
}

}  // namespace state_engine::cli
