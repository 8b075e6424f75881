#include "altprop/train/run_meta.h"

#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <torch/version.h>

#include "altprop/base/error.h"
#include "altprop/base/json.h"
#include "altprop/base/text.h"
#include "altprop/base/version.h"

namespace altprop {

namespace {

constexpr const char *kMetaText = "altprop", *kRecordsText = "altprop_records",
                     *kRunText = "altprop_run";

void require_sane(const RunMeta& meta, const std::string& path) {
  if (meta.threads < 1 || meta.threads > 1024)
    throw Error("'" + path + "' names an impossible number of threads");
}

}  // namespace

RunMeta RunMeta::here() {
  RunMeta out;
  out.threads = at::get_num_threads();
  out.backend = linear_backend();
  out.kernels_off = altprop::kernels_off();
  out.instructions = own_instructions();
  out.library_instructions = at::get_cpu_capability();
  return out;
}

Texts RunMeta::texts() const {
  const nlohmann::json json{
      {"format", 2},
      {"altprop_version", version()},
      {"torch_version", TORCH_VERSION},
      {"threads", threads},
      {"linear_backend", backend == LinearBackend::OneDnn ? "onednn" : "aten"},
      {"kernels_off", kernels_off.names()},
      {"instructions", instructions},
      {"library_instructions", library_instructions}};
  const nlohmann::json records{{"metrics_bytes", metrics_bytes},
                               {"metrics_crc32", metrics_sum},
                               {"metrics_line", metrics_line}};
  // A command line need not be UTF-8.
  return {{kMetaText, json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)},
          {kRunText, nlohmann::json{{"id", run}, {"data", data}, {"settings", settings}}.dump(
                         -1, ' ', false, nlohmann::json::error_handler_t::replace)},
          {kRecordsText, records.dump()}};
}

RunMeta RunMeta::of(const Texts& texts, const std::string& path) {
  const std::string damaged =
      "'" + path +
      "' does not say how it was made; use an earlier checkpoint or start the run again";
  const auto text = texts.find(kMetaText), record = texts.find(kRecordsText);
  if (text == texts.end() || record == texts.end()) throw Error(damaged);
  RunMeta out;
  try {
    const nlohmann::json json = read_json(text->second, "what '" + path + "' says of its run");
    if (json.at("format") != 2)
      throw Error("'" + path + "' is of a format this version does not know");
    json.at("threads").get_to(out.threads);
    require_sane(out, path);
    if (json.at("linear_backend") == "onednn") out.backend = LinearBackend::OneDnn;
    out.kernels_off = OwnKernels::named(json.at("kernels_off").get<std::vector<std::string>>());
    json.at("instructions").get_to(out.instructions);
    json.at("library_instructions").get_to(out.library_instructions);
    if (const auto found = texts.find(kRunText); found != texts.end()) {
      const nlohmann::json run = read_json(found->second, "what '" + path + "' says of its run");
      run.at("id").get_to(out.run);
      run.at("data").get_to(out.data);
      out.settings = run.at("settings");
      if (out.run.empty() || out.data.empty() || !out.settings.is_object()) throw Error(damaged);
    }
    const nlohmann::json records = read_json(record->second, "what '" + path + "' says of records");
    records.at("metrics_bytes").get_to(out.metrics_bytes);
    records.at("metrics_crc32").get_to(out.metrics_sum);
    records.at("metrics_line").get_to(out.metrics_line);
  } catch (const nlohmann::json::exception&) {
    throw Error(damaged);
  } catch (const UsageError& unknown) {
    throw Error("'" + path + "' was made with other kernels: " + unknown.what());
  }
  return out;
}

std::string RunMeta::what_differs() const {
  std::vector<std::string> out;
  const auto compare = [&](const char* whose, const std::string& there, const std::string& here) {
    if (!there.empty() && there != here)
      out.push_back(text::cat(whose, " used ", there, " and use ", here, " here"));
  };
  compare("own kernels", instructions, own_instructions());
  compare("libtorch's", library_instructions, at::get_cpu_capability());
  return text::join(out, ", ");
}

}  // namespace altprop
