#include "altprop/train/run_identity.h"

#include <openssl/rand.h>

#include <algorithm>
#include <filesystem>

#include "altprop/base/digest.h"
#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "altprop/base/utf8.h"
#include "altprop/data/read/file.h"
#include "altprop/data/source.h"
#include "altprop/network/architecture.h"
#include "altprop/train/experiment.h"

namespace altprop {

namespace fs = std::filesystem;

namespace {

/// Of values that may stand side by side: each goes in with its length or shape, so that they
/// cannot be cut in another place.
class DigestOfValues {
 public:
  void add(const std::string& text) {
    const uint64_t n = text.size();
    digest_.add(&n, sizeof n);
    digest_.add(text.data(), text.size());
  }
  void add(const Tensor& tensor) {
    if (!tensor.defined()) return add(std::string("none"));
    add(text::cat(tensor.scalar_type(), shape_text(tensor.sizes())));
    const Tensor numbers = tensor.contiguous();
    digest_.add(numbers.const_data_ptr(), numbers.nbytes());
  }
  std::string text() { return digest_.text(); }

 private:
  Digest digest_{"sha256"};
};

void add_part(DigestOfValues& sum, const data::Dataset& part) {
  sum.add(part.inputs);
  sum.add(part.targets);
  const auto numbers = [&](const std::vector<double>& values) {
    sum.add(
        std::string(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(double)));
  };
  numbers({part.scale, static_cast<double>(part.classes), static_cast<double>(part.vocabulary)});
  numbers(part.mean);
  numbers(part.stddev);
}

/// Names of the options that say how far a run goes and what is looked at on the way, or where its
/// files are; its data are compared themselves.
bool is_free(const std::string& option) {
  static const std::vector<std::string> names = {
      "epochs",   "max-steps", "early-stop",  "checkpoint-steps", "probe-every", "probe-batch",
      "prefetch", "threads",   "device",      "device-graphs",    "init-from",   "preset",
      "label",    "data",      "data-options", "title",           "notes"};
  return std::count(names.begin(), names.end(), option) > 0;
}

/// Options of the steps' size, which may be changed on the way, as after a divergence.
bool is_of_steps(const std::string& option) {
  OptimizerSettings optimizer;
  Schedule schedule;
  Options options;
  optimizer.declare(options);
  schedule.declare(options);
  return option != "optimizer" && options.has(option);
}

std::string short_text(const nlohmann::json& value) {
  const std::string text = value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  return text.size() > 120 ? text.substr(0, 120) + "..." : text;
}

std::string value_or(const OptionValues& values, const std::string& name) {
  const auto found = values.find(name);
  return found == values.end() ? "" : found->second;
}

const std::string kWritten = "written.";  // before the name of an option of the data

}  // namespace

std::string data_digest(const data::Splits& data) {
  DigestOfValues sum;
  for (const data::Dataset* part : {&data.train, &data.validation, &data.test})
    add_part(sum, *part);
  return sum.text();
}

void keep_paths(RunSettings& settings) {
  if (!data::find_or_null(settings.data)) return;  // the caller's own, which have no files
  data::Request request(settings.data);
  const fs::path folder = data::data_folder(value_or(settings.data_options, "data-dir"));
  for (const Options::Entry& entry : request.options().entries()) {
    const bool is_folder = entry.name == "data-dir";
    if (!is_folder && !entry.is_file) continue;
    const std::string written = value_or(settings.data_options, entry.name);
    if (!is_folder && written.empty()) continue;
    const fs::path path = is_folder ? folder : fs::path(data::path_in(folder.string(), written));
    std::error_code error;
    const std::string absolute = fs::absolute(path, error).lexically_normal();
    if (error || !fs::exists(path, error) || absolute == written) continue;
    text::require_utf8(absolute, "the path of option '" + entry.name + "', which settings keep,");
    settings.run[kWritten + entry.name] = path.string();
    settings.data_options[entry.name] = absolute;
  }
}

void require_recordable(RunSettings settings) {
  keep_paths(settings);
  settings.to_toml();
}

void identify(RunSettings& settings, const data::Splits& data) {
  unsigned char id[8];
  if (RAND_bytes(id, sizeof id) != 1) throw Error("no random number can be had for the run's id");
  keep_paths(settings);
  settings.run["id"] = hexadecimal(id, sizeof id);
  settings.run["data"] = data_digest(data);
}

std::shared_ptr<const data::Splits> load_data_again(RunSettings& settings) {
  std::string moved;
  for (auto& [name, path] : settings.data_options) {
    const std::string written = value_or(settings.run, kWritten + name);
    std::error_code error;
    if (written.empty() || fs::exists(path, error)) continue;
    const fs::path here = name == "data-dir" ? data::data_folder() : written;
    moved += text::cat("; '", path, "' was written as '", written, "' when the run was begun in ",
                       "another place or at another time");
    if (fs::exists(here, error)) path = fs::absolute(here, error).lexically_normal();
  }
  try {
    return load_data(settings);
  } catch (const UsageError&) {
    throw;
  } catch (const Error& error) {
    throw Error(error.what() + moved);
  }
}

std::vector<std::string> require_same_run(const RunMeta& meta, RunSettings settings,
                                          const std::string& checkpoint) {
  if (meta.run.empty())
    return {
        "the checkpoint is one of an earlier version and does not say which run, settings and "
        "data it belongs to, so nobody has compared them"};
  const std::string id = value_or(settings.run, "id");
  if (id != meta.run)
    throw Error(text::cat("'", checkpoint, "' belongs to the run ", meta.run,
                          ", but the config.toml ", "beside it is of ",
                          id.empty() ? "none: its [run] has no id" : "run " + id,
                          "; put back what was exchanged"));
  settings.net = network_text(settings.net);
  std::vector<std::string> changes;
  const nlohmann::json now = settings.to_json();
  for (const auto& [name, begun] : meta.settings.items()) {
    if (is_free(name) || !now.contains(name) || now[name] == begun) continue;
    if (!is_of_steps(name))
      throw Error(text::cat("the run was begun with ", name, " = ", short_text(begun),
                            ", but its config.toml says ", short_text(now[name]), " ('", checkpoint,
                            "'); put it back, or begin a new run"));
    changes.push_back(text::cat("the run goes on with ", name, " = ", short_text(now[name]),
                                "; up to here it was ", short_text(begun)));
  }
  return changes;
}

void require_same_data(const RunMeta& meta, const data::Splits& data,
                       const std::string& checkpoint) {
  if (!meta.data.empty() && data_digest(data) != meta.data)
    throw Error(text::cat("the data are not those that the run of '", checkpoint,
                          "' was begun with (now ", data.train.size(), " + ",
                          data.validation.size(), " + ", data.test.size(),
                          " samples to train, validate and test): values, labels or their parts "
                          "have changed; put them "
                          "back, or begin a new run"));
}

}  // namespace altprop
