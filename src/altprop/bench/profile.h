// Where the time of a step goes: libtorch's operators by name and operand shapes.
#pragma once

#include <functional>
#include <string>

namespace altprop::bench {

/// Runs `step` for about `seconds` and returns a table: time and number of calls of each operator
/// per step, without the operators that it calls in turn; and the time outside of any operator. The
/// recorder costs about a microsecond a call.
std::string profile(const std::function<void()>& step, double seconds);

}  // namespace altprop::bench
