#include "altprop/data/source.h"

#include "altprop/base/error.h"

namespace altprop {

template <>
Registry<data::Source>& registry_of() {
  static Registry<data::Source> all("data source");
  return all;
}

}  // namespace altprop

namespace altprop::data {

const std::vector<Source>& list() { return registry_of<Source>().all(); }

const Source* find_or_null(const std::string& name) { return registry_of<Source>().find(name); }

const Source& find(const std::string& name) { return registry_of<Source>().at(name); }

Request::Request(const std::string& name)
    : source_(find(name)), reader_(source_.make()), options_("data source '" + source_.name + "'") {
  prepare_.declare(options_);
  reader_->declare(options_);
}

Splits Request::load() const {
  return prepare(reader_->read(data_folder(prepare_.folder)), prepare_);
}

NewSamples Request::load_new(const NewFiles& files, const Dataset& train) const {
  NewSamples out = reader_->read_new(data_folder(prepare_.folder), files, train);
  prepare_new(out.data, train, prepare_);
  return out;
}

NewSamples Reader::read_new(const std::string&, const NewFiles& files, const Dataset& train) const {
  if (train.vocabulary > 0)
    throw UsageError("the network was trained on sequences of data set '" + train.name +
                     "', and sequences from other files are not read; name other data with "
                     "--data instead");
  return read_new_arrays(files, train);
}

Splits load(const std::string& name, const OptionValues& values) {
  Request request(name);
  request.options().set_all(values);
  return request.load();
}

}  // namespace altprop::data
