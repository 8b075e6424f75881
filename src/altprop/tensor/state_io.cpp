#include "altprop/tensor/state_io.h"

#include <cstring>

#include "altprop/base/error.h"
#include "altprop/base/text.h"

namespace altprop {

namespace {

const Tensor& single(const Tensor& stored, at::ScalarType type, const std::string& name) {
  if (stored.numel() != 1 || stored.scalar_type() != type)
    throw Error(altprop::text::cat("checkpoint entry '", name, "' is ", stored.scalar_type(),
                                   shape_text(stored.sizes()), ", but a single ", type,
                                   " is expected"));
  return stored;
}

}  // namespace

const Tensor& StateIO::entry(const std::string& name) const {
  auto it = map_.find(prefix_ + name);
  if (it == map_.end())
    throw Error("the checkpoint has no entry '" + prefix_ + name +
                "'; it was written for another network, rule or optimizer");
  return it->second;
}

void StateIO::tensor(const std::string& name, Tensor& value) {
  if (!loading_) {
    if (value.defined()) map_[prefix_ + name] = value.detach().to(at::kCPU).clone();
    return;
  }
  const Tensor& stored = entry(name);
  if (!value.defined()) {
    value = stored.clone();
    return;
  }
  if (stored.sizes() != value.sizes() || stored.scalar_type() != value.scalar_type())
    throw Error(altprop::text::cat("checkpoint entry '", prefix_, name, "' is ",
                                   stored.scalar_type(), shape_text(stored.sizes()), ", but ",
                                   value.scalar_type(), shape_text(value.sizes()), " is expected"));
  value.copy_(stored);
}

void StateIO::integer(const std::string& name, int64_t& value) {
  if (loading_) {
    value = single(entry(name), at::kLong, prefix_ + name).item<int64_t>();
  } else {
    map_[prefix_ + name] = at::scalar_tensor(value, at::kLong);
  }
}

void StateIO::number(const std::string& name, double& value) {
  if (loading_) {
    value = single(entry(name), at::kDouble, prefix_ + name).item<double>();
  } else {
    map_[prefix_ + name] = at::scalar_tensor(value, at::kDouble);
  }
}

void StateIO::text(const std::string& name, std::string& value) {
  if (loading_) {
    const Tensor& stored = entry(name);
    if (stored.scalar_type() != at::kByte)
      throw Error("checkpoint entry '" + prefix_ + name + "' is no text");
    const Tensor bytes = stored.contiguous();
    value.assign(reinterpret_cast<const char*>(bytes.data_ptr<uint8_t>()),
                 static_cast<size_t>(bytes.numel()));
  } else {
    Tensor bytes = at::empty({static_cast<int64_t>(value.size())}, at::kByte);
    std::memcpy(bytes.data_ptr<uint8_t>(), value.data(), value.size());
    map_[prefix_ + name] = bytes;
  }
}

}  // namespace altprop
