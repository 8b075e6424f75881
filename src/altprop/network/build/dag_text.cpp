// `dag:` any directed acyclic graph in text.
//
//   dag: x = input; a = relu(conv(x, 16, k=3, p=1)); b = conv(a, 16, k=3, p=1); y = add(a, b);
//        output linear(flatten(y), *)
//
// Statements are separated by ';' or line ends (outside of brackets):
//
//   statement = name '=' value | 'output' value {',' value}
//   value     = name | 'input' ['(' extent {',' extent} ')'] | operation '(' value {',' argument}
//   ')' argument  = value | setting | name '=' setting       values first
//
// `tie=node` in place of settings uses the operation of an earlier node again: shared weights.
//
// Operations that are made of others have these in braces behind the bracket, as statements of
// their own with names of their own:
//
//   y = ode(x, solver=rk4, steps=8){ h = tanh(linear(with-time(z), 64)); output linear(h, 2) }
//
// Nodes from outside may be named in the braces of an ode; there they are constants.
#include <algorithm>
#include <cctype>
#include <cstring>
#include <map>
#include <utility>

#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "altprop/network/architecture.h"
#include "altprop/network/build/words.h"

namespace altprop {

namespace {

constexpr int kDeepestNesting = 100;

/// A word or number, one of "(),=;{}", or "" at the end.
struct Token {
  std::string text;
  size_t position = 0;
  bool is_name() const {
    return !text.empty() && (std::isalpha(static_cast<unsigned char>(text[0])) || text[0] == '_');
  }
  bool is_value() const { return !text.empty() && !std::strchr("(),=;{}", text[0]); }
};

std::vector<Token> tokens_of(const std::string& written) {
  std::vector<Token> out;
  int depth = 0;
  std::vector<int> outside;  // depth of brackets around each brace that is open
  bool open = false;         // the last token is a word that goes on
  for (size_t i = 0; i < written.size(); ++i) {
    const char c = written[i];
    depth += (c == '(') - (c == ')');
    if (c == '{') {  // line ends separate statements again
      outside.push_back(depth);
      depth = 0;
    } else if (c == '}' && !outside.empty()) {
      depth = outside.back();
      outside.pop_back();
    }
    if (c == '\n' && depth <= 0) {
      out.push_back({";", i});
      open = false;
    } else if (std::isspace(static_cast<unsigned char>(c))) {
      open = false;
    } else if (std::strchr("(),=;{}", c)) {
      out.push_back({std::string(1, c), i});
      open = false;
    } else {
      if (!open) out.push_back({"", i});
      out.back().text += c;
      open = true;
    }
  }
  out.push_back({"", written.size()});
  return out;
}

class DagParser {
 public:
  DagParser(const std::string& written, const InputInfo& info)
      : written_(written),
        tokens_(tokens_of(written)),
        info_(info),
        here_{Builder::without_input(info.limits)} {}

  Graph parse() {
    statements("");
    if (here_.net.graph().output_nodes().empty())
      throw UsageError("network 'dag': it has no output; end with: output name");
    return here_.net.finish();
  }

 private:
  /// Up to the token `end`, which is left where it is.
  void statements(const std::string& end) {
    while (peek().text != end) {
      if (peek().text.empty()) fail(peek(), "'" + end + "' is expected");
      if (peek().text == ";") {
        take();
        continue;
      }
      statement();
      if (!peek().text.empty() && peek().text != end && peek().text != ";")
        fail(peek(), "a statement must end with ';' or a new line");
    }
  }

  /// A network that is being read: the whole, or what is in braces.
  struct Scope {
    Builder net;
    std::map<std::string, int> places = {};  ///< node of each name
    std::map<int, std::string> words = {};   ///< by which word a node was made
    bool constants = false;                  ///< nodes of the scope around it may be named
    std::vector<int> from_outside = {};      ///< those that were
  };

  /// What is in braces, as a graph with names of its own.
  Graph inside(const Body& body, std::vector<int>& inputs) {
    const Token& brace = take();
    if (outer_.size() == kDeepestBraces) fail(brace, "braces are nested too deeply");
    if (!body.before_affine.empty())
      fail(brace, "in dag the time is written where it enters, as in linear(" + body.before_affine +
                      "(z), 16); leave the setting for it out");
    if (!body.after_affine.empty())
      fail(brace, "in dag the time is written where it enters, as in " + body.after_affine +
                      "(linear(z, 16)); leave the setting for it out");
    Scope inner{Builder::without_input(info_.limits)};
    inner.constants = body.constants;
    for (const BodyInput& input : body.inputs)
      inner.places[input.name] = inner.net.graph().input(input.spec, input.name);
    outer_.push_back(std::exchange(here_, std::move(inner)));
    statements("}");
    take();
    inner = std::exchange(here_, std::move(outer_.back()));
    outer_.pop_back();
    if (inner.net.graph().output_nodes().empty())
      fail(brace, "what is in the braces has no output; end it with: output name");
    inputs.insert(inputs.end(), inner.from_outside.begin(), inner.from_outside.end());
    return inner.net.finish();
  }

  Scope& scope(size_t level) { return level < outer_.size() ? outer_[level] : here_; }

  /// The node of that name in a scope, be it one of the scopes around, which becomes an input of each
  /// scope on the way; -1 if there is none.
  int node_of(const std::string& name, size_t level) {
    Scope& own = scope(level);
    if (const auto place = own.places.find(name); place != own.places.end()) return place->second;
    if (!own.constants || level == 0) return -1;
    const int outside = node_of(name, level - 1);
    if (outside < 0) return -1;
    std::string free = name;  // operations may have been given it
    Graph& graph = own.net.graph();
    while (std::any_of(graph.nodes().begin(), graph.nodes().end(),
                       [&](const Node& node) { return node.name == free; }))
      free += "_outside";
    const int here = graph.input(scope(level - 1).net.graph().node(outside).spec, free);
    own.from_outside.push_back(outside);
    return own.places[name] = here;
  }

  const Token& peek(size_t ahead = 0) const {
    return tokens_[std::min(next_ + ahead, tokens_.size() - 1)];
  }
  const Token& take() {
    const Token& token = peek();
    if (next_ + 1 < tokens_.size()) ++next_;
    return token;
  }
  void expect(const char* symbol) {
    if (peek().text != symbol) fail(peek(), text::cat("'", symbol, "' is expected"));
    take();
  }
  [[noreturn]] void fail(const Token& at, const std::string& why) const {
    throw UsageError(text::cat("network 'dag', character ", at.position + 1, " (",
                               at.text.empty() ? "the end" : "'" + at.text.substr(0, 60) + "'",
                               "): ", why));
  }

  void statement() {
    if (peek().text == "output") {
      do {
        take();  // 'output' or ','
        const int node = value("", 0);
        for (int o : here_.net.graph().output_nodes())
          if (o == node) fail(peek(), "this output is named twice");
        here_.net.graph().output(node);
      } while (peek().text == ",");
      return;
    }
    const Token name = take();
    if (!name.is_name()) fail(name, "a statement begins with a name, or with output");
    if (name.text == "input") fail(name, "'input' stands for the data; give the node another name");
    if (here_.places.count(name.text)) fail(name, "the name is used already; give each node its own");
    expect("=");
    here_.places[name.text] = value(name.text, 0);
  }

  /// @param name of the node that the value becomes; "" lets the network choose
  int value(const std::string& name, int depth) {
    if (depth > kDeepestNesting) fail(peek(), "brackets are nested too deeply; name some nodes");
    const Token word = take();
    if (!word.is_name()) fail(word, "the name of a node or an operation is expected");
    if (word.text == "input") {
      if (!outer_.empty())
        fail(word,
             "'input' stands for the data, which are not seen in braces; write z, the value "
             "that the braces are applied to");
      return input_value(word, name);
    }
    if (peek().text != "(") {
      if (const int node = node_of(word.text, outer_.size()); node >= 0) return node;
      std::vector<std::string> known = {"input"};
      for (const auto& [other, node] : here_.places) known.push_back(other);
      fail(word, "there is no node of that name" + text::suggestion(word.text, known));
    }
    return call(word, name, depth);
  }

  /// How the data's numbers are stored.
  Dtype of_data() const { return info_.vocabulary > 0 ? Dtype::Int64 : Dtype::Float; }

  int input_value(const Token& word, const std::string& name) {
    if (peek().text != "(") {
      if (data_ < 0) {
        if (info_.input_shape.empty())
          fail(word, "the shape of the data is not known here; write it, as in input(1, 28, 28)");
        data_ = here_.net.input(info_.input_shape, name, of_data());
      }
      return data_;
    }
    std::vector<int64_t> shape;
    const bool first = here_.net.graph().input_nodes().empty();
    Dtype dtype = first ? of_data() : Dtype::Float;
    do {
      take();  // '(' or ','
      const Token token = take();
      if (token.text == "dtype" && peek().text == "=") {
        take();
        const Token type = take();
        if (type.text != "int64" && type.text != "float")
          fail(type, "an input holds float, real numbers, or int64, numbers of tokens");
        dtype = type.text == "int64" ? Dtype::Int64 : Dtype::Float;
        continue;
      }
      const auto extent = text::to_integer(token.text);
      if (!extent) fail(token, "extents of the input are whole numbers, as in input(1, 28, 28)");
      shape.push_back(*extent);
    } while (peek().text == ",");
    expect(")");
    if (first && !info_.input_shape.empty() && shape != info_.input_shape)
      fail(word, text::cat("the data have the shape ", shape_text(info_.input_shape), ", not ",
                           shape_text(shape), "; write input"));
    const int node = here_.net.input(shape, name, dtype);
    if (first) data_ = node;
    return node;
  }

  int call(const Token& word, const std::string& name, int depth) {
    WordUse use{text::cat("network 'dag', character ", word.position + 1, " ('",
                          written_.substr(word.position, 40), "')"),
                word.text,
                {}};
    std::vector<int> inputs;
    std::string tie;
    expect("(");
    while (peek().text != ")") {
      if (peek().is_name() && peek(1).text == "=") {
        const std::string option = take().text;
        take();
        const Token setting = take();
        if (!setting.is_value()) fail(setting, "a value for '" + option + "' is expected");
        if (option == "tie") {
          tie = setting.text;
        } else {
          use.settings.emplace_back(option, setting.text);
        }
      } else if (peek().is_name()) {
        if (!use.places.empty() || !use.settings.empty())
          fail(peek(), "the inputs of an operation come before its settings");
        inputs.push_back(value("", depth + 1));
      } else if (peek().is_value()) {
        use.places.push_back(take().text);
      } else {
        fail(peek(), "an input or a setting of '" + word.text + "' is expected");
      }
      if (peek().text != ")") expect(",");
    }
    take();
    if (peek().text == "{") {
      if (!tie.empty())
        fail(peek(), "with tie= the operations come from there; leave the braces out");
      use.inside = [this](const Body& body, std::vector<int>& constants) {
        return inside(body, constants);
      };
    }
    const int node = tie.empty() ? add_word(here_.net, use, inputs, name, info_.outputs())
                                 : tied(use, tie, inputs, name);
    here_.words[node] = use.word;
    return node;
  }

  int tied(const WordUse& use, const std::string& tie, std::vector<int> inputs,
           const std::string& name) {
    const auto place = here_.places.find(tie);
    if (place == here_.places.end() || !here_.words.count(place->second))
      throw UsageError(use.where + ": there is no earlier operation '" + tie +
                       "' to share weights " + "with; tie= takes the name of a node");
    if (here_.words[place->second] != use.word)
      throw UsageError(use.where + ": '" + tie + "' is '" + here_.words[place->second] + "', not '" +
                       use.word + "'; use the same operation for both");
    if (!use.places.empty() || !use.settings.empty())
      throw UsageError(use.where + ": the settings come from '" + tie + "'; leave them out");
    // Its constants are those of the earlier one.
    const Node& earlier = here_.net.graph().node(place->second);
    if (earlier.op->arity() > static_cast<int>(inputs.size()) && earlier.op->parts() &&
        inputs.size() == 1)
      inputs.insert(inputs.end(), earlier.inputs.begin() + 1, earlier.inputs.end());
    try {
      return here_.net.add(earlier.op, std::move(inputs), name);
    } catch (const UsageError& error) {
      throw UsageError(use.where + ": " + error.what());
    }
  }

  const std::string& written_;
  std::vector<Token> tokens_;
  size_t next_ = 0;
  const InputInfo& info_;
  Scope here_;
  std::vector<Scope> outer_;  ///< around it, from the outside
  int data_ = -1;             ///< the input that the data go to
};

struct DagText : Architecture {
  std::string statements;
  void declare(Options& o) override {
    o.text("statements", statements, {"statements separated by ; or line ends"});
  }
  Graph make(const InputInfo& info) const override { return DagParser(statements, info).parse(); }
};

const RegisterArchitecture registered_dag_text{
    {.name = "dag",
     .summary = "any directed acyclic graph: named nodes, nested calls, shared weights",
     .grammar = "dag: name = operation(input, ..., setting, option=value); ...; output name",
     .example = "dag: x = input(3, 32, 32); a = relu(conv(x, 16, k=3, p=1)); b = conv(a, 16, k=3, "
                "p=1); output linear(gap(add(a, b)), 10)",
     .positional = {"statements"},
     .whole_text = true,
     .make = [] { return std::make_unique<DagText>(); },
     .order = 91}};

}  // namespace

}  // namespace altprop
