// Feeds the files of CORPUS/TARGET to each target of this program: seeds, and what once broke.

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "tests/fuzz/targets.h"

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: %s CORPUS\n", argv[0]);
    return 2;
  }
  for (const auto& target : state_engine::fuzz::targets()) {
    std::vector<std::filesystem::path> files;
    for (const auto& entry :
         std::filesystem::directory_iterator(std::filesystem::path(argv[1]) / target.name)) {
      files.push_back(entry.path());
    }
    std::sort(files.begin(), files.end());
    const std::string name(target.name);
    if (files.empty()) {
      std::fprintf(stderr, "%s has no corpus\n", name.c_str());
      return 1;
    }
    for (const auto& path : files) {
      std::printf("%s %s\n", name.c_str(), path.filename().c_str());
      std::fflush(stdout);  // Names the input that aborts.
      std::ifstream file(path, std::ios::binary);
      const std::string text(std::istreambuf_iterator<char>(file), {});
      target.run(text);
    }
  }
  return 0;
}
