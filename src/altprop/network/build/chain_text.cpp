// `chain:` a network as a list of operations, each behind the one before.
//
//   chain: conv 32 k=3 p=1, relu, maxpool 2, linear *
#include <cctype>

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

void add_item(Builder& net, const std::string& item, size_t position, int64_t outputs) {
  const std::string where = text::cat("item ", position, " '", item.substr(0, 60), "'");
  WordUse use{where, "", {}};
  std::string name;
  for (const std::string& piece : pieces_of(without_brackets(item, where))) {
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
  if (use.word.empty()) throw UsageError(where + " is empty; remove a comma");
  const bool image = net.shape().size() == 3;
  if (image && (use.word == "linear" || use.word == "fc")) net.flatten();
  net.from(add_word(net, use, {net.here()}, name, outputs));
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
    size_t position = 0;
    for (const std::string& item : list) add_item(net, text::trim(item), ++position, info.outputs());
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
