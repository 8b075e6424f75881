// Things that are known by name and register themselves from their own source files, so that there
// is no list to edit.
#pragma once

#include <algorithm>
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

  void add(Entry entry) {
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
  /// Null if there is none of this name.
  const Entry* find(const std::string& name) const {
    for (const Entry& entry : all_)
      if (entry.name == name) return &entry;
    return nullptr;
  }
  /// @throws UsageError with a suggestion
  const Entry& at(const std::string& name) const {
    if (const Entry* found = find(name)) return *found;
    throw UsageError("there is no " + what_ + " '" + name + "'" + text::suggestion(name, names()));
  }

 private:
  std::string what_;
  std::vector<Entry> all_;
};

}  // namespace altprop
