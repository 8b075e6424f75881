#include "altprop/base/options.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "altprop/base/error.h"
#include "altprop/base/printable.h"
#include "altprop/base/text.h"
#include "altprop/base/utf8.h"

namespace altprop {

namespace {

/// "in (0, 1]", "at least 1", "" for the whole line.
std::string describe(const OptionRange& range) {
  const bool low = std::isfinite(range.min), high = std::isfinite(range.max);
  if (low && high)
    return text::cat("in ", range.min_excluded ? '(' : '[', text::from_number(range.min), ", ",
                     text::from_number(range.max), ']');
  if (low)
    return text::cat(range.min_excluded ? "above " : "at least ", text::from_number(range.min));
  if (high) return text::cat("at most ", text::from_number(range.max));
  return "";
}

bool admits(const OptionRange& range, double value) {
  return std::isfinite(value) && value <= range.max &&
         (range.min_excluded ? value > range.min : value >= range.min);
}

/// Thrown inside assign; `set` adds owner and name. The message says what the option must be.
struct Inadmissible {
  std::string must_be;
};

}  // namespace

Options::Entry& Options::add(std::string name, std::string type, OptionDoc doc) {
  if (has(name)) throw std::logic_error("option '" + name + "' is declared twice");
  Entry& entry = entries_.emplace_back();
  entry.name = std::move(name);
  entry.type = std::move(type);
  entry.group = group_;
  entry.doc = std::move(doc);
  return entry;
}

void Options::flag(std::string name, bool& value, OptionDoc doc) {
  Entry& entry = add(std::move(name), "flag", std::move(doc));
  bool* target = &value;
  entry.assign = [target](const std::string& s) {
    if (s == "true" || s == "on" || s == "1" || s == "yes") {
      *target = true;
    } else if (s == "false" || s == "off" || s == "0" || s == "no") {
      *target = false;
    } else {
      throw Inadmissible{"true or false"};
    }
  };
  entry.text = [target] { return std::string(*target ? "true" : "false"); };
  entry.json = [target] { return nlohmann::json(*target); };
  entry.default_text = entry.text();
}

void Options::integer(std::string name, int64_t& value, OptionRange range, OptionDoc doc) {
  Entry& entry = add(std::move(name), "integer", std::move(doc));
  int64_t* target = &value;
  entry.range_text = describe(range);
  entry.assign = [target, range](const std::string& s) {
    auto parsed = text::to_integer(s);
    if (!parsed || !admits(range, static_cast<double>(*parsed)))
      throw Inadmissible{
          text::cat("a whole number", range.min == range.max ? "" : " ", describe(range))};
    *target = *parsed;
  };
  entry.text = [target] { return std::to_string(*target); };
  entry.json = [target] { return nlohmann::json(*target); };
  entry.default_text = entry.text();
}

void Options::number(std::string name, double& value, OptionRange range, OptionDoc doc) {
  Entry& entry = add(std::move(name), "number", std::move(doc));
  double* target = &value;
  entry.range_text = describe(range);
  entry.assign = [target, range](const std::string& s) {
    auto parsed = text::to_number(s);
    if (!parsed || !admits(range, *parsed))
      throw Inadmissible{text::cat("a number ", describe(range))};
    *target = *parsed;
  };
  entry.text = [target] { return text::from_number(*target); };
  entry.json = [target] { return nlohmann::json(*target); };
  entry.default_text = entry.text();
}

void Options::text(std::string name, std::string& value, OptionDoc doc) {
  checked_text(std::move(name), value, "", nullptr, std::move(doc));
}

void Options::file(std::string name, std::string& value, OptionDoc doc) {
  text(std::move(name), value, std::move(doc));
  entries_.back().is_file = true;
}

void Options::checked_text(std::string name, std::string& value, std::string grammar,
                           std::function<void(const std::string&)> check, OptionDoc doc) {
  Entry& entry = add(std::move(name), "text", std::move(doc));
  std::string* target = &value;
  entry.range_text = std::move(grammar);
  entry.assign = [target, check](const std::string& s) {
    if (check) {
      try {
        check(s);
      } catch (const UsageError& error) {
        throw Inadmissible{error.what()};
      }
    }
    *target = s;
  };
  entry.text = [target] { return *target; };
  entry.json = [target] { return nlohmann::json(*target); };
  entry.default_text = entry.text();
}

void Options::choice(std::string name, std::string& value, std::vector<std::string> choices,
                     OptionDoc doc) {
  Entry& entry = add(std::move(name), "choice", std::move(doc));
  std::string* target = &value;
  entry.choices = choices;
  entry.assign = [target, choices = std::move(choices)](const std::string& s) {
    if (std::find(choices.begin(), choices.end(), s) == choices.end())
      throw Inadmissible{"one of " + text::join(choices, ", ")};
    *target = s;
  };
  entry.text = [target] { return *target; };
  entry.json = [target] { return nlohmann::json(*target); };
  entry.default_text = entry.text();
}

void Options::list(std::string name, std::vector<std::string>& value, OptionDoc doc) {
  Entry& entry = add(std::move(name), "list", std::move(doc));
  std::vector<std::string>* target = &value;
  entry.range_text = "items separated by commas";
  entry.assign = [target](const std::string& s) {
    target->clear();
    for (const std::string& part : text::split_outside_brackets(s, ','))
      if (std::string item = text::trim(part); !item.empty()) target->push_back(item);
  };
  entry.text = [target] { return text::join(*target, ","); };
  entry.json = [target] { return nlohmann::json(*target); };
  entry.default_text = entry.text();
}

namespace {
/// Publications write align_decay, flags align-decay: both are understood.
std::string canonical(std::string name) {
  std::replace(name.begin(), name.end(), '_', '-');
  return name;
}
}  // namespace

Options::Entry* Options::find(const std::string& name) {
  const std::string wanted = canonical(name);
  auto it = std::find_if(entries_.begin(), entries_.end(),
                         [&](const Entry& e) { return canonical(e.name) == wanted; });
  return it == entries_.end() ? nullptr : &*it;
}

bool Options::has(const std::string& name) const { return const_cast<Options*>(this)->find(name); }

bool Options::given(const std::string& name) const {
  const Entry* entry = const_cast<Options*>(this)->find(name);
  return entry && entry->given;
}

std::vector<std::string> Options::names() const {
  std::vector<std::string> out;
  for (const Entry& entry : entries_) out.push_back(entry.name);
  return out;
}

Options::Entry* Options::find_by_last_part(const std::string& name) {
  const std::string ending = "." + canonical(name);
  Entry* found = nullptr;
  for (Entry& entry : entries_) {
    if (!canonical(entry.name).ends_with(ending)) continue;
    if (found) return nullptr;
    found = &entry;
  }
  return found;
}

void Options::set(const std::string& name, const std::string& value) {
  Entry* entry = find(name);
  if (!entry) entry = find_by_last_part(name);
  if (!entry)
    throw UsageError(text::cat(owner_.empty() ? "" : owner_ + " has ", "no option '", name, "'",
                               text::suggestion(name, names())));
  // Settings are kept as TOML and JSON.
  text::require_utf8(value,
                     text::cat("option '", name, "'", owner_.empty() ? "" : " of " + owner_));
  try {
    entry->assign(value);
    entry->given = true;
  } catch (const Inadmissible& inadmissible) {
    throw UsageError(text::cat("option '", name, "'", owner_.empty() ? "" : " of " + owner_,
                               " must be ", text::printable(text::trim(inadmissible.must_be), 800),
                               ", but is '", text::printable(value, 200), "'"));
  }
}

void Options::set_all(const OptionValues& values) {
  std::map<std::string, std::string> written;
  for (const auto& [name, value] : values) {
    const auto [other, fresh] = written.emplace(full_name(name), name);
    if (!fresh)
      throw UsageError(text::cat("option '", other->first, "'",
                                 owner_.empty() ? "" : " of " + owner_, " is given twice, as '",
                                 other->second, "' and as '", name, "'; leave one out"));
    set(name, value);
  }
}

std::string Options::full_name(const std::string& written) const {
  auto& self = const_cast<Options&>(*this);
  Entry* entry = self.find(written);
  if (!entry) entry = self.find_by_last_part(written);
  return entry ? entry->name : written;
}

nlohmann::json Options::values() const {
  nlohmann::json out = nlohmann::json::object();
  for (const Entry& entry : entries_) out[entry.name] = entry.json();
  return out;
}

nlohmann::json Options::listing() const {
  nlohmann::json out = nlohmann::json::array();
  for (const Entry& entry : entries_) {
    nlohmann::json row{{"name", entry.name},
                       {"type", entry.type},
                       {"default", entry.default_text},
                       {"help", entry.doc.help}};
    if (!entry.range_text.empty()) row["range"] = entry.range_text;
    if (!entry.choices.empty()) row["choices"] = entry.choices;
    const bool is_number = entry.type == "number" || entry.type == "integer";
    if (!entry.doc.unit.empty() || is_number)
      row["unit"] = entry.doc.unit.empty() ? "1" : entry.doc.unit;
    if (!entry.doc.source.empty()) row["source"] = entry.doc.source;
    out.push_back(row);
  }
  return out;
}

}  // namespace altprop
