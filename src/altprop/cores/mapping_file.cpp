#include "altprop/cores/mapping_file.h"

#include <cmath>

#include "altprop/base/error.h"
#include "altprop/base/json.h"
#include "altprop/base/text.h"
#include "altprop/cores/member.h"

namespace altprop::cores {

namespace {

using nlohmann::json;

constexpr const char* kFormat = "altprop-cores";
constexpr int kFormatVersion = 1;
constexpr size_t kMostCores = 4096;

json axons_json(const MappedCore& core) {
  json out = json::array();
  for (const AxonSource& source : core.axons)
    out.push_back(source.index < 0 ? json(nullptr) : json{source.core, source.index});
  return out;
}

json rows_json(const MappedCore& core) {
  json out = json::array();
  const float* c = core.connections.const_data_ptr<float>();
  for (int64_t j = 0; j < core.neurons(); ++j) {
    std::string row;
    for (size_t i = 0; i < core.axons.size(); ++i) row += *c++ > 0 ? '1' : '0';
    out.push_back(std::move(row));
  }
  return out;
}

/// Reads a document part by part; every complaint says where it is.
class MappingReader {
 public:
  MappingReader(const json& document, std::string where)
      : document_(document), where_(std::move(where)) {}

  Mapping read() const {
    if (!document_.is_object()) fail("it is no object");
    if (text_at(document_, "format") != kFormat)
      fail(text::cat("its format is not '", kFormat, "'"));
    if (whole_at(document_, "version", 0, 1'000'000) != kFormatVersion)
      fail(text::cat("this program reads version ", kFormatVersion));
    Mapping out;
    const std::string fires = text_at(document_, "fires");
    if (fires != "above 0" && fires != "at 0") fail("'fires' is neither \"above 0\" nor \"at 0\"");
    out.fire_on_zero = fires == "at 0";
    for (const json& extent : list_at(document_, "input_shape", 8))
      out.input_shape.push_back(whole(extent, "an extent of 'input_shape'", 1, 1 << 20));
    int64_t inputs = 1;
    for (const int64_t extent : out.input_shape)
      if ((inputs *= extent) > 1 << 26) fail("'input_shape' has too many values");
    out.classes = whole_at(document_, "classes", 1, 1'000'000);
    for (const json& core : list_at(document_, "cores", kMostCores))
      out.cores.push_back(core_of(core, out.cores.size()));
    for (const json& vote : list_at(document_, "votes", kMostCores * kMostNeurons)) {
      if (!vote.is_array() || vote.size() != 3) fail("a vote is [core, neuron, class]");
      out.votes.push_back({number(vote[0], "a vote's core"), number(vote[1], "a vote's neuron"),
                           number(vote[2], "a vote's class")});
    }
    validate(out);
    return out;
  }

 private:
  [[noreturn]] void fail(const std::string& why) const {
    throw Error(where_ + " is no mapping of cores: " + why);
  }
  /// @param of " of core 3", or ""
  const json& at(const json& object, const char* name, const std::string& of = "") const {
    if (!object.contains(name)) fail(text::cat("'", name, "'", of, " is missing"));
    return object[name];
  }
  std::string text_at(const json& object, const char* name) const {
    const json& found = at(object, name);
    if (!found.is_string()) fail(text::cat("'", name, "' is no text"));
    return found.get<std::string>();
  }
  const json& list_at(const json& object, const char* name, size_t most,
                      const std::string& of = "") const {
    const json& found = at(object, name, of);
    if (!found.is_array() || found.empty() || found.size() > most)
      fail(text::cat("'", name, "'", of, " is no list of 1 to ", most, " entries"));
    return found;
  }
  int64_t whole(const json& found, const std::string& what, int64_t least, int64_t most) const {
    if (!found.is_number_integer() ||
        (found.is_number_unsigned() && found.get<uint64_t>() > uint64_t{1} << 62) ||
        found.get<int64_t>() < least || found.get<int64_t>() > most)
      fail(text::cat(what, " is no whole number from ", least, " to ", most));
    return found.get<int64_t>();
  }
  int64_t whole_at(const json& object, const char* name, int64_t least, int64_t most) const {
    return whole(at(object, name), text::cat("'", name, "'"), least, most);
  }
  /// What validate looks at.
  int64_t number(const json& found, const std::string& what) const {
    return whole(found, what, -1, int64_t{1} << 30);
  }

  MappedCore core_of(const json& found, size_t index) const {
    const std::string core = text::cat("of core ", index);
    if (!found.is_object()) fail(text::cat("core ", index, " is no object"));
    MappedCore out;
    for (const json& axon : list_at(found, "axons", kMostAxons, " " + core)) {
      if (!axon.is_null() && (!axon.is_array() || axon.size() != 2))
        fail("an axon " + core + " is neither [core, neuron] nor null");
      out.axons.push_back(axon.is_null()
                              ? AxonSource{}
                              : AxonSource{number(axon[0], "the source of an axon " + core),
                                           number(axon[1], "the source of an axon " + core)});
      if (!axon.is_null() && out.axons.back().index < 0)
        fail("an axon " + core + " reads a negative number; null is a silent one");
    }
    for (const json& type : list_at(found, "types", kMostAxons, " " + core))
      out.types.push_back(static_cast<int>(number(type, "a type " + core)));
    for (const json& table : list_at(found, "strengths", kMostNeurons, " " + core)) {
      if (!table.is_array() || table.size() != kAxonTypes)
        fail(text::cat("a table of strengths ", core, " has not ", kAxonTypes, " entries"));
      std::array<int, kAxonTypes>& row = out.strengths.emplace_back();
      for (size_t k = 0; k < row.size(); ++k)
        row[k] = static_cast<int>(whole(table[k], "a strength " + core, -(1 << 20), 1 << 20));
    }
    for (const json& leak : list_at(found, "leaks", kMostNeurons, " " + core))
      out.leaks.push_back(static_cast<double>(whole(leak, "a leak " + core, -(1 << 20), 1 << 20)));
    const int64_t neurons = out.neurons(), axons = static_cast<int64_t>(out.axons.size());
    const json& rows = list_at(found, "connections", kMostNeurons, " " + core);
    if (static_cast<int64_t>(rows.size()) != neurons)
      fail(text::cat("connections ", core, " are not ", neurons, " rows, one for each neuron"));
    out.connections = at::empty({neurons, axons});
    float* c = out.connections.mutable_data_ptr<float>();
    for (const json& row : rows) {
      const std::string bits = row.is_string() ? row.get<std::string>() : "";
      if (static_cast<int64_t>(bits.size()) != axons ||
          bits.find_first_not_of("01") != std::string::npos)
        fail(text::cat("a row of connections ", core, " is no text of ", axons, " zeros and ones"));
      for (const char bit : bits) *c++ = bit == '1' ? 1 : 0;
    }
    return out;
  }

  const json& document_;
  std::string where_;
};

}  // namespace

std::string mapping_text(const Mapping& drawn) {
  validate(drawn);
  expect_drawn(drawn, "a mapping is written with");
  json cores = json::array(), votes = json::array();
  for (const MappedCore& core : drawn.cores) {
    std::vector<int64_t> leaks;
    for (const double leak : core.leaks) leaks.push_back(std::llround(leak));
    cores.push_back({{"axons", axons_json(core)},
                     {"types", core.types},
                     {"strengths", core.strengths},
                     {"leaks", std::move(leaks)},
                     {"connections", rows_json(core)}});
  }
  for (const Vote& vote : drawn.votes) votes.push_back({vote.core, vote.neuron, vote.of_class});
  return json{{"format", kFormat},
              {"version", kFormatVersion},
              {"fires", drawn.fire_on_zero ? "at 0" : "above 0"},
              {"input_shape", drawn.input_shape},
              {"classes", drawn.classes},
              {"cores", std::move(cores)},
              {"votes", std::move(votes)}}
             .dump() +
         "\n";
}

Mapping read_mapping(const std::string& text, const std::string& where) {
  const json document = read_json(text, where);
  return MappingReader(document, where).read();
}

std::string spike_text(const std::vector<int>& spikes) {
  std::string out;
  for (const int spike : spikes) out += spike ? '1' : '0';
  return out;
}

}  // namespace altprop::cores
