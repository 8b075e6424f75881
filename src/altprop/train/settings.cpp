#include "altprop/train/settings.h"

#include <toml++/toml.h>

#include <sstream>

#include "altprop/base/error.h"
#include "altprop/base/printable.h"
#include "altprop/base/text.h"
#include "altprop/base/utf8.h"
#include "altprop/network/init.h"
#include "altprop/network/loss.h"
#include "altprop/ode/cost.h"
#include "altprop/optim/direction.h"

namespace altprop {

void RunSettings::declare(Options& o) {
  o.group("What is trained");
  o.text("rule", rule, {"learning rule, by name or abbreviation; options may follow in brackets: kp[kp.form=implicit]"});
  o.text("net", net, {"network in one line of text"});
  o.text("data", data, {"data set, by name"});
  o.choice("loss", loss, loss_names(), {"what is minimised"});
  o.group("Spike times");
  o.number("spike.kappa", spikes.kappa, {.min = 0, .max = 1e6, .min_excluded = true}, {"spike-cross-entropy: softmax of -kappa t over the outputs' spike times", "1/time"});
  o.number("spike.silent-at", spikes.silent_at, {.min = -1e6, .max = 1e6}, {"losses of spike times: what stands for the time of an output that never fires", "time"});
  o.number("spike.early", spikes.early, {.min = -1e6, .max = 1e6}, {"spike-squared-error: when the output of the right class is to fire", "time"});
  o.number("spike.late", spikes.late, {.min = -1e6, .max = 1e6}, {"spike-squared-error: when the other outputs are to fire", "time"});
  o.number("spike.fire-at", fire_at, {.min = 0, .max = 1e6}, {"before training, weights of relpsp-event layers are moved so that on the first batch the median unit fires this long after its first input; 0: as drawn", "time"});
  o.group("Initial weights");
  o.checked_text("init", init, Initialiser::grammar(), [](const std::string& s) { Initialiser{s}; }, {"distribution of the initial weights"});
  o.list("init-of", init_of, {"factors of initial weights and biases by parameter, pattern=factor: conv=0.5,bias=0"});
  o.group("Steps");
  o.choice("direction", direction, direction_names(), {"how signals become gradients, which the optimizer steps along"});
  optimizer.declare(o);
  o.group("Learning rate over time");
  schedule.declare(o);
  o.group("Length");
  o.integer("epochs", epochs, {.min = 0, .max = 1e9}, {"passes over the training data", "epochs"});
  o.integer("max-steps", max_steps, {.min = 0}, {"stop after this many steps; 0: no bound", "steps"});
  o.integer("batch", batch, {.min = 1, .max = 1e8}, {"samples per step", "samples"});
  o.group("Randomness and machine");
  o.integer("seed", seed, {.min = 0}, {"fixes every random number of the run"});
  o.integer("threads", threads, {.min = 0, .max = 1024}, {"CPU threads; 0: as many as the machine offers", "threads"});
  o.text("device", device, {"cpu, cuda or cuda:N"});
  o.flag("device-graphs", device_graphs, {"on CUDA, loops of relaxing rules are recorded once a batch and repeated by the device"});
  o.choice("dtype", dtype, {"float32", "float64"}, {"number format of weights and activities"});
  o.group("ODE blocks");
  o.choice("ode.gradient", ode_gradient, ode::gradient_names(),
           {"how credit passes through ODE blocks: all but adjoint are exact and differ in memory and time", "", "Matsubara et al. 2021, arXiv 2102.09750"});
  o.integer("ode.checkpoints", ode_checkpoints, {.min = 0, .max = 1e6}, {"ode.gradient=binomial: states kept at once; 0: 1 + log2 of the steps", "states", "Griewank, Walther 2000"});
  o.integer("ode.graph-stages", ode_graph_stages, {.min = 0, .max = 64}, {"ode.gradient=symplectic or binomial: stages whose activities are kept at once, from 1 (least memory, as 0) to all of a step's (as aca)", "stages"});
  o.number("ode.adjoint-rtol", ode_adjoint.rtol, {.min = 0, .max = 1}, {"ode.gradient=adjoint: relative tolerance of its steps backwards; 0: the block's", "1"});
  o.number("ode.adjoint-atol", ode_adjoint.atol, {.min = 0, .max = 1e9}, {"ode.gradient=adjoint: absolute tolerance of its steps backwards; 0: the block's", "of the state"});
  o.flag("ode.adjoint-seminorm", ode_adjoint.seminorm, {"ode.gradient=adjoint: its steps go by the errors of state and credit alone, not by those of the gradient as well", "", "Kidger et al. 2020, arXiv 2009.09457"});
  o.checked_text("ode.memory", ode_memory, "a number of bytes, as in 2GB", [](const std::string& s) { ode::bytes_of_text(s); }, {"memory for the ODE blocks' gradients: the fastest exact method that fits is taken, and said; empty: ode.gradient", "bytes"});
  o.group("Batches and augmentation");
  o.integer("crop", crop, {.min = 0, .max = 64}, {"augmentation: pad by this much and crop at a random place", "pixels"});
  o.choice("crop-fill", crop_fill, {"zero", "edge"}, {"augmentation: what the padding holds"});
  o.flag("flip", flip, {"augmentation: mirror half of the images left to right"});
  o.flag("shuffle", shuffle, {"new random order of the training data in every epoch"});
  o.flag("drop-last", drop_last, {"leave out an incomplete last batch"});
  o.integer("prefetch", prefetch, {.min = 0, .max = 64}, {"batches prepared ahead by a background thread; 0 is off", "batches"});
  o.integer("early-stop", early_stop, {.min = 0}, {"stop after this many epochs without a better validation loss; 0 is off", "epochs"});
  o.text("init-from", init_from, {"checkpoint, or any safetensors file, whose weights the run starts from"});
  o.group("Instruments and records");
  o.integer("probe-every", probe_every, {.min = 0}, {"measure gradient angles and alignment every so many epochs; 0 is off", "epochs"});
  o.integer("probe-batch", probe_batch, {.min = 1, .max = 1e6}, {"training samples on which the angles are measured", "samples"});
  o.integer("checkpoint-steps", checkpoint_steps, {.min = 0}, {"write a checkpoint every so many steps beside the one per epoch; 0 is off", "steps"});
  o.text("label", label, {"name of the run in tables and reports; empty: the rule as it is written"});
  o.text("title", title, {"what reports are headed with"});
  o.text("notes", notes, {"anything worth remembering; shown with the records"});
  o.text("preset", preset, {"published experiment that these settings begin with, by name; other settings override it"});
}

std::vector<std::string> RunSettings::without_effect() const {
  std::vector<std::string> out = optimizer.without_effect();
  for (std::string& sentence : schedule.without_effect()) out.push_back(std::move(sentence));
  const SpikeLossSettings usual;
  const bool entropy = loss == "spike-cross-entropy", squared = loss == "spike-squared-error";
  if (!entropy && spikes.kappa != usual.kappa)
    out.push_back("--spike.kappa has no effect without --loss spike-cross-entropy");
  if (!entropy && !squared && spikes.silent_at != usual.silent_at)
    out.push_back("--spike.silent-at has no effect without a loss of spike times");
  if (!squared && (spikes.early != usual.early || spikes.late != usual.late))
    out.push_back("--spike.early and --spike.late have no effect without --loss spike-squared-error");
  if (crop == 0 && crop_fill != RunSettings().crop_fill)
    out.push_back("--crop-fill has no effect without --crop");
  if (probe_every == 0 && probe_batch != RunSettings().probe_batch)
    out.push_back("--probe-batch has no effect with --probe-every 0");
  return out;
}

namespace {

/// A TOML value as the text that the option's own parser reads.
std::string text_of(const toml::node& node, const std::string& key, const std::string& where) {
  if (const auto* s = node.as_string()) return s->get();
  if (const auto* i = node.as_integer()) return std::to_string(i->get());
  if (const auto* f = node.as_floating_point()) return text::from_number(f->get());
  if (const auto* b = node.as_boolean()) return b->get() ? "true" : "false";
  if (const auto* array = node.as_array()) {
    std::vector<std::string> items;
    for (const toml::node& item : *array) items.push_back(text_of(item, key, where));
    return text::join(items, ",");
  }
  throw UsageError("'" + key + "' in " + where + " must be a number, a text, true, false or a list of these");
}

void flatten(const toml::table& table, const std::string& prefix, OptionValues& out, const std::string& where) {
  for (const auto& [key, node] : table) {
    const std::string name = prefix + std::string(key.str());
    if (const toml::table* inner = node.as_table()) {
      flatten(*inner, name + ".", out, where);
    } else {
      out[name] = text_of(node, name, where);
    }
  }
}

/// A TOML string on one line, as keys must be. JSON's differs in one character.
std::string quoted(const std::string& s) {
  std::string out;
  for (char c : nlohmann::json(s).dump())
    out += c == '\x7f' ? std::string("\\u007f") : std::string(1, c);
  return out;
}

std::string toml_value(const nlohmann::json& value) {
  if (value.is_string()) return quoted(value.get<std::string>());
  if (value.is_number_float()) {
    const std::string s = text::from_number(value.get<double>());
    return s.find_first_of(".en") == std::string::npos ? s + ".0" : s;
  }
  if (value.is_array()) {
    std::vector<std::string> items;
    for (const auto& item : value) items.push_back(quoted(item.get<std::string>()));
    return "[" + text::join(items, ", ") + "]";
  }
  return value.dump();
}

}  // namespace

std::string RunSettings::to_toml() {
  Options options;
  declare(options);
  std::ostringstream out;
  for (const Options::Entry& entry : options.entries()) {
    text::require_utf8(entry.text(), "option '" + entry.name + "'");
    out << entry.name << " = " << toml_value(entry.json()) << "\n";
  }
  for (const auto& [title, values] : {std::pair{"rule-options", &rule_options}, {"direction-options", &direction_options}, {"data-options", &data_options}, {"run", &run}}) {
    if (values->empty()) continue;
    out << "\n[" << title << "]\n";
    for (const auto& [name, value] : *values) {
      text::require_utf8(name, text::cat("the name of a setting in [", title, "]"));
      text::require_utf8(value, text::cat("'", name, "' in [", title, "]"));
      out << quoted(name) << " = " << quoted(value) << "\n";
    }
  }
  return out.str();
}

std::string RunSettings::to_toml(const std::vector<std::string>& rules, const std::vector<int64_t>& seeds) {
  for (const std::string& rule : rules) text::require_utf8(rule, "option 'rules'");
  std::vector<std::string> numbers;
  for (const int64_t seed : seeds) numbers.push_back(std::to_string(seed));
  return text::cat("rules = ", toml_value(rules), "\nseeds = [", text::join(numbers, ", "), "]\n", to_toml());
}

void RunSettings::from_toml(const std::string& document, const std::string& where, OptionValues* more) {
  toml::table table;
  try {
    table = toml::parse(document);
  } catch (const toml::parse_error& error) {
    throw UsageError(text::cat(where, ", line ", error.source().begin.line,
                               " is no TOML: ", text::printable(std::string(error.description())),
                               "; write name = value"));
  }
  Options options(where);
  declare(options);
  for (const auto& [key, node] : table) {
    const std::string name(key.str());
    if (const toml::table* inner = node.as_table()) {
      if (name == "ode" || name == "spike") {  // ode.gradient, written as TOML's dotted key
        OptionValues values;
        flatten(*inner, name + ".", values, where);
        for (const auto& [option, value] : values) options.set(option, value);
        continue;
      }
      const std::map<std::string, OptionValues*> tables = {{"rule-options", &rule_options}, {"direction-options", &direction_options}, {"data-options", &data_options}, {"run", &run}};
      if (!tables.count(name))
        throw UsageError(where + " has a table '" + name + "'; known are rule-options, direction-options, data-options and run");
      flatten(*inner, "", *tables.at(name), where);
    } else if (more && (name == "rules" || name == "seeds" || name == "out")) {
      (*more)[name] = text_of(node, name, where);
    } else {
      options.set(name, text_of(node, name, where));
    }
  }
}

nlohmann::json RunSettings::to_json() {
  Options options;
  declare(options);
  nlohmann::json out = options.values();
  out["rule-options"] = rule_options;
  out["data-options"] = data_options;
  out["direction-options"] = direction_options;
  return out;
}

}  // namespace altprop
