// Characters of a text, each predicted from those before it.
#include <algorithm>
#include <cmath>
#include <filesystem>

#include "altprop/base/error.h"
#include "altprop/base/printable.h"
#include "altprop/base/text.h"
#include "altprop/data/read/characters.h"
#include "altprop/data/read/file.h"
#include "altprop/data/source.h"

namespace altprop::data {
namespace {

constexpr size_t kMostCharacters = 4096;

/// The text as numbers into its sorted characters.
struct Numbered {
  Tensor ids;  ///< int64 [n]
  std::vector<std::string> names;
};

Numbered number(const std::vector<char32_t>& characters, const std::string& path) {
  std::vector<bool> there(
      characters.empty() ? 0 : size_t{*std::max_element(characters.begin(), characters.end())} + 1);
  for (char32_t c : characters) there[c] = true;
  std::vector<char32_t> alphabet;
  for (size_t c = 0; c < there.size(); ++c)
    if (there[c]) alphabet.push_back(static_cast<char32_t>(c));
  if (alphabet.size() > kMostCharacters)
    throw Error(text::cat("'", path, "' has ", alphabet.size(),
                          " different characters, more than the ", kMostCharacters,
                          " that a model of characters can take"));
  Numbered out;
  out.ids = at::empty({static_cast<int64_t>(characters.size())}, at::kLong);
  int64_t* ids = out.ids.data_ptr<int64_t>();
  for (size_t i = 0; i < characters.size(); ++i)
    ids[i] = std::lower_bound(alphabet.begin(), alphabet.end(), characters[i]) - alphabet.begin();
  for (char32_t c : alphabet) out.names.push_back(text::printable(to_utf8(c)));
  return out;
}

struct Text : Reader {
  int64_t length = 50, streams = 0;
  double validation = 0.05, test = 0.05;

  void declare(Options& o) override {
    o.integer("text.length", length, {.min = 1, .max = 100000},
              {"characters of a sample; each is predicted from those of the sample before it",
               "characters"});
    o.number("text.validation", validation, {.min = 0, .max = 0.9},
             {"part of the text, behind the training part, that becomes the validation part", "1"});
    o.number("text.test", test, {.min = 0, .max = 0.9},
             {"part of the text, its end, that becomes the test part", "1"});
    o.integer("text.streams", streams, {.min = 0, .max = 1e6},
              {"order of the samples where they are not shuffled: 0: as in the text; n: n parallel "
               "readers of equal parts, one sample of each in turn",
               "readers"});
  }

  Splits cut(const std::string& path, const std::string& name) const {
    if (validation + test >= 1)
      throw UsageError(
          text::cat("options 'text.validation' and 'text.test' leave nothing to train "
                    "on: together they are ",
                    text::from_number(validation + test)));
    const Numbered text = number(read_characters(path), path);
    const int64_t n = text.ids.size(0);
    if (n == 0) throw Error("'" + path + "' is empty: there is no text to learn from");
    const auto behind = [&](double share) {
      return n - static_cast<int64_t>(std::llround(share * static_cast<double>(n)));
    };
    const int64_t first = behind(validation + test), second = behind(test);
    const auto part = [&](int64_t from, int64_t to, const char* what, int64_t readers) {
      Dataset out;
      out.name = name;
      out.classes = out.vocabulary = static_cast<int64_t>(text.names.size());
      out.class_names = text.names;
      const int64_t samples = (to - from - 1) / length;
      if (to == from) return out;
      if (samples < 1)
        throw Error(text::cat("'", path, "' is too short: its ", what, " part has ", to - from,
                              " of ", n, " characters, but a sample of text.length ", length,
                              " and the character behind it need ", length + 1));
      if (readers > samples)
        throw UsageError(text::cat("option 'text.streams' asks for ", readers, " readers, but the ",
                                   what, " part has ", samples, " samples"));
      // Views of the text, so that memory does not grow with it three times.
      const auto cut = [&](int64_t first) {
        const Tensor all = text.ids.narrow(0, first, samples * length).view({samples, length});
        if (readers == 0) return all;
        return all.narrow(0, 0, samples / readers * readers)
            .view({readers, -1, length})
            .transpose(0, 1)
            .reshape({-1, length});
      };
      out.inputs = cut(from);
      out.targets = cut(from + 1);
      return out;
    };
    return {part(0, first, "training", streams), part(first, second, "validation", 0),
            part(second, n, "test", 0)};
  }
};

struct AnyText : Text {
  std::string file;
  void declare(Options& o) override {
    o.file("text.file", file,
           {"file of the text, UTF-8; relative to data-dir if not found as given"});
    Text::declare(o);
  }
  Splits read(const std::string& folder) const override {
    if (file.empty()) throw UsageError("data source 'text' needs option text.file");
    return cut(path_in(folder, file), "text (" + file + ")");
  }
};

/// A. Karpathy, char-rnn, 2015: 40,000 lines of Shakespeare.
struct TinyShakespeare : Text {
  Splits read(const std::string& folder) const override {
    const std::string own = (std::filesystem::path(folder) / "tinyshakespeare").string();
    return cut(existing(own, "input.txt", "tinyshakespeare"), "tinyshakespeare");
  }
};

const Register text_source{
    {"text",
     {},
     "your own text as sequences of characters, each the target of those before it",
     [] { return std::make_unique<AnyText>(); }}};
const Register tinyshakespeare{
    {"tinyshakespeare",
     {"shakespeare"},
     "1,115,394 characters of Shakespeare, 65 different ones, as sequences of characters; "
     "tinyshakespeare/input.txt",
     [] { return std::make_unique<TinyShakespeare>(); }}};

}  // namespace
}  // namespace altprop::data
