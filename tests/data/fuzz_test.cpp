// Damaged files of every format: each must load or throw altprop::Error, and take little memory
// either way.
#include <gtest/gtest.h>
#include <sys/resource.h>

#include "altprop/data/read/cifar.h"
#include "altprop/data/read/csv.h"
#include "altprop/data/read/idx.h"
#include "altprop/data/read/npy.h"
#include "altprop/data/read/tar.h"
#include "altprop/tensor/random.h"
#include "data/helpers.h"

namespace altprop::data {
namespace {

using namespace testing;

/// One to four changes: a byte set, a bit flipped, the end cut off, bytes put in or taken out, a
/// run of 0xff.
std::string mutated(std::string bytes, const Stream& stream) {
  const int64_t changes = 1 + stream.integer_at(0, 4);
  for (int64_t c = 0; c < changes && !bytes.empty(); ++c) {
    const Stream draw = stream.at(c);
    const auto at = static_cast<size_t>(draw.integer_at(0, static_cast<int64_t>(bytes.size())));
    // Half of the changes hit the first bytes, where headers are.
    const size_t place = draw.integer_at(1, 2) ? at : at % std::min<size_t>(bytes.size(), 80);
    const size_t length = 1 + static_cast<size_t>(draw.integer_at(2, 8));
    switch (draw.integer_at(3, 6)) {
      case 0:
        bytes[place] = static_cast<char>(draw.bits(4));
        break;
      case 1:
        bytes[place] = static_cast<char>(bytes[place] ^ (1 << draw.integer_at(4, 8)));
        break;
      case 2:
        bytes.resize(at);
        break;
      case 3:
        bytes.insert(place, std::string(length, static_cast<char>(draw.bits(4))));
        break;
      case 4:
        bytes.erase(place, length);
        break;
      default:
        for (size_t i = place; i < std::min(bytes.size(), place + length); ++i) bytes[i] = '\xff';
    }
  }
  return bytes;
}

/// Of the whole process: a reader is caught only if it exceeds what earlier tests took.
int64_t peak_kib() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss;
}

#ifdef __SANITIZE_ADDRESS__
constexpr int64_t kMostKib = 512 * 1024;  // the sanitizer keeps freed memory for a while
#else
constexpr int64_t kMostKib = 64 * 1024;
#endif

void fuzz(const std::string& name, const std::string& good,
          const std::function<void(const std::string&)>& read, int64_t rounds) {
  TempFolder folder;
  const std::string path = folder / name;
  write(path, good);
  read(path);
  const int64_t before = peak_kib();
  int64_t refused = 0;
  for (int64_t i = 0; i < rounds; ++i) {
    write(path, mutated(good, Stream(1).at(name).at(i)));
    try {
      read(path);
    } catch (const Error& error) {
      ++refused;
      ASSERT_NE(std::string(error.what()).find(path), std::string::npos) << error.what();
    } catch (const std::exception& other) {
      FAIL() << name << ", mutation " << i << ": " << other.what();
    }
  }
  EXPECT_GT(refused, rounds / 10) << "hardly any mutation was noticed";
  EXPECT_LT(peak_kib() - before, kMostKib) << "memory must not follow a damaged header";
}

std::string idx_images() {
  std::string out = be32({2051, 6, 5, 4});
  for (int i = 0; i < 120; ++i) out += static_cast<char>(i);
  return out;
}

TEST(Fuzz, Idx) {
  auto images = [](const std::string& path) { read_idx_images(path); };
  fuzz("images", idx_images(), images, 3000);
  fuzz("images.gz", gzipped(idx_images()), images, 3000);
  fuzz(
      "labels", be32({2049, 5}) + "\1\2\3\4\5",
      [](const std::string& path) { read_idx_labels(path, 10); }, 2000);
}

TEST(Fuzz, Cifar) {
  const CifarLayout layout{1, 0, 10, 2};
  std::string good(2 * 3073, '\5');
  fuzz(
      "batch.bin", good,
      [&](const std::string& path) {
        read_cifar(path, layout, at::empty({2, 3, 32, 32}, at::kByte), at::empty({2}, at::kLong));
      },
      1500);
}

TEST(Fuzz, Csv) {
  fuzz(
      "table.csv", "w,h,kind\n1.5,2,cat\n3,\"4\",\"a \"\"dog\"\"\"\n-5,6e2,7\n",
      [](const std::string& path) { read_csv(path, {}); }, 3000);
}

TEST(Fuzz, Npy) {
  const std::string header = "{'descr': '<f4', 'fortran_order': True, 'shape': (3, 2), }\n";
  std::string good =
      "\x93NUMPY\1" + std::string(1, '\0') + static_cast<char>(header.size()) + '\0' + header;
  good += std::string(24, '\1');
  fuzz(
      "array.npy", good, [](const std::string& path) { read_npy(path); }, 4000);
}

TEST(Fuzz, Tar) {
  const std::string good = tar_entry("root/a.bin", "hello") + std::string(1024, '\0');
  TempFolder out;
  fuzz(
      "set.tar", good, [&](const std::string& path) { unpack_tar(path, out.path()); }, 1500);
  for (const auto& written : std::filesystem::recursive_directory_iterator(out.path()))
    EXPECT_EQ(written.path().parent_path().string(), out.path());
}

}  // namespace
}  // namespace altprop::data
