#include <cstdio>
#include <exception>
#include <string>

#include "altprop/base/version.h"
#include "altprop/report/html_report.h"

int main(int argc, char** argv) try {
  if (argc == 3 && std::string(argv[1]) == "report") return altprop::report::write(argv[2]), 0;
  std::printf("altprop %s\n", altprop::version().c_str());
} catch (const std::exception& error) {
  return std::fprintf(stderr, "altprop: %s\n", error.what()), 1;
}
