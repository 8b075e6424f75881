#include "altprop/network/describe.h"

#include <algorithm>
#include <cstdio>
#include <set>

#include "altprop/base/error.h"
#include "altprop/base/short_number.h"
#include "altprop/base/text.h"

namespace altprop {

namespace {

/// True if the output lies in the memory of the input: operations that only rearrange, and those
/// that overwrite an input which nobody else needs.
bool reuses_input(const Graph& net, const Node& node) {
  if (node.op->traits().views) return true;
  if (!node.op->works_in_place() || node.inputs.size() != 1) return false;
  const Node& producer = net.node(node.inputs[0]);
  const auto& outputs = net.output_nodes();
  return producer.op && !producer.op->keeps_output() &&
         net.consumers()[static_cast<size_t>(producer.id)].size() == 1 &&
         std::count(outputs.begin(), outputs.end(), producer.id) == 0;
}

constexpr int64_t kIntegerBytes = 8;

int64_t memory_of(const Tensor& t) { return t.numel() * static_cast<int64_t>(t.element_size()); }

using text::short_bytes;
using text::short_number;

// Steps of an unrolled network are shown once: their operations are named "t7.gates".

/// "t7." of "t7.gates", or "".
std::string step_of(const std::string& name) {
  const size_t dot = name.find('.');
  if (name[0] != 't' || dot == std::string::npos || dot < 2) return "";
  return name.find_first_not_of("0123456789", 1) == dot ? name.substr(0, dot + 1) : "";
}

using Rows = std::vector<Description::Row>;

/// Number of rows from `i` on that belong to the step of row i; 0 if it belongs to none.
size_t step_from(const Rows& rows, size_t i) {
  const std::string step = step_of(rows[i].name);
  if (step.empty()) return 0;
  size_t n = 1;
  while (i + n < rows.size() && step_of(rows[i + n].name) == step) ++n;
  return n;
}

/// How many steps of `n` rows behind the one at `i` are like it.
size_t repeats(const Rows& rows, size_t i, size_t n) {
  size_t count = 0;
  for (size_t next = i + n; next < rows.size() && step_from(rows, next) == n; next += n, ++count)
    for (size_t k = 0; k < n; ++k) {
      const Description::Row &a = rows[i + k], &b = rows[next + k];
      const bool same_name =
          a.name.substr(step_of(a.name).size()) == b.name.substr(step_of(b.name).size());
      if (!same_name || a.op != b.op || a.shape != b.shape || a.unusual != b.unusual ||
          (a.settings != b.settings && a.op != "step") || (b.parameters > 0 && !b.shared))
        return count;
    }
  return count;
}

}  // namespace

Description describe(const Graph& net, int64_t batch) {
  if (batch < 1) throw UsageError(text::cat("the batch must be at least 1, but is ", batch));
  Description out;
  out.batch = batch;
  const int64_t element = static_cast<int64_t>(net.options().dtype().itemsize());
  std::set<const Param*> seen;
  std::set<const Tensor*> seen_buffers;
  for (const Node& node : net.nodes()) {
    Description::Row row;
    row.name = node.name;
    row.shape = node.spec.shape;
    row.unusual = unusual_text(node.spec);
    if (!node.op) {
      row.op = "input";
      out.rows.push_back(std::move(row));
      continue;
    }
    row.op = node.op->type();
    row.settings = node.op->settings();
    for (const ParamPtr& param : node.op->params()) {
      if (seen.insert(param.get()).second) {
        row.parameters += param->value.numel();
        out.weight_bytes += memory_of(param->value);
      } else {
        row.shared = true;
      }
    }
    for (const auto& [name, buffer] : node.op->buffers())
      if (seen_buffers.insert(buffer).second) out.buffer_bytes += memory_of(*buffer);
    std::vector<Spec> specs;
    int credited_inputs = 0;
    for (int i : node.inputs) {
      specs.push_back(net.node(i).spec);
      credited_inputs += net.needs_credit()[static_cast<size_t>(i)];
    }
    row.multiply_adds = node.op->multiply_adds(specs);
    row.forward_flops = 2 * row.multiply_adds;
    row.backward_flops =
        row.forward_flops * ((node.op->params().empty() ? 0 : 1) + (credited_inputs > 0 ? 1 : 0));
    if (!reuses_input(net, node))
      row.activation_bytes =
          node.spec.numel() * batch * (node.spec.differentiable() ? element : kIntegerBytes);
    out.parameters += row.parameters;
    out.multiply_adds += row.multiply_adds;
    out.forward_flops += row.forward_flops;
    out.training_flops += row.forward_flops + row.backward_flops;
    out.activation_bytes += row.activation_bytes;
    out.rows.push_back(std::move(row));
  }
  return out;
}

std::string Description::table() const {
  std::vector<std::vector<std::string>> cells = {
      {"name", "operation", "output", "parameters", "multiply-adds", "memory"}};
  for (size_t i = 0; i < rows.size();) {
    const size_t step = step_from(rows, i), same = step == 0 ? 0 : repeats(rows, i, step);
    for (size_t end = i + std::max<size_t>(step, 1); i < end; ++i)
      cells.push_back(
          {rows[i].name, rows[i].op + (rows[i].settings.empty() ? "" : " " + rows[i].settings),
           shape_text(rows[i].shape) + rows[i].unusual,
           std::to_string(rows[i].parameters) + (rows[i].shared ? " +shared" : ""),
           text::trim(short_number(rows[i].multiply_adds)), short_bytes(rows[i].activation_bytes)});
    if (same < 2) continue;
    int64_t multiply_adds = 0, bytes = 0;
    const size_t begin = i;
    for (; i < begin + same * step; ++i) {
      multiply_adds += rows[i].multiply_adds;
      bytes += rows[i].activation_bytes;
    }
    cells.push_back({text::cat("... ", step_of(rows[i - 1].name), "*"),
                     text::cat("as ", step_of(rows[begin - 1].name), "*, ", same, " times"), "",
                     "+shared", text::trim(short_number(multiply_adds)), short_bytes(bytes)});
  }
  constexpr size_t kFirstNumber = 3;
  std::vector<size_t> width(cells[0].size(), 0);
  for (const auto& line : cells)
    for (size_t c = 0; c < line.size(); ++c) width[c] = std::max(width[c], line[c].size());
  std::string out;
  for (const auto& line : cells) {
    std::string text;
    for (size_t c = 0; c < line.size(); ++c) {
      const std::string pad(width[c] - line[c].size(), ' ');
      text += (c ? "  " : "") + (c < kFirstNumber ? line[c] + pad : pad + line[c]);
    }
    out += text + "\n";
  }
  out += text::cat("\nparameters ", parameters, " (", short_bytes(weight_bytes), ")\n",
                   "arithmetic per sample: forward ", short_number(forward_flops),
                   "FLOP, forward and backward ", short_number(training_flops), "FLOP\n",
                   "memory at batch ", batch, ": activations kept for the backward pass ",
                   short_bytes(activation_bytes), ", weights ", short_bytes(weight_bytes), "\n");
  for (const auto& [rule, reason] : rules)
    out += rule + ": " + (reason.empty() ? "accepts the network" : reason) + "\n";
  return out;
}

nlohmann::json Description::json() const {
  nlohmann::json j;
  j["batch"] = batch;
  j["operations"] = nlohmann::json::array();
  for (const Row& row : rows) {
    j["operations"].push_back({{"name", row.name},
                               {"op", row.op},
                               {"settings", row.settings},
                               {"output", row.shape},
                               {"parameters", row.parameters},
                               {"shared", row.shared},
                               {"multiply_adds", row.multiply_adds},
                               {"forward_flops", row.forward_flops},
                               {"backward_flops", row.backward_flops},
                               {"activation_bytes", row.activation_bytes}});
    if (!row.unusual.empty()) j["operations"].back()["values"] = text::trim(row.unusual);
  }
  j["totals"] = {{"parameters", parameters},
                 {"weight_bytes", weight_bytes},
                 {"buffer_bytes", buffer_bytes},
                 {"multiply_adds", multiply_adds},
                 {"forward_flops", forward_flops},
                 {"training_flops", training_flops},
                 {"activation_bytes", activation_bytes}};
  j["rules"] = nlohmann::json::object();
  for (const auto& [rule, reason] : rules) j["rules"][rule] = reason;
  return j;
}

}  // namespace altprop
