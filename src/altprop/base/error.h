// Errors that a user can act on. Every message is one sentence (or two): what is wrong, where, what
// to do.
#pragma once

#include <stdexcept>
#include <string>

namespace altprop {

/// Something failed while running (a damaged file, a full disk, NaN): the program ends with exit
/// code 1.
struct Error : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// Numbers grew without bound, in training or in a rule's inference: says where and what to do.
struct Diverged : Error {
  using Error::Error;
};

/// What was asked for cannot be done as asked (unknown name, value out of range): exit code 2.
struct UsageError : Error {
  using Error::Error;
};

/// Two well-formed things that do not go together, e.g. a rule and a network it is not defined for.
struct Refusal : UsageError {
  /// @param where   the operation, layer or option that does not fit
  /// @param why     the reason, a clause without a full stop
  /// @param instead what to use instead, a clause without a full stop; may be empty
  Refusal(std::string where, std::string why, std::string instead = "")
      : UsageError(where + ": " + why + (instead.empty() ? "" : "; " + instead)),
        where(std::move(where)),
        why(std::move(why)),
        instead(std::move(instead)) {}

  std::string where, why, instead;
};

}  // namespace altprop
