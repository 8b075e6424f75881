// Damaged data files of every format.
#include "support/fuzz.h"

#include <gtest/gtest.h>

#include "altprop/data/read/cifar.h"
#include "altprop/data/read/csv.h"
#include "altprop/data/read/idx.h"
#include "altprop/data/read/npy.h"
#include "altprop/data/read/records.h"
#include "altprop/data/read/tar.h"
#include "altprop/data/source.h"
#include "data/helpers.h"

namespace altprop::data::testing {
namespace {

/// Fuzzes a reader of files: each input is written to `name`, which a refusal has to name.
void fuzz_file(const std::string& name, std::vector<std::string> seeds,
               const std::function<void(const std::string&)>& read, int64_t rounds) {
  TempFolder folder;
  const std::string path = folder / name;
  fuzz::run({.name = name,
             .seeds = std::move(seeds),
             .read =
                 [&](const std::string& input) {
                   write(path, input);
                   try {
                     read(path);
                   } catch (const Error& error) {
                     EXPECT_NE(std::string(error.what()).find(path), std::string::npos)
                         << error.what();
                     throw;
                   }
                 },
             .rounds = rounds});
}

/// All values are there and can be read.
void expect_readable(const Tensor& values) {
  EXPECT_TRUE(values.is_contiguous());
  EXPECT_FALSE(std::isnan(values.to(at::kDouble).nan_to_num().sum().item<double>()));
}

/// What every data set promises to the rest of the program.
void expect_consistent(const Splits& splits) {
  check(splits);
  for (const Dataset* part : {&splits.train, &splits.validation, &splits.test}) {
    if (part->empty()) continue;
    expect_readable(part->inputs);
    EXPECT_EQ(part->inputs.size(0), part->targets.size(0));
    for (double deviation : part->stddev) EXPECT_GT(deviation, 0);
  }
}

std::string idx_images() {
  std::string out = be32({2051, 6, 5, 4});
  for (int i = 0; i < 120; ++i) out += static_cast<char>(i);
  return out;
}

TEST(Fuzz, Idx) {
  auto images = [](const std::string& path) {
    const Tensor pixels = read_idx_images(path);
    EXPECT_EQ(pixels.dim(), 4);
    expect_readable(pixels);
  };
  // A file that is not compressed is read as it is.
  fuzz_file("images", {idx_images()}, images, 3000);
  fuzz_file("images.gz", {gzipped(idx_images()), idx_images()}, images, 3000);
  fuzz_file(
      "labels", {be32({2049, 5}) + "\1\2\3\4\5", be32({2049, 1}) + "\7"},
      [](const std::string& path) {
        const Tensor labels = read_idx_labels(path, 10);
        EXPECT_GE(labels.min().item<int64_t>(), 0);
        EXPECT_LT(labels.max().item<int64_t>(), 10);
      },
      2000);
}

TEST(Fuzz, Cifar) {
  for (const CifarLayout& layout : {CifarLayout{1, 0, 10, 2}, CifarLayout{2, 1, 100, 2}}) {
    const auto record = static_cast<size_t>(layout.label_bytes + 3072);
    fuzz_file(
        "batch.bin", {std::string(2 * record, '\5'), gzipped(std::string(2 * record, '\7'))},
        [&](const std::string& path) {
          const Tensor inputs = at::empty({2, 3, 32, 32}, at::kByte),
                       targets = at::empty({2}, at::kLong);
          read_cifar(path, layout, inputs, targets);
          expect_readable(inputs);
          EXPECT_GE(targets.min().item<int64_t>(), 0);
          EXPECT_LT(targets.max().item<int64_t>(), layout.classes);
        },
        1000);
  }
}

const std::vector<std::string> kTables = {
    "w,h,kind\n1.5,2,cat\n3,\"4\",\"a \"\"dog\"\"\"\n-5,6e2,7\n", "1;2;0\n3;4;1\n\n5;6;0\n",
    "0.1 0.2 1\n0.3 0.4 0\r\n", "\"a\nb\";\"c;d\";y\r1,5;0,5;\"x\r\ny\"\r2;1e-400;z\r"};

TEST(Fuzz, Csv) {
  for (bool comma : {false, true})
    fuzz_file(
        "table.csv",
        comma ? std::vector(kTables.begin() + 3, kTables.end())
              : std::vector(kTables.begin(), kTables.begin() + 3),
        [&](const std::string& path) {
          const CsvTable table = read_csv(path, {.decimal_comma = comma});
          EXPECT_EQ(table.features.size(0), static_cast<int64_t>(table.targets.size()));
          EXPECT_EQ(table.lines.size(), table.targets.size());
          EXPECT_TRUE(table.features.isfinite().all().item<bool>());
        },
        2000);
}

/// However it is damaged, a test file has the columns and classes of the training file or is
/// refused.
TEST(Fuzz, CsvTestFile) {
  TempFolder folder;
  const std::string train = write(folder / "train.csv", "id,w,h,kind\n1,1.5,2,cat\n2,3,4,dog\n");
  fuzz_file(
      "test.csv",
      {"id,w,h,kind\n1,1.5,2,cat\n2,3,4,dog\n", "kind,h,w\ncat,2,1.5\ndog,4,3\n",
       "1,1.5,2,cat\n2,3,4,dog\n"},
      [&](const std::string& path) {
        expect_consistent(
            load("csv", {{"csv.train", train}, {"csv.test", path}, {"csv.leave-out", "id"}}));
      },
      2000);
}

TEST(Fuzz, Records) {
  for (char separator : {',', ';', '\t', ' '})
    fuzz_file(
        "records", {"\"x, y\"\n3,4;5\t6 7\n\n\"a \"\"b\"\"\n;c\"\r\n", "a b\r1;2\r\n3,4"},
        [&](const std::string& path) {
          InputFile file(path);
          RecordReader reader(file);
          reader.set_separator(separator);
          Record record;
          int64_t line = 0;
          while (reader.next(record)) {
            EXPECT_GT(record.line(), line);
            line = record.line(record.size() - 1);
            for (size_t i = 0; i < record.size(); ++i)
              EXPECT_EQ(record[i].find('\0'), std::string_view::npos);
          }
          if (line == 0) throw Error("'" + path + "' is empty");
        },
        1000);
}

TEST(Fuzz, CsvDataSet) {
  for (const char* task : {"classification", "regression"})
    fuzz_file(
        "table.csv",
        {"1,2,0\n3,4,1\n5,6,0\n", "1;2;0\n-3;4e3;1\n", "a,b,y\n1700000000,2,1\n1700000001,4,2\n"},
        [&](const std::string& path) {
          expect_consistent(
              load("csv", {{"csv.train", path}, {"csv.test", path}, {"csv.task", task}}));
        },
        1500);
}

std::string short_npy(const std::string& header, const std::string& values) {
  return "\x93NUMPY\1" + std::string(1, '\0') + static_cast<char>(header.size()) + '\0' + header +
         values;
}

const std::vector<std::string> kArrays = {
    short_npy("{'descr': '<f4', 'fortran_order': True, 'shape': (3, 2), }\n",
              std::string(24, '\1')),
    short_npy("{'descr': '<f8', 'fortran_order': False, 'shape': (3,), }\n", std::string(24, '\2')),
    short_npy("{'descr': '|u1', 'fortran_order': False, 'shape': (3, 1, 2, 2), }\n",
              std::string(12, '\3')),
    short_npy("{'descr': '>u2', 'fortran_order': False, 'shape': (3, 2), }\n",
              std::string(12, '\4')),
    short_npy("{'descr': '<f2', 'fortran_order': True, 'shape': (3, 2), }\n",
              std::string(12, '\5')),
    short_npy("{'descr': '>i8', 'fortran_order': False, 'shape': (3, 1), }\n",
              std::string(24, '\0')),
    short_npy("{'descr': '<u8', 'fortran_order': False, 'shape': (3, 1), }\n",
              std::string(24, '\0'))};

TEST(Fuzz, Npy) {
  fuzz_file(
      "array.npy", kArrays, [](const std::string& path) { expect_readable(read_npy(path)); }, 4000);
}

TEST(Fuzz, NpyDataSet) {
  TempFolder folder;
  const std::string y = write(
      folder / "y.npy", short_npy("{'descr': '|u1', 'fortran_order': False, 'shape': (3,), }\n",
                                  std::string("\0\1\1", 3)));
  // Refusals of the whole set name one of its files.
  fuzz::run({.name = "npy data set",
             .seeds = kArrays,
             .read =
                 [&](const std::string& input) {
                   const std::string x = write(folder / "x.npy", input);
                   expect_consistent(load("npy", {{"npy.train-x", x}, {"npy.train-y", y}}));
                 },
             .rounds = 2000});
}

TEST(Fuzz, Text) {
  fuzz_file(
      "text.txt",
      {"To be, or not to be, that is the question:\n",
       "caf\xC3\xA9 \xE2\x82\xAC \xF0\x9F\x8C\x8D, na\xC3\xAFve"},
      [](const std::string& path) {
        expect_consistent(load("text", {{"text.file", path},
                                        {"text.length", "2"},
                                        {"text.validation", "0.2"},
                                        {"text.test", "0.2"}}));
      },
      3000);
}

TEST(Fuzz, Names) {
  TempFolder folder;
  write(folder / "names/Other.txt", "Smith\nJones\n");
  fuzz::run(
      {.name = "names",
       .seeds = {"Abe\nO'Neal\nDe la Cruz\n", "\xC5\x9Alus\xC3\xA0rski\r\nNov\xC3\xA1k\n"},
       .read =
           [&](const std::string& input) {
             write(folder / "names/Some.txt", input);
             expect_consistent(load("names", {{"data-dir", folder.path()}, {"names.test", "0.3"}}));
           },
       .rounds = 2000});
}

TEST(Fuzz, Tar) {
  TempFolder out;
  fuzz_file(
      "set.tar",
      {tar_entry("root/a.bin", "hello") + std::string(1024, '\0'),
       tar_entry("root/", "", '5') + tar_entry("root/b.bin", "you") + std::string(1024, '\0'),
       gzipped(tar_entry("root/c.bin", "many") + std::string(1024, '\0'))},
      [&](const std::string& path) { unpack_tar(path, out.path()); }, 1500);
  for (const auto& written : std::filesystem::recursive_directory_iterator(out.path()))
    EXPECT_EQ(written.path().parent_path().string(), out.path());
}

}  // namespace
}  // namespace altprop::data::testing
