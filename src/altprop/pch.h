// Precompiled header of the library, the program and the tests: what nearly every file needs and takes long to parse.
// Only ATen: <torch/torch.h> would make every file take five times as long, and few need it.
#pragma once

#include <ATen/ATen.h>

#include <nlohmann/json.hpp>
