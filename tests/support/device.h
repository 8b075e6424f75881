// Where tests put networks, batches and runs: the device in ALTPROP_TEST_DEVICE, e.g. "cuda"; the
// CPU if it is not set. tools/test.sh runs the tests a second time with it where there is a GPU.
#pragma once

#include <cstdlib>
#include <string>

#include "altprop/tensor/tensor.h"

namespace altprop::test {

inline at::Device test_device() {
  const char* set = std::getenv("ALTPROP_TEST_DEVICE");
  return at::Device(set && *set ? std::string(set) : "cpu");
}

inline at::TensorOptions on_device(at::ScalarType type) {
  return at::TensorOptions(type).device(test_device());
}

}  // namespace altprop::test
