#include "altprop/data/source.h"

#include <algorithm>
#include <map>
#include <stdexcept>

#include "altprop/base/error.h"
#include "altprop/base/text.h"

namespace altprop::data {

namespace {

std::map<std::string, Source>& registry() {
  static std::map<std::string, Source> sources;
  return sources;
}

}  // namespace

Register::Register(Source source) {
  const std::string name = source.name;
  if (!registry().emplace(name, std::move(source)).second)
    throw std::logic_error("data source '" + name + "' is registered twice");
}

std::vector<const Source*> list() {
  std::vector<const Source*> out;
  for (const auto& [name, source] : registry()) out.push_back(&source);
  return out;
}

const Source* find_or_null(const std::string& name) {
  for (const Source* source : list())
    if (source->name == name || std::count(source->aliases.begin(), source->aliases.end(), name))
      return source;
  return nullptr;
}

const Source& find(const std::string& name) {
  if (const Source* found = find_or_null(name)) return *found;
  std::vector<std::string> known;
  for (const Source* source : list()) known.push_back(source->name);
  throw UsageError("there is no data source '" + name + "'" + text::suggestion(name, known));
}

Request::Request(const std::string& name)
    : source_(find(name)), reader_(source_.make()), options_("data source '" + source_.name + "'") {
  prepare_.declare(options_);
  reader_->declare(options_);
}

Splits Request::load() const {
  return prepare(reader_->read(data_folder(prepare_.folder)), prepare_);
}

Splits load(const std::string& name, const OptionValues& values) {
  Request request(name);
  request.options().set_all(values);
  return request.load();
}

}  // namespace altprop::data
