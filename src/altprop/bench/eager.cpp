#include "altprop/bench/eager.h"

#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "altprop/bench/eager_script.h"

extern char** environ;

namespace altprop::bench {

std::unique_ptr<EagerPeer> EagerPeer::start(const std::string& python, int threads,
                                            bool processor_time) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) return nullptr;
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  std::string name = python, flag = "-c", script(eager_script), count = std::to_string(threads);
  std::string clock = processor_time ? "processor" : "wall";
  char* const argv[] = {name.data(),  flag.data(),  script.data(),
                        count.data(), clock.data(), nullptr};
  pid_t pid = 0;
  const int failed = posix_spawnp(&pid, name.c_str(), &actions, nullptr, argv, environ);
  posix_spawn_file_actions_destroy(&actions);
  close(ends[1]);
  if (failed) {
    close(ends[0]);
    return nullptr;
  }
  std::unique_ptr<EagerPeer> peer(new EagerPeer(pid, ends[0]));
  return peer->read_line() == "ready" ? std::move(peer) : nullptr;
}

EagerPeer::~EagerPeer() {
  close(socket_);  // the end of its input: the script returns
  waitpid(pid_, nullptr, 0);
}

std::optional<std::string> EagerPeer::read_line() {
  for (;;) {
    if (const size_t end = unread_.find('\n'); end != std::string::npos) {
      std::string line = unread_.substr(0, end);
      unread_.erase(0, end + 1);
      return line;
    }
    char bytes[256];
    const ssize_t n = read(socket_, bytes, sizeof bytes);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return std::nullopt;
    unread_.append(bytes, static_cast<size_t>(n));
  }
}

std::optional<double> EagerPeer::step_seconds(const std::string& work, const std::string& rule,
                                              const std::string& optimizer, int64_t batch,
                                              double budget, bool compiled) {
  return ask(work, rule, optimizer, batch, text::cat(budget, compiled ? " compile" : ""));
}

std::optional<int64_t> EagerPeer::peak_memory(const std::string& work, const std::string& rule,
                                              const std::string& optimizer, int64_t batch) {
  const auto bytes = ask(work, rule, optimizer, batch, "memory");
  return bytes ? std::optional<int64_t>(static_cast<int64_t>(*bytes)) : std::nullopt;
}

std::optional<double> EagerPeer::ask(const std::string& work, const std::string& rule,
                                     const std::string& optimizer, int64_t batch,
                                     const std::string& wanted) {
  // Words are separated by blanks: a rule that has some in its brackets is none that it knows.
  if (rule.find_first_of(" \t") != std::string::npos) return std::nullopt;
  const std::string request =
      text::cat(work, " ", rule, " ", optimizer, " ", batch, " ", wanted, "\n");
  const ssize_t sent = send(socket_, request.data(), request.size(), MSG_NOSIGNAL);
  const std::optional<std::string> answer =
      sent == static_cast<ssize_t>(request.size()) ? read_line() : std::nullopt;
  if (!answer) throw Error("eager PyTorch ended while it was measured; its words are above");
  return text::to_number(*answer);
}

}  // namespace altprop::bench
