// How long the threads of OpenMP spin at a barrier before they sleep. libgomp reads that from the
// environment while it is loaded, before any code of the program's own, and then spins for so long
// that on a machine with other load, where a thread that is waited for has lost its processor, a
// step can take ten times as long (docs/performance.md has the figures). So the program starts
// itself anew with another default, from the one list of functions that run before libraries are
// initialised. Whoever sets OMP_WAIT_POLICY or GOMP_SPINCOUNT keeps what he has set.
#include <unistd.h>

#include <cstring>

namespace {

char spin_count[] = "GOMP_SPINCOUNT=3000";

bool sets(const char* variable, const char* name) {
  const size_t length = std::strlen(name);
  return std::strncmp(variable, name, length) == 0 && variable[length] == '=';
}

void choose_wait_policy(int, char** argv, char** environment) {
  size_t count = 0;
  for (; environment[count]; ++count)
    if (sets(environment[count], "OMP_WAIT_POLICY") || sets(environment[count], "GOMP_SPINCOUNT"))
      return;
  // No library is initialised yet, so that this does without an allocator.
  char* changed[4096];
  if (count + 2 > sizeof changed / sizeof *changed) return;
  std::memcpy(changed, environment, count * sizeof *changed);
  changed[count] = spin_count;
  changed[count + 1] = nullptr;
  execve("/proc/self/exe", argv, changed);  // else it goes on as it is
}

[[gnu::section(".preinit_array"),
  gnu::used]] void (*const before_libraries)(int, char**, char**) = choose_wait_policy;

}  // namespace
