#include "altprop/network/spec.h"

#include <algorithm>
#include <cmath>

#include "altprop/base/error.h"
#include "altprop/base/text.h"

namespace altprop {

int64_t Spec::numel() const {
  int64_t n = 1;
  for (int64_t extent : shape) n *= extent;
  return n;
}

namespace {

std::string kind_text(Kind kind) {
  switch (kind) {
    case Kind::SpikeTime:
      return "spike times";
    case Kind::Probability:
      return "probabilities";
    default:
      return "real values";
  }
}

std::string dtype_text(Dtype dtype) {
  switch (dtype) {
    case Dtype::Int64:
      return "integers";
    case Dtype::Bool:
      return "truth values";
    default:
      return "real numbers";
  }
}

/// "real values or spike times"
template <class T>
std::string list_text(const std::vector<T>& all, std::string (*name)(T)) {
  std::string out;
  for (const T& one : all) out += (out.empty() ? "" : " or ") + name(one);
  return out;
}

template <class T>
bool among(const std::vector<T>& all, T one) {
  return std::find(all.begin(), all.end(), one) != all.end();
}

}  // namespace

std::string values_text(const Spec& spec) {
  return spec.dtype == Dtype::Float ? kind_text(spec.kind) : dtype_text(spec.dtype);
}

std::string unusual_text(const Spec& spec) {
  std::string out;
  if (spec.dtype == Dtype::Int64) out += " int64";
  if (spec.dtype == Dtype::Bool) out += " bool";
  if (spec.kind != Kind::Real) out += " " + kind_text(spec.kind);
  if (!spec.batched) out += " for the batch";
  return out;
}

bool stores(const Tensor& value, Dtype dtype) {
  switch (dtype) {
    case Dtype::Int64:
      return at::isIntegralType(value.scalar_type(), false);
    case Dtype::Bool:
      return value.scalar_type() == at::kBool;
    default:
      return !at::isIntegralType(value.scalar_type(), true);
  }
}

Dtype dtype_of(const Tensor& value) {
  if (value.scalar_type() == at::kBool) return Dtype::Bool;
  return at::isIntegralType(value.scalar_type(), false) ? Dtype::Int64 : Dtype::Float;
}

bool legal(const Tensor& value, Kind kind) {
  if (!value.is_floating_point()) return true;
  if (kind != Kind::SpikeTime) return value.isfinite().all().item<bool>();
  return value.gt(-INFINITY).all().item<bool>();  // false of NaN
}

Takes Takes::anything() {
  return {.kinds = {Kind::Real, Kind::SpikeTime, Kind::Probability},
          .dtypes = {Dtype::Float, Dtype::Int64, Dtype::Bool}};
}

void expect_taken(const std::string& where, const std::string& type, const Takes& takes,
                  const Spec& value, const std::string& giver) {
  const bool times = value.kind == Kind::SpikeTime && value.dtype == Dtype::Float;
  const auto refuse = [&](const std::string& taken, const std::string& given,
                          const std::string& instead) {
    const std::string& own = times ? takes.instead_of_times : takes.instead;
    throw Refusal(where, text::cat(type, " takes ", taken, ", and '", giver, "' gives ", given),
                  own.empty() ? instead : own);
  };
  if (!among(takes.dtypes, value.dtype))
    refuse(list_text(takes.dtypes, dtype_text), dtype_text(value.dtype),
           among(takes.dtypes, Dtype::Float) ? "put an embedding in front"
                                             : "let the input hold integers (Dtype::Int64)");
  if (!among(takes.kinds, value.kind))
    refuse(list_text(takes.kinds, kind_text), kind_text(value.kind),
           times ? "leave it out, because layers of spike times have their activation built in and "
                   "need no norms and biases, or put a membrane layer in front"
                 : "use an operation that takes " + kind_text(value.kind));
  if (!value.batched && !takes.unbatched)
    refuse("one value per sample", "one for the whole batch",
           "give every sample its own, or join it by add, multiply or concat");
}

}  // namespace altprop
