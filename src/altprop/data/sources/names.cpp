// Family names by language, as the tutorials of S. Robertson's practical-pytorch use them: folded
// to 52 letters, space and .,;' by leaving accents and all other characters out.
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <string_view>

#include "altprop/base/error.h"
#include "altprop/base/printable.h"
#include "altprop/base/text.h"
#include "altprop/data/read/characters.h"
#include "altprop/data/source.h"
#include "altprop/tensor/random.h"

namespace altprop::data {
namespace {

constexpr std::string_view kAlphabet = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ .,;'";
constexpr size_t kLongestName = 200;
// All names are padded to the longest. Where that takes more memory than this, and more than so
// many times what the names have, a single line costs as much as the whole list.
constexpr size_t kPaddedFreely = size_t{1} << 22, kMostPadding = 16;

using Name = std::vector<int64_t>;  ///< places in the alphabet

std::vector<Name> read_names(const std::string& path) {
  std::vector<Name> out(1);
  int64_t line = 1;
  for (char32_t c : read_characters(path)) {
    if (c == U'\n') {
      if (!out.back().empty()) out.emplace_back();
      ++line;
      continue;
    }
    const char32_t plain = without_accents(c);
    const size_t place =
        plain < 0x80 ? kAlphabet.find(static_cast<char>(plain)) : std::string_view::npos;
    if (plain != 0 && place != std::string_view::npos)
      out.back().push_back(static_cast<int64_t>(place));
    if (out.back().size() > kLongestName)
      throw Error(text::cat("'", path, "' has a name of more than ", kLongestName,
                            " letters in line ", line, ": it is no list of names"));
  }
  if (out.back().empty()) out.pop_back();
  if (out.empty()) throw Error("'" + path + "' is empty: there is no name in it");
  return out;
}

/// Refuses names that are padded to many times their length because of one.
void check_padding(const std::vector<Name>& names, size_t longest, const std::string& path) {
  size_t letters = 0;
  for (const Name& name : names) letters += name.size();
  if (names.size() * longest > std::max(kPaddedFreely, kMostPadding * letters))
    throw Error(text::cat("'", path, "' has a name of ", longest, " letters, to which all ",
                          names.size(), " names would be padded, though they have ",
                          letters / names.size(), " on average: take it out"));
}

/// The files `Language.txt`, in alphabetical order.
std::vector<std::filesystem::path> files_in(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> out;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error))
    if (entry.path().extension() == ".txt") out.push_back(entry.path());
  std::sort(out.begin(), out.end());
  if (out.size() < 2)
    throw Error(text::cat("'", folder.string(), "' has ", out.size(),
                          " files of names (Language.txt), but at least 2 are needed: 'altprop "
                          "data get names' downloads data set 'names', option data-dir or "
                          "ALTPROP_DATA says where it is"));
  return out;
}

struct Names : Reader {
  double test = 0.1;
  int64_t seed = 0;

  void declare(Options& o) override {
    o.number("names.test", test, {.min = 0, .max = 0.9},
             {"part of each language's names that becomes the test part", "1"});
    o.integer("names.seed", seed, {.min = 0}, {"seed of the draw of the test part"});
  }

  Splits read(const std::string& folder) const override {
    Splits out;
    for (Dataset* part : {&out.train, &out.validation, &out.test}) {
      part->name = "names";
      part->vocabulary = static_cast<int64_t>(kAlphabet.size());
    }
    std::vector<Name> names;
    std::vector<int64_t> languages, train, held;
    size_t longest = 0;
    std::string longest_in;
    for (const std::filesystem::path& path : files_in(std::filesystem::path(folder) / "names")) {
      const auto first = static_cast<int64_t>(names.size());
      for (Name& name : read_names(path.string())) {
        if (name.size() > longest) longest = name.size(), longest_in = path.string();
        names.push_back(std::move(name));
        languages.push_back(static_cast<int64_t>(out.train.class_names.size()));
      }
      const std::string language = path.stem().string();
      out.train.class_names.push_back(text::printable(language));
      // Drawn within each language, so that none is missing and one more file changes no other's.
      const auto n = static_cast<int64_t>(names.size()) - first;
      const auto tested = static_cast<int64_t>(std::llround(test * static_cast<double>(n)));
      const Tensor order =
          Stream(static_cast<uint64_t>(seed)).at("names").at(language).permutation(n);
      const int64_t* drawn = order.const_data_ptr<int64_t>();
      for (int64_t i = 0; i < n; ++i) (i < tested ? held : train).push_back(first + drawn[i]);
    }
    check_padding(names, longest, longest_in);
    for (auto [part, ids] : {std::pair{&out.train, &train}, {&out.test, &held}}) {
      part->class_names = out.train.class_names;
      part->classes = static_cast<int64_t>(part->class_names.size());
      if (ids->empty()) continue;
      std::sort(ids->begin(), ids->end());
      fill(*part, *ids, names, languages, static_cast<int64_t>(longest));
    }
    if (train.empty()) throw UsageError("option 'names.test' leaves nothing to train on");
    return out;
  }

  static void fill(Dataset& part, const std::vector<int64_t>& ids, const std::vector<Name>& names,
                   const std::vector<int64_t>& languages, int64_t longest) {
    const auto n = static_cast<int64_t>(ids.size());
    part.inputs = at::full({n, longest}, -1, at::kLong);
    part.targets = at::empty({n}, at::kLong);
    int64_t* tokens = part.inputs.data_ptr<int64_t>();
    int64_t* classes = part.targets.data_ptr<int64_t>();
    for (int64_t i = 0; i < n; ++i) {
      const auto id = static_cast<size_t>(ids[static_cast<size_t>(i)]);
      std::copy(names[id].begin(), names[id].end(), tokens + i * longest);
      classes[i] = languages[id];
    }
  }
};

const Register source{{"names",
                       {},
                       "20,050 family names of 18 languages, sequences of up to 19 of 57 "
                       "characters; names/Language.txt",
                       [] { return std::make_unique<Names>(); }}};

}  // namespace
}  // namespace altprop::data
