// Things that are known by name and register themselves from their own source files, so that there
// is no list to edit.
#pragma once

#include <algorithm>
#include <stdexcept>
#include <string>
#include <tuple>
#include <vector>

#include "altprop/base/error.h"
#include "altprop/base/text.h"

namespace altprop {

/// Entries in listing order: by `order`, then by `name`, which are members of Entry. Filled before
/// main starts and not changed while other threads look.
template <class Entry>
class Registry {
 public:
  /// @param what one of them in an error sentence, e.g. "optimizer"
  explicit Registry(std::string what) : what_(std::move(what)) {}

  /// @throws std::logic_error if another one has the name, or one of the aliases
  void add(Entry entry) {
    for (const std::string& name : names_of(entry))
      if (find(name)) throw std::logic_error(what_ + " '" + name + "' is registered twice");
    const auto place = std::find_if(all_.begin(), all_.end(), [&](const Entry& other) {
      return std::tie(entry.order, entry.name) < std::tie(other.order, other.name);
    });
    all_.insert(place, std::move(entry));
  }
  /// For whoever registered it and goes: a library that is unloaded.
  void remove(const std::string& name) {
    all_.erase(std::remove_if(all_.begin(), all_.end(),
                              [&](const Entry& entry) { return entry.name == name; }),
               all_.end());
  }

  const std::vector<Entry>& all() const { return all_; }
  std::vector<std::string> names() const {
    std::vector<std::string> out;
    for (const Entry& entry : all_) out.push_back(entry.name);
    return out;
  }
  /// By name or, where entries have them, by one of its `aliases`. Null if there is none.
  const Entry* find(const std::string& name) const {
    for (const Entry& entry : all_) {
      if (entry.name == name) return &entry;
      if constexpr (requires { entry.aliases; })
        if (std::count(entry.aliases.begin(), entry.aliases.end(), name)) return &entry;
    }
    return nullptr;
  }
  /// As find. @throws UsageError with a suggestion
  const Entry& at(const std::string& name) const {
    if (const Entry* found = find(name)) return *found;
    throw UsageError("there is no " + what_ + " '" + name + "'" +
                     text::suggestion(name, known_names()));
  }

 private:
  /// What `find` knows, each entry's aliases behind its name.
  std::vector<std::string> known_names() const {
    std::vector<std::string> out;
    for (const Entry& entry : all_)
      for (std::string& name : names_of(entry)) out.push_back(std::move(name));
    return out;
  }
  static std::vector<std::string> names_of(const Entry& entry) {
    std::vector<std::string> out{entry.name};
    if constexpr (requires { entry.aliases; })
      out.insert(out.end(), entry.aliases.begin(), entry.aliases.end());
    return out;
  }

  std::string what_;
  std::vector<Entry> all_;
};

/// The program's registry of these entries; each kind defines its own.
template <class Entry>
Registry<Entry>& registry_of();

/// Registers an entry as long as it lives.
template <class Entry>
class Registration {
 public:
  explicit Registration(Entry entry) : name_(entry.name) {
    registry_of<Entry>().add(std::move(entry));
  }
  ~Registration() { registry_of<Entry>().remove(name_); }
  Registration(const Registration&) = delete;
  Registration& operator=(const Registration&) = delete;

 private:
  std::string name_;
};

}  // namespace altprop
