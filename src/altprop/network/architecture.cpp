#include "altprop/network/architecture.h"

#include "altprop/base/error.h"
#include "altprop/base/files.h"
#include "altprop/base/printable.h"
#include "altprop/base/registry.h"
#include "altprop/base/text.h"
#include "altprop/base/utf8.h"

namespace altprop {

namespace {

constexpr size_t kLongestText = 100'000;

Registry<ArchitectureEntry>& architectures() {
  static Registry<ArchitectureEntry> all("network");
  return all;
}

/// The text of `@path`; comments from # to the end of the line are left out. Its bytes are counted
/// in the file, where an editor finds them.
std::string read_network_file(const std::string& path) {
  std::string content;
  try {
    content = read_input(path, kLongestText);
  } catch (const Error& error) {
    throw UsageError("the network file cannot be read: " + std::string(error.what()));
  }
  text::require_utf8(content, "the network file '" + text::printable(path, 200) + "'");
  std::string out;
  bool comment = false;
  for (char c : content) {
    comment = c != '\n' && (comment || c == '#');
    if (!comment) out += c;
  }
  return out;
}

struct Parts {
  const ArchitectureEntry* entry;
  std::vector<std::string> fields;
};

/// "resnet-20:width=8" -> the entry `resnet` and the fields "20", "width=8".
Parts split_text(const std::string& whole) {
  const size_t colon = whole.find(':');
  const std::string head = text::trim(whole.substr(0, colon));
  if (head.empty())
    throw UsageError("the network text '" + whole.substr(0, 60) +
                     "' has no name; write for example mlp:784-500-10:relu");
  Parts parts{architectures().find(head), {}};
  if (!parts.entry) {
    const size_t dash = head.rfind('-');
    if (dash != std::string::npos && text::to_integer(head.substr(dash + 1)))
      parts.entry = architectures().find(head.substr(0, dash));
    if (parts.entry) parts.fields.push_back(head.substr(dash + 1));
  }
  if (!parts.entry) parts.entry = &architecture_entry(head);
  if (colon == std::string::npos) return parts;
  const std::string rest = whole.substr(colon + 1);
  if (parts.entry->whole_text) {
    parts.fields.push_back(rest);
  } else {
    for (const std::string& field : text::split_outside_brackets(rest, ':'))
      parts.fields.push_back(text::trim(field));
  }
  return parts;
}

void assign(const Parts& parts, Options& options) {
  const ArchitectureEntry& entry = *parts.entry;
  size_t place = 0;
  for (const std::string& field : parts.fields) {
    if (!entry.whole_text && field.find('=') != std::string::npos) {
      for (const std::string& item : text::split_outside_brackets(field, ',')) {
        const size_t equals = item.find('=');
        if (equals == std::string::npos)
          throw UsageError("network '" + entry.name + "': options are written name=value, but '" +
                           text::trim(item) + "' is not; the form is " + entry.grammar);
        options.set(text::trim(item.substr(0, equals)), text::trim(item.substr(equals + 1)));
      }
    } else if (place < entry.positional.size()) {
      const std::string& name = entry.positional[place++];
      if (!field.empty()) options.set(name, field);
    } else {
      throw UsageError("network '" + entry.name + "': there is no place for '" + field +
                       "'; the form is " + entry.grammar);
    }
  }
}

/// Refuses a network of real numbers where the data are numbers of tokens: by the operation that
/// would calculate with them.
void check_tokens(const ArchitectureEntry& entry, const Graph& net, const InputInfo& info) {
  if (info.vocabulary < 1 || net.input_nodes().empty()) return;
  int here = net.input_nodes()[0];
  if (net.node(here).spec.dtype == Dtype::Int64) return;
  while (!net.consumers()[static_cast<size_t>(here)].empty() &&
         (!net.node(here).op || net.node(here).op->traits().rearranges))
    here = net.consumers()[static_cast<size_t>(here)].front();
  throw UsageError(text::cat("network '", entry.name, "': its '", net.node(here).name,
                             "' takes real numbers, but the data are sequences of token numbers; "
                             "use rnn or lstm, or begin with an embedding of ",
                             info.vocabulary, " tokens"));
}

void check_output(const ArchitectureEntry& entry, const Graph& net, const InputInfo& info) {
  if (info.outputs() < 1 || entry.density) return;
  const std::string wanted = info.classes > 0
                                 ? text::cat("the data have ", info.classes, " classes")
                                 : text::cat("a target of the data has ", info.target_values,
                                             info.target_values == 1 ? " value" : " values");
  for (int o : net.output_nodes()) {
    const std::vector<int64_t>& shape = net.node(o).spec.shape;
    // Sequences may end in one row per position; images may not.
    const bool rows = shape.size() == 2 && info.input_shape.size() < 3;
    if (info.per_step && (shape.size() != 2 || shape[0] != info.input_shape.at(0)))
      throw UsageError(text::cat("network '", entry.name, "': its output '", net.node(o).name,
                                 "' has shape ", shape_text(shape), " but the data have a target ",
                                 "for each of ", info.input_shape[0], " steps; use rnn or lstm"));
    if ((shape.size() != 1 && !rows) || shape.back() != info.outputs())
      throw UsageError(text::cat("network '", entry.name, "': its output '", net.node(o).name,
                                 "' has shape ", shape_text(shape), " but ", wanted,
                                 "; end with a layer of ", info.outputs(),
                                 info.outputs() == 1 ? " output" : " outputs"));
  }
}

}  // namespace

RegisterArchitecture::RegisterArchitecture(ArchitectureEntry entry) {
  architectures().add(std::move(entry));
}

const std::vector<ArchitectureEntry>& architecture_entries() { return architectures().all(); }

const ArchitectureEntry& architecture_entry(const std::string& name) {
  if (const ArchitectureEntry* entry = architectures().find(name)) return *entry;
  return architectures().at(name.substr(0, 60));  // what an error can quote
}

std::string network_text(const std::string& written) {
  const std::string whole = text::trim(written);
  return whole.starts_with('@') ? text::trim(read_network_file(text::trim(whole.substr(1))))
                                : whole;
}

Graph network(const std::string& written, const InputInfo& info) {
  const std::string whole = network_text(written);
  text::require_utf8(whole, "the network text");
  if (whole.size() > kLongestText)
    throw UsageError(
        text::cat("the network text is longer than ", kLongestText, " characters; shorten it"));
  if (const size_t at = text::control_character(whole); at != std::string::npos)
    throw UsageError(text::cat("the network text has a control character at place ", at + 1,
                               "; is it a text at all?"));
  const Parts parts = split_text(whole);
  const ArchitectureEntry& entry = *parts.entry;
  const std::unique_ptr<Architecture> architecture = entry.make();
  Options options("network '" + entry.name + "'");
  architecture->declare(options);
  assign(parts, options);
  InputInfo complete = info;
  if (complete.input_shape.empty()) complete.input_shape = entry.input_shape;
  if (complete.outputs() == 0) complete.classes = entry.classes;
  Graph net = architecture->make(complete);
  check_tokens(entry, net, complete);
  check_output(entry, net, complete);
  return net;
}

}  // namespace altprop
