#include "altprop/train/changed_settings.h"

#include <algorithm>

#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "altprop/data/source.h"
#include "altprop/optim/direction.h"
#include "altprop/rules/registry.h"
#include "altprop/train/settings.h"

namespace altprop {

namespace {

using Texts = std::map<std::string, std::string>;

std::string as_words(const nlohmann::json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_number_float()) return text::from_number(value.get<double>());
  if (!value.is_array()) return value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  std::vector<std::string> items;
  for (const auto& item : value) items.push_back(as_words(item));
  return text::join(items, ",");
}

void add_defaults(Texts& out, const std::string& prefix, const Options& options) {
  for (const Options::Entry& entry : options.entries()) out[prefix + entry.name] = entry.default_text;
}

/// Defaults of everything that the settings name; of an unknown rule or data set there are none.
Texts defaults_for(const Texts& settings) {
  Texts out;
  RunSettings run;
  Options options;
  run.declare(options);
  add_defaults(out, "", options);
  const auto name_of = [&](const char* what) {
    const auto found = settings.find(what);
    return found == settings.end() ? std::string() : found->second;
  };
  try {
    const std::unique_ptr<Learner> rule = make_rule(parse_rule(name_of("rule")).name);
    Options own;
    rule->declare(own);
    add_defaults(out, "rule.", own);
  } catch (const UsageError&) {
  }
  if (data::find_or_null(name_of("data"))) {
    data::Request request(name_of("data"));
    add_defaults(out, "data.", request.options());
  }
  return out;
}

}  // namespace

std::map<std::string, std::string> settings_as_text(const nlohmann::json& settings) {
  Texts out;
  if (!settings.is_object()) return out;
  for (const auto& [name, value] : settings.items()) {
    if (name == "run") continue;  // what tells it from others
    const bool of_owner = name.ends_with("-options") && value.is_object();
    if (!of_owner && value.is_object()) {  // ode.gradient, as TOML has it
      for (const auto& [key, inner] : value.items()) out[name + "." + key] = as_words(inner);
    } else if (!of_owner) {
      out[name] = as_words(value);
    } else {
      const std::string prefix = name.substr(0, name.find('-')) + ".";
      for (const auto& [key, inner] : value.items()) out[prefix + key] = as_words(inner);
    }
  }
  return out;
}

std::vector<std::string> changed_settings(const nlohmann::json& settings,
                                          const std::vector<std::string>& leave_out) {
  const Texts written = settings_as_text(settings), usual = defaults_for(written);
  std::vector<std::string> out;
  for (const auto& [name, value] : written) {
    if (std::count(leave_out.begin(), leave_out.end(), name)) continue;
    const auto found = usual.find(name);
    if (found == usual.end()) {
      out.push_back(name + " = " + value);
    } else if (found->second != value) {
      out.push_back(text::cat(name, " = ", value,
                              found->second.empty() ? "" : " (default " + found->second + ")"));
    }
  }
  return out;
}

}  // namespace altprop
