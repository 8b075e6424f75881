#include "network.h"

#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "altprop/network/ops/activation.h"
#include "altprop/network/ops/aten_box.h"
#include "altprop/network/ops/combine.h"
#include "altprop/network/ops/conv.h"
#include "altprop/network/ops/dropout.h"
#include "altprop/network/ops/embedding.h"
#include "altprop/network/ops/group_norm.h"
#include "altprop/network/ops/learnt.h"
#include "altprop/network/ops/linear.h"
#include "altprop/network/ops/move.h"
#include "altprop/network/ops/norm.h"
#include "altprop/network/ops/pool.h"
#include "altprop/network/ops/rms_norm.h"
#include "altprop/network/ops/scale.h"
#include "altprop/network/ops/shape.h"

namespace altprop::python {

namespace py = pybind11;

namespace {

template <class T>
T setting(const py::dict& settings, const char* name, T usual) {
  return settings.contains(name) ? settings[name].cast<T>() : usual;
}

Dtype dtype_named(const std::string& name) {
  if (name == "float") return Dtype::Float;
  if (name == "int64") return Dtype::Int64;
  if (name == "bool") return Dtype::Bool;
  throw UsageError("inputs of a network hold floating-point numbers, int64 or bool, not " + name);
}

ConvSettings conv_settings(const py::dict& s, const ParamPtr& weight) {
  return {.out = weight->value.size(0),
          .stride = setting<int64_t>(s, "stride", 1),
          .padding = setting<int64_t>(s, "padding", 0),
          .dilation = setting<int64_t>(s, "dilation", 1),
          .groups = setting<int64_t>(s, "groups", 1)};
}

}  // namespace

ParamPtr Network::at(const std::vector<int>& numbers, size_t i) const {
  return i < numbers.size() && numbers[i] >= 0 ? params_.at(static_cast<size_t>(numbers[i])) : nullptr;
}

int Network::input(const std::vector<int64_t>& shape, const std::string& dtype,
                   const std::string& name) {
  return graph_.input({.shape = shape, .dtype = dtype_named(dtype)}, name);
}

int Network::param(const std::string& name, const Tensor& tensor, bool learnt) {
  auto out = std::make_shared<Param>(name, tensor.detach());
  out->learnt = learnt;
  out->placed = true;
  params_.push_back(std::move(out));
  return static_cast<int>(params_.size()) - 1;
}

int Network::add(const std::string& kind, const py::dict& s, const std::vector<int>& params,
                 const std::vector<int>& inputs, const std::string& name) {
  const ParamPtr weight = at(params, 0), bias = at(params, 1);
  const auto number = [&](const char* what, double usual) { return setting<double>(s, what, usual); };
  const auto whole = [&](const char* what, int64_t usual) { return setting<int64_t>(s, what, usual); };
  OpPtr op;
  if (kind == "linear") {
    op = std::make_shared<Linear>(weight, bias);
  } else if (kind == "conv1d" || kind == "conv2d") {
    const ConvSettings conv = conv_settings(s, weight);
    op = kind == "conv1d" ? conv1d(conv, weight, bias) : conv2d(conv, weight, bias);
  } else if (kind == "batch_norm") {
    const double eps = number("eps", 1e-5), momentum = number("momentum", 0.1);
    if (setting<bool>(s, "fixed", false))
      op = std::make_shared<FixedBatchNorm>(eps, momentum, weight, bias);
    else
      op = std::make_shared<BatchNorm>(eps, momentum, weight, bias);
  } else if (kind == "layer_norm") {
    op = std::make_shared<LayerNorm>(number("eps", 1e-5), setting<bool>(s, "all_features", false), weight,
                                     bias);
  } else if (kind == "group_norm") {
    op = std::make_shared<GroupNorm>(whole("groups", 1), number("eps", 1e-5), weight, bias);
  } else if (kind == "embedding") {
    op = std::make_shared<Embedding>(weight, nullptr, whole("padding", -1));
  } else if (kind == "gain") {
    op = std::make_shared<Gain>(weight);
  } else if (kind == "offset") {
    op = std::make_shared<Offset>(weight);
  } else if (kind == "prepend") {
    op = std::make_shared<Prepend>(weight);
  } else if (kind == "rms_norm") {
    op = std::make_shared<RmsNorm>(number("eps", 1e-5), weight);
  } else if (kind == "activation") {
    op = activation(s["function"].cast<std::string>());
  } else if (kind == "max_pool2d") {
    op = max_pool2d(whole("kernel", 2), whole("stride", 0), whole("padding", 0));
  } else if (kind == "average_pool2d") {
    op = average_pool2d(whole("kernel", 2), whole("stride", 0), whole("padding", 0));
  } else if (kind == "global_average_pool") {
    op = global_average_pool();
  } else if (kind == "reshape") {
    op = reshape(s["shape"].cast<std::vector<int64_t>>());
  } else if (kind == "permute") {
    op = permute(s["order"].cast<std::vector<int64_t>>());
  } else if (kind == "slice") {
    op = slice(whole("dim", 1), whole("from", 0), whole("count", 1), whole("step", 1));
  } else if (kind == "add") {
    op = altprop::add(static_cast<int>(inputs.size()));
  } else if (kind == "multiply") {
    op = multiply();
  } else if (kind == "concat") {
    op = concat(static_cast<int>(inputs.size()), whole("dim", 1));
  } else if (kind == "dropout") {
    op = dropout(number("p", 0.5));
  } else if (kind == "scale") {
    op = scale(number("factor", 1));
  } else {
    throw UsageError("there is no operation '" + kind + "' for traced networks");
  }
  const int out = graph_.add(op, inputs, name);
  // Statistics that a module has are the module's own tensors.
  for (auto& [buffer, tensor] : op->buffers())
    if (const auto key = py::str(buffer); s.contains(key)) *tensor = s[key].cast<Tensor>();
  return out;
}

int Network::box(const std::string& program, const std::vector<Tensor>& constants,
                 const std::vector<int>& params, const std::vector<int>& inputs,
                 const std::string& name) {
  AtenBoxParts parts{.program = program, .constants = constants,
                     .inputs = static_cast<int>(inputs.size())};
  for (size_t i = 0; i < params.size(); ++i) parts.params.push_back(at(params, i));
  return graph_.add(aten_box(std::move(parts)), inputs, name);
}

void Network::expect_own_process() const {
  if (::getpid() != process_)
    throw UsageError(
        "this network belongs to the process that traced it, and this one was forked from that: call "
        "altprop.from_torch here, too (workers of a DataLoader need no network)");
}

bool Network::draws() const {
  const Traits traits = graph_.traits();
  return traits.draws || traits.draws_for_batch;
}

void Network::refresh(const std::vector<Tensor>& tensors) {
  expect_own_process();
  std::lock_guard lock(one_at_a_time_);
  if (tensors.size() != params_.size())
    throw Error(text::cat("the network has ", params_.size(), " parameters, but is given ",
                          tensors.size(), " tensors"));
  for (size_t i = 0; i < tensors.size(); ++i) {
    Tensor& value = params_[i]->value;
    if (value.sizes() != tensors[i].sizes() || value.scalar_type() != tensors[i].scalar_type() ||
        value.device() != tensors[i].device())
      throw Refusal("parameter '" + params_[i]->name + "'",
                    "it has another shape, type or device than when the model was traced",
                    "call altprop.from_torch again");
    if (value.data_ptr() != tensors[i].data_ptr()) value = tensors[i].detach();
  }
}

std::string Network::describe() const {
  std::string out;
  for (const Node& node : graph_.nodes()) {
    out += text::cat(node.id, " ", node.name, " ", node.op ? node.op->type() : "input");
    if (node.op && !node.op->settings().empty()) out += text::cat("(", node.op->settings(), ")");
    for (const int from : node.inputs) out += text::cat(" ", from);
    out += text::cat(" -> ", shape_text(node.spec.shape), "\n");
  }
  return out;
}

}  // namespace altprop::python
