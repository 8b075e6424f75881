#include "altprop/cores/mapping.h"

#include <cmath>

#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "altprop/cores/class_sums.h"
#include "altprop/cores/core_layer.h"

namespace altprop::cores {

int64_t Mapping::neurons() const {
  int64_t out = 0;
  for (const MappedCore& core : cores) out += core.neurons();
  return out;
}

int64_t Mapping::synapses() const {
  int64_t out = 0;
  for (const MappedCore& core : cores) out += core.connections.numel();
  return out;
}

namespace {

std::string place(int64_t core, const char* part, int64_t index) {
  return text::cat("core ", core, ", ", part, " ", index);
}

void check_axons(const Mapping& mapping, int64_t at) {
  const MappedCore& core = mapping.cores[static_cast<size_t>(at)];
  const int64_t axons = static_cast<int64_t>(core.axons.size());
  if (axons < 1 || axons > kMostAxons)
    throw Refusal(text::cat("core ", at),
                  text::cat("it has ", axons, " axons, and a core has 1 to ", kMostAxons));
  if (core.types.size() != core.axons.size())
    throw Refusal(text::cat("core ", at),
                  text::cat(axons, " axons have ", core.types.size(), " types"));
  for (int64_t i = 0; i < axons; ++i) {
    const AxonSource& source = core.axons[static_cast<size_t>(i)];
    const int type = core.types[static_cast<size_t>(i)];
    if (type < 0 || type >= kAxonTypes)
      throw Refusal(place(at, "axon", i),
                    text::cat("its type is ", type, ", and types are 0 to ", kAxonTypes - 1));
    const bool outside = source.core == -1;
    if (source.core < -1 || source.core >= at)
      throw Refusal(
          place(at, "axon", i),
          text::cat("it reads core ", source.core, ", but a core reads those that come before it"));
    const int64_t most =
        outside ? mapping.inputs() : mapping.cores[static_cast<size_t>(source.core)].neurons();
    if (source.index < (outside ? -1 : 0) || source.index >= most)
      throw Refusal(place(at, "axon", i), text::cat("it reads ", outside ? "input " : "neuron ",
                                                    source.index, ", but there are ", most));
  }
}

void check_neurons(const MappedCore& core, int64_t at) {
  const int64_t neurons = core.neurons(), axons = static_cast<int64_t>(core.axons.size());
  if (neurons < 1 || neurons > kMostNeurons)
    throw Refusal(text::cat("core ", at),
                  text::cat("it has ", neurons, " neurons, and a core has 1 to ", kMostNeurons));
  if (static_cast<int64_t>(core.leaks.size()) != neurons)
    throw Refusal(text::cat("core ", at),
                  text::cat(neurons, " neurons have ", core.leaks.size(), " leaks"));
  if (core.connections.sizes() != IntArrayRef({neurons, axons}) ||
      core.connections.scalar_type() != at::kFloat || !core.connections.is_contiguous())
    throw Refusal(
        text::cat("core ", at),
        text::cat("connections are float32 [neurons, axons], here [", neurons, ", ", axons, "]"));
  const float* c = core.connections.const_data_ptr<float>();
  for (int64_t j = 0; j < neurons; ++j) {
    for (const int s : core.strengths[static_cast<size_t>(j)])
      if (std::abs(s) > kMostStrength)
        throw Refusal(place(at, "neuron", j),
                      text::cat("a strength of ", s, " is beyond ", kMostStrength));
    if (const double leak = core.leaks[static_cast<size_t>(j)]; !(std::abs(leak) <= kMostLeak))
      throw Refusal(place(at, "neuron", j), text::cat("its leak is ", leak, ", and leaks go from -",
                                                      kMostLeak, " to ", kMostLeak));
    for (int64_t i = 0; i < axons; ++i)
      if (const float p = c[j * axons + i]; !(p >= 0 && p <= 1))
        throw Refusal(text::cat(place(at, "neuron", j), ", axon ", i),
                      text::cat("the probability of its synapse is ", p));
  }
}

/// A neuron's spikes go to one axon of one core, or are counted.
void check_destinations(const Mapping& mapping) {
  std::vector<std::vector<std::string>> taken;
  for (const MappedCore& core : mapping.cores)
    taken.emplace_back(static_cast<size_t>(core.neurons()));
  const auto take = [&](int64_t core, int64_t neuron, const std::string& by) {
    std::string& place_of = taken[static_cast<size_t>(core)][static_cast<size_t>(neuron)];
    if (!place_of.empty())
      throw Refusal(
          place(core, "neuron", neuron),
          text::cat("it goes to ", place_of, " and to ", by, ", and a neuron has one destination"),
          "give the core a neuron for each");
    place_of = by;
  };
  for (size_t at = 0; at < mapping.cores.size(); ++at)
    for (size_t i = 0; i < mapping.cores[at].axons.size(); ++i)
      if (const AxonSource& source = mapping.cores[at].axons[i]; source.core >= 0)
        take(source.core, source.index, text::cat("axon ", i, " of core ", at));
  for (const Vote& vote : mapping.votes) {
    if (vote.core < 0 || vote.core >= static_cast<int64_t>(mapping.cores.size()) ||
        vote.neuron < 0 || vote.neuron >= mapping.cores[static_cast<size_t>(vote.core)].neurons())
      throw Refusal(place(vote.core, "neuron", vote.neuron), "it is counted, but there is none");
    if (vote.of_class < 0 || vote.of_class >= mapping.classes)
      throw Refusal(place(vote.core, "neuron", vote.neuron),
                    text::cat("it is counted for class ", vote.of_class, ", but there are ",
                              mapping.classes));
    take(vote.core, vote.neuron, "the count");
  }
}

/// The table of four that a row of strengths is, by the types of the axons.
std::array<int, kAxonTypes> table_of(const double* strengths, const std::vector<int>& types,
                                     const std::string& where) {
  std::array<int, kAxonTypes> out{};
  std::array<bool, kAxonTypes> known{};
  for (size_t i = 0; i < types.size(); ++i) {
    const size_t type = static_cast<size_t>(types[i]);
    const double s = strengths[i];
    if (s != std::round(s) || std::abs(s) > kMostStrength)
      throw Refusal(text::cat(where, ", axon ", i),
                    text::cat("its strength is ", s, ", and strengths are whole numbers up to ",
                              kMostStrength));
    if (known[type] && out[type] != static_cast<int>(s))
      throw Refusal(text::cat(where, ", axon ", i),
                    text::cat("axons of type ", type, " have the strengths ", out[type], " and ", s,
                              ", but a neuron has a table of one strength for each type"));
    known[type] = true;
    out[type] = static_cast<int>(s);
  }
  return out;
}

/// The cores of one layer, which read what `sources` gives.
void add_layer(Mapping& mapping, const CoreLayer& layer, const std::vector<AxonSource>& sources) {
  const CoreLayout& layout = layer.layout();
  const bool rounded = layer.core_settings().synapse == Synapse::Deterministic;
  Tensor connections = layer.weight()->value.detach().to(at::kCPU, at::kFloat);
  if (rounded) connections = connections.gt(0.5).to(at::kFloat);
  Tensor leaks = layer.leaks()->value.detach().to(at::kCPU, at::kDouble);
  if (rounded) leaks = leaks.round();
  const Tensor strengths = layer.strengths().to(at::kCPU, at::kDouble).contiguous(),
               types = layer.axon_types().to(at::kCPU, at::kLong);
  for (int64_t k = 0; k < layout.size(); ++k) {
    const int64_t number = static_cast<int64_t>(mapping.cores.size()),
                  from = layout.first_output(k), n = layout.neurons[static_cast<size_t>(k)],
                  axons = layout.axons_each();
    MappedCore core;
    for (int64_t i = 0; i < axons; ++i) {
      const int64_t input = layout.axons[static_cast<size_t>(k)][static_cast<size_t>(i)];
      core.axons.push_back(input < 0 ? AxonSource{} : sources[static_cast<size_t>(input)]);
      core.types.push_back(static_cast<int>(types[k][i].item<int64_t>()));
      if (core.types.back() < 0 || core.types.back() >= kAxonTypes)
        throw Refusal(place(number, "axon", i), text::cat("its type is ", core.types.back()));
    }
    for (int64_t j = 0; j < n; ++j) {
      core.strengths.push_back(table_of(strengths.const_data_ptr<double>() + (from + j) * axons,
                                        core.types, place(number, "neuron", j)));
      core.leaks.push_back(leaks[from + j].item<double>());
    }
    core.connections = connections.narrow(0, from, n).contiguous();
    mapping.cores.push_back(std::move(core));
  }
}

}  // namespace

void validate(const Mapping& mapping) {
  if (mapping.cores.empty()) throw Refusal("mapping", "it has no core");
  if (mapping.classes < 1 || mapping.votes.empty())
    throw Refusal("mapping", "no neuron is counted for a class");
  for (int64_t at = 0; at < static_cast<int64_t>(mapping.cores.size()); ++at) {
    check_axons(mapping, at);
    check_neurons(mapping.cores[static_cast<size_t>(at)], at);
  }
  check_destinations(mapping);
}

Mapping mapping_of(const Graph& net) {
  if (net.input_nodes().size() != 1 || net.output_nodes().size() != 1)
    throw Refusal("network", "only networks of one input and one output are mapped to cores");
  Mapping out;
  std::vector<AxonSource> here;  // what gives the values of the node that was looked at last
  int last = -1;
  for (const Node& node : net.nodes()) {
    const auto refuse = [&](const std::string& why) {
      throw Refusal("node '" + node.name + "'", why,
                    "deploy chains of cores that end in class-sums, such as truenorth:5");
    };
    if (!node.op) {
      out.input_shape = node.spec.shape;
      for (int64_t i = 0; i < out.inputs(); ++i) here.push_back({-1, i});
    } else if (node.inputs.size() != 1 || node.inputs[0] != last || out.classes > 0) {
      refuse("the network is no chain");
    } else if (const auto* layer = dynamic_cast<const CoreLayer*>(node.op.get())) {
      const int64_t first = static_cast<int64_t>(out.cores.size());
      if (first > 0 && out.fire_on_zero != layer->core_settings().fire_on_zero)
        refuse(
            "its neurons fire at a sum of 0 and those of other layers do not, or the other way "
            "round");
      out.fire_on_zero = layer->core_settings().fire_on_zero;
      add_layer(out, *layer, here);
      here.clear();
      for (int64_t core = first; core < static_cast<int64_t>(out.cores.size()); ++core)
        for (int64_t j = 0; j < out.cores[static_cast<size_t>(core)].neurons(); ++j)
          here.push_back({core, j});
    } else if (const auto* sums = dynamic_cast<const ClassSums*>(node.op.get())) {
      if (out.cores.empty()) refuse("there are no cores in front of it");
      out.classes = sums->classes();
      for (size_t j = 0; j < here.size(); ++j)
        out.votes.push_back({here[j].core, here[j].index, static_cast<int64_t>(j) % out.classes});
    } else if (!node.op->traits().rearranges && !node.op->traits().masks) {
      refuse(text::cat("no core holds the operation ", node.op->type()));
    }
    last = node.id;
  }
  if (out.classes == 0)
    throw Refusal("network", "it does not end in class-sums",
                  "deploy chains of cores that do, such as truenorth:5");
  validate(out);
  return out;
}

}  // namespace altprop::cores
