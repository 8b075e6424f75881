#include <altprop/base/version.h>
#include <altprop/rules/registry.h>

#include <cstdio>

int main() {
  std::printf("altprop %s knows %zu rules\n", altprop::version().c_str(), altprop::rule_entries().size());
  return altprop::rule_entry("bp").name == "backprop" ? 0 : 1;
}
