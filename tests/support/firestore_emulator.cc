// The emulator dies with its parent, however that ends; its own signals are not relied on.

#include "tests/support/firestore_emulator.h"

#include <algorithm>
#include <arpa/inet.h>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <netinet/in.h>
#include <stdexcept>
#include <string_view>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <thread>

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include "tests/support/patience.h"

namespace state_engine::test {
namespace {

constexpr const char* kPackagedJar =
    "/usr/lib/google-cloud-sdk/platform/cloud-firestore-emulator/cloud-firestore-emulator.jar";
constexpr const char* kClass = "com.google.cloud.datastore.emulator.firestore.CloudFirestore";
constexpr std::chrono::seconds kStartTime{60};

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : "";
}

sockaddr_in loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  return address;
}

int free_port() {
  const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = loopback(0);
  socklen_t size = sizeof address;
  if (::bind(socket, reinterpret_cast<sockaddr*>(&address), size) != 0 ||
      ::getsockname(socket, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    throw std::runtime_error("no free port");
  }
  ::close(socket);
  return ntohs(address.sin_port);
}

// It listens a while before it serves: asked for its front page, it says so.
bool answers(int port) {
  constexpr std::string_view kRequest = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
  const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const timeval patience{2, 0};
  ::setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  const sockaddr_in address = loopback(port);
  char byte = 0;
  const bool answered =
      ::connect(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 &&
      ::write(socket, kRequest.data(), kRequest.size()) > 0 && ::read(socket, &byte, 1) == 1;
  ::close(socket);
  return answered;
}

std::string java_program() {
  const std::string path = environment("PATH");
  std::string_view rest = path;
  while (!rest.empty()) {
    const std::string_view folder = rest.substr(0, rest.find(':'));
    const std::string candidate = fmt::format("{}/java", folder);
    if (::access(candidate.c_str(), X_OK) == 0) return candidate;
    rest.remove_prefix(std::min(rest.size(), folder.size() + 1));
  }
  return "";
}

// Between fork and exec only system calls: other threads may have held locks.
[[noreturn]] void become_emulator(const char* java, const char* jar, const char* port) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  const int nowhere = ::open("/dev/null", O_RDWR);
  for (const int stream : {0, 1, 2}) ::dup2(nowhere, stream);
  ::execl(java, "java", "-Xmx1g", "-XX:TieredStopAtLevel=1", "-cp", jar, kClass, "--host",
          "127.0.0.1", "--port", port, static_cast<char*>(nullptr));
  ::_exit(127);
}

}  // namespace

std::variant<std::unique_ptr<FirestoreEmulator>, FirestoreEmulator::Absent>
FirestoreEmulator::start() {
  if (const std::string running = environment("FIRESTORE_EMULATOR_HOST"); !running.empty()) {
    return std::unique_ptr<FirestoreEmulator>(new FirestoreEmulator(running, 0));
  }
  std::string jar = environment("FIRESTORE_EMULATOR_JAR");
  if (jar.empty()) jar = kPackagedJar;
  if (!std::filesystem::exists(jar)) {
    return Absent{
        fmt::format("no Firestore emulator at {} (package "
                    "google-cloud-cli-firestore-emulator, or set FIRESTORE_EMULATOR_JAR)",
                    jar)};
  }
  const std::string java = java_program();
  if (java.empty()) return Absent{"missing java (package default-jre-headless)"};
  const int port = free_port();
  const std::string port_text = std::to_string(port);
  const int pid = ::fork();
  if (pid == 0) become_emulator(java.c_str(), jar.c_str(), port_text.c_str());
  if (pid < 0) throw std::runtime_error("fork failed");
  std::unique_ptr<FirestoreEmulator> emulator(
      new FirestoreEmulator(fmt::format("127.0.0.1:{}", port), pid));
  const auto end = std::chrono::steady_clock::now() + kStartTime;
  while (!answers(port)) {
    if (::waitpid(pid, nullptr, WNOHANG) == pid || std::chrono::steady_clock::now() > end) {
      throw std::runtime_error("the Firestore emulator did not start: " + jar);
    }
    let_pass(std::chrono::milliseconds{50});
  }
  return emulator;
}

FirestoreEmulator::~FirestoreEmulator() {
  if (pid_ == 0) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
}

}  // namespace state_engine::test
