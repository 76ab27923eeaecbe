// fake-firestore [PORT]: the fake of the tests as a program. Prints "HOST:PORT" when it serves;
// ends with SIGTERM or SIGINT. It keeps everything in memory.

#include <csignal>
#include <cstdio>
#include <cstdlib>

#include "tests/support/fake_firestore.h"

int main(int argc, char** argv) {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  sigprocmask(SIG_BLOCK, &signals, nullptr);
  const state_engine::test::FakeFirestore server(argc > 1 ? std::atoi(argv[1]) : 0);
  std::printf("%s\n", server.address().c_str());
  std::fflush(stdout);
  int received = 0;
  sigwait(&signals, &received);
  return 0;
}
