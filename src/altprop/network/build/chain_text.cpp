// `chain:` a network as a list of operations, each behind the one before.
//
//   chain: conv 32 k=3 p=1, relu, maxpool 2, linear *
//   chain: linear 16, ode{linear 32, tanh, linear 16} solver=rk4 steps=8, linear *
#include <cctype>
#include <optional>

#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "altprop/network/architecture.h"
#include "altprop/network/build/words.h"

namespace altprop {

namespace {

/// Pieces between white space or commas, with white space around '=' removed.
std::vector<std::string> pieces_of(const std::string& item) {
  std::vector<std::string> out;
  bool open = false;  // the last piece goes on
  for (char c : item) {
    const bool gap = std::isspace(static_cast<unsigned char>(c)) || c == ',';
    if (gap) {
      open = open && !out.empty() && out.back().back() == '=';
    } else if (c == '=' && !out.empty()) {
      out.back() += c;
      open = true;
    } else {
      if (!open) out.emplace_back();
      out.back() += c;
      open = true;
    }
  }
  return out;
}

/// "conv(32, k=3)" is "conv 32 k=3".
std::string without_brackets(std::string item, const std::string& where) {
  const size_t open = item.find('(');
  if (open == std::string::npos) {
    if (item.find(')') != std::string::npos)
      throw UsageError(where + ": a bracket is closed that was not opened");
    return item;
  }
  if (item.back() != ')' || item.find('(', open + 1) != std::string::npos ||
      item.find(')') != item.size() - 1)
    throw UsageError(where + ": settings in brackets are written once, behind the operation, as " +
                     "in conv(32, k=3)");
  item[open] = ' ';
  item.pop_back();
  return item;
}

/// How the items of a chain are read: those of the network, or those in braces.
struct ItemsRead {
  const InputInfo& info;
  std::string inside;         ///< "in item 2, " for error sentences; "" outside of braces
  std::string before_affine;  ///< see Body
  std::string after_affine = "";
  int depth = 0;
};

void add_items(Builder& net, const std::string& items, const ItemsRead& reading);

bool is_linear_word(const std::string& word) { return word == "linear" || word == "fc"; }

bool is_affine_word(const std::string& word) {
  return is_linear_word(word) || word.starts_with("conv") || word == "deconv";
}

/// Where an affine operation looks for what is put in front of it: `linear` along the last
/// dimension, convolutions along the channels.
std::vector<std::pair<std::string, std::string>> of_last_dimension(const std::string& word) {
  if (!is_linear_word(word)) return {};
  return {{"dim", "-1"}};
}

/// Takes "{...}" out of an item. @returns what is in it, or nothing if there are no braces
std::optional<std::string> braces_of(std::string& item, const std::string& where) {
  const size_t open = item.find('{');
  if (open == std::string::npos) {
    if (item.find('}') != std::string::npos)
      throw UsageError(where + ": a brace is closed that was not opened");
    return std::nullopt;
  }
  int depth = 0;
  for (size_t i = open; i < item.size(); ++i) {
    depth += (item[i] == '{') - (item[i] == '}');
    if (depth > 0) continue;
    const std::string inside = item.substr(open + 1, i - open - 1);
    item.replace(open, i - open + 1, " ");
    if (item.find_first_of("{}") != std::string::npos)
      throw UsageError(where + (item.find('{') == std::string::npos
                                    ? ": a brace is closed that was not opened"
                                    : ": an operation has one pair of braces, as in ode{linear 16, tanh}"));
    return inside;
  }
  throw UsageError(where + ": a brace is not closed");
}

Graph graph_inside(const std::string& items, const Body& body, const ItemsRead& reading) {
  Builder net = Builder::without_input(reading.info.limits);
  int first = -1;
  for (const BodyInput& input : body.inputs) {
    const int node = net.graph().input(input.spec, input.name);
    if (first < 0) first = node;
  }
  net.from(first);
  add_items(net, items, reading);
  return net.finish();
}

void add_item(Builder& net, std::string item, size_t position, const ItemsRead& reading) {
  const std::string where =
      text::cat(reading.inside, "item ", position, " '", item.substr(0, 60), "'");
  WordUse use{where, "", {}};
  std::string name;
  if (const auto inside = braces_of(item, where)) {
    if (reading.depth == kDeepestBraces) throw UsageError(where + ": braces are nested too deeply");
    use.inside = [&reading, position, items = *inside](const Body& body, std::vector<int>&) {
      return graph_inside(items, body,
                          {reading.info, text::cat(reading.inside, "item ", position, ", "),
                           body.before_affine, body.after_affine, reading.depth + 1});
    };
  }
  for (const std::string& piece : pieces_of(without_brackets(text::trim(item), where))) {
    const size_t equals = piece.find('=');
    if (use.word.empty()) {
      if (equals != std::string::npos)
        throw UsageError(where + ": it must begin with an operation, as in conv 32 k=3");
      use.word = piece;
    } else if (equals == std::string::npos) {
      use.places.push_back(piece);
    } else if (piece.substr(0, equals) == "name") {
      name = piece.substr(equals + 1);
    } else {
      use.settings.emplace_back(piece.substr(0, equals), piece.substr(equals + 1));
    }
  }
  if (use.word.empty())
    throw UsageError(where + (use.inside ? ": an operation stands in front of its braces, as in "
                                           "ode{linear 16, tanh}"
                              : !reading.inside.empty()
                                  ? " is empty: write operations in the braces, or remove a comma"
                                  : " is empty; remove a comma"));
  const bool image = net.shape().size() == 3;
  if (image && is_linear_word(use.word)) net.flatten();
  if (!reading.before_affine.empty() && is_affine_word(use.word))
    net.from(add_word(net, {where, reading.before_affine, {}, of_last_dimension(use.word)},
                      {net.here()}, "", 0));
  net.from(add_word(net, use, {net.here()}, name, reading.info.outputs()));
  if (!reading.after_affine.empty() && is_affine_word(use.word))
    net.from(add_word(net, {where, reading.after_affine, {}, of_last_dimension(use.word)},
                      {net.here()}, "", 0));
}

void add_items(Builder& net, const std::string& items, const ItemsRead& reading) {
  size_t position = 0;
  for (const std::string& item : text::split_outside_brackets(items, ','))
    add_item(net, text::trim(item), ++position, reading);
}

struct ChainText : Architecture {
  std::string items;
  void declare(Options& o) override { o.text("items", items, {"operations separated by commas"}); }
  Graph make(const InputInfo& info) const override {
    if (info.input_shape.empty())
      throw UsageError(
          "network 'chain': the shape of its input is not known without data; give "
          "the data, or use dag: x = input(1, 28, 28); ...");
    const std::vector<std::string> list = text::split_outside_brackets(items, ',');
    // Without data, what an embedding reads can be nothing but token numbers.
    const bool tokens =
        info.vocabulary > 0 || (!list.empty() && text::trim(list[0]).starts_with("embedding"));
    Builder net(info.input_shape, info.limits, tokens ? Dtype::Int64 : Dtype::Float);
    add_items(net, items, {info, "", ""});
    return net.finish();
  }
};

const RegisterArchitecture registered_chain_text{
    {.name = "chain",
     .summary = "a list of operations, each behind the one before",
     .grammar = "chain: operation [setting ...] [option=value ...], ...",
     .example = "chain: conv 32 k=3 p=1, relu, maxpool 2, conv 64 k=3, relu, gap, linear *",
     .positional = {"items"},
     .whole_text = true,
     .make = [] { return std::make_unique<ChainText>(); },
     .order = 90}};

}  // namespace

}  // namespace altprop
