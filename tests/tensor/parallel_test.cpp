// libtorch's parallel loops are templates that the including program compiles: without OpenMP they are serial, and every
// result is still right.
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <atomic>

namespace altprop {
namespace {

TEST(Parallel, OwnLoopsUseTheThreadsThatAreAskedFor) {
  const int before = at::get_num_threads();
  for (int threads : {1, 2}) {
    at::set_num_threads(threads);
    std::atomic<int> seen{0};
    at::parallel_for(0, 2, 1, [&](int64_t, int64_t) { seen |= 1 << at::get_thread_num(); });
    EXPECT_EQ(seen, threads == 2 ? 3 : 1) << threads << " threads";
  }
  at::set_num_threads(before);
}

}  // namespace
}  // namespace altprop
