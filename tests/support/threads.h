// A number of threads for as long as a test needs it.
#pragma once

#include <ATen/Parallel.h>

namespace altprop::test {

struct Threads {
  int before = at::get_num_threads();
  explicit Threads(int number) { at::set_num_threads(number); }
  ~Threads() { at::set_num_threads(before); }
};

}  // namespace altprop::test
