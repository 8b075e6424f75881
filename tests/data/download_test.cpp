// Downloads from a local server with the faults of real ones (file_server.py).
#include "altprop/data/download.h"

#include <gtest/gtest.h>

#include <chrono>
#include <set>
#include <thread>

#include "altprop/base/text.h"
#include "altprop/data/checksum.h"
#include "altprop/data/source.h"
#include "altprop/tensor/random.h"
#include "data/helpers.h"

namespace altprop::data::testing {
namespace {

namespace fs = std::filesystem;

class Download : public ::testing::Test {
 protected:
  void SetUp() override {
    const std::string command = "exec python3 '" ALTPROP_TEST_SERVER "' '" + served / "" + "' '" +
                                work / "port" + "' '" + work / "log" + "'";
    server_ = popen(command.c_str(), "w");  // it ends with its standard input
    ASSERT_NE(server_, nullptr);
    for (int i = 0; i < 1000 && !fs::exists(work / "port"); ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    if (!fs::exists(work / "port"))
      GTEST_SKIP() << "the test server did not start: is python3 there?";
    const Tensor bytes = Stream(5).uniform(0, 256, {150000}).to(at::kByte);
    content.assign(reinterpret_cast<const char*>(bytes.data_ptr<uint8_t>()), 150000);
    write(served / "big.bin", content);
    set.name = "toy";
    set.folder = "toy";
    set.files = {{"big.bin", "sha256", file_digest(served / "big.bin", "sha256")}};
    options.folder = work / "data";
    options.pause = 0.01;
  }
  void TearDown() override {
    if (server_) pclose(server_);
  }

  std::string url(const std::string& mode) const {
    return "http://127.0.0.1:" + read_all(work / "port") + "/" + mode + "/";
  }
  std::vector<std::string> log() const {
    return altprop::text::split(altprop::text::trim(read_all(work / "log")), '\n');
  }
  bool get(const std::string& mode) {
    set.mirrors = {url(mode)};
    return download(set, options);
  }

  TempFolder served, work;
  std::string content;
  RemoteSet set;
  DownloadOptions options;
  std::string target = work / "data/toy/big.bin", part = target + ".part";

 private:
  FILE* server_ = nullptr;
};

TEST_F(Download, FetchesOnceAndReportsProgress) {
  int64_t last = 0, total = 0;
  options.progress = [&](const std::string& name, int64_t now, int64_t all) {
    EXPECT_EQ(name, "big.bin");
    EXPECT_GE(now, last);
    last = now, total = all;
    return true;
  };
  EXPECT_TRUE(get("range"));
  EXPECT_EQ(read_all(target), content);
  EXPECT_FALSE(fs::exists(part));
  EXPECT_EQ(last, 150000);
  EXPECT_EQ(total, 150000);
  EXPECT_FALSE(get("range")) << "what is there with the right checksum stays";
  EXPECT_EQ(log().size(), 1u);
  write(target, "damaged");
  last = 0;
  EXPECT_TRUE(get("moved"));
  EXPECT_EQ(read_all(target), content);
}

TEST_F(Download, GoesOnWhereTheConnectionWasCut) {
  EXPECT_TRUE(get("cut"));
  EXPECT_EQ(read_all(target), content);
  EXPECT_EQ(log(),
            (std::vector<std::string>{"cut big.bin -", "cut big.bin bytes=40000-",
                                      "cut big.bin bytes=80000-", "cut big.bin bytes=120000-"}));
}

TEST_F(Download, ALaterCallContinues) {
  options.attempts = 2;
  expect_error([&] { get("cut"); }, {target, url("cut") + "big.bin"});
  EXPECT_EQ(fs::file_size(part), 80000u);
  EXPECT_FALSE(fs::exists(target));
  EXPECT_TRUE(get("range"));
  EXPECT_EQ(read_all(target), content);
  EXPECT_EQ(log().back(), "range big.bin bytes=80000-");
}

TEST_F(Download, ServersThatCannotContinueBeginAnew) {
  for (const std::string mode : {"plain", "lie"}) {
    fs::remove(target);
    write(part, content.substr(0, 50000));
    EXPECT_TRUE(get(mode)) << mode;
    EXPECT_EQ(read_all(target), content) << mode;
  }
  fs::remove(target);
  write(part, content);  // complete, but not renamed: the server answers 416
  EXPECT_TRUE(get("range"));
  fs::remove(target);
  write(part, std::string(200000, 'x'));  // longer than the file
  EXPECT_TRUE(get("range"));
  EXPECT_EQ(read_all(target), content);
}

TEST_F(Download, WrongContentIsNeverKept) {
  expect_error([&] { get("wrong"); },
               {target, url("wrong") + "big.bin", "sha256", set.files[0].digest});
  EXPECT_FALSE(fs::exists(target));
  EXPECT_FALSE(fs::exists(part));
}

TEST_F(Download, SaysWhatTheServerAnswered) {
  expect_error([&] { get("none"); }, {target, "404 (not found)"});
  EXPECT_EQ(log().size(), 1u) << "a missing file is not asked for again";
  EXPECT_FALSE(fs::exists(target));
  expect_error([&] { get("error"); }, {"503"});
  EXPECT_EQ(log().size(), 1u + 5u);
  expect_error([&] { get("file"); }, {target, "rotocol"});
  set.mirrors = {"http://127.0.0.1:1/"};
  options.attempts = 2;
  expect_error([&] { download(set, options); }, {target, "http://127.0.0.1:1/big.bin", "onnect"});
}

TEST_F(Download, GivesUpOnASilentServer) {
  options.stall = 1;
  options.attempts = 1;
  const auto start = std::chrono::steady_clock::now();
  expect_error([&] { get("stall"); }, {target});
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(15));
  EXPECT_EQ(fs::file_size(part), 75000u);
}

TEST_F(Download, TriesMirrorsInOrderAndTheUsersFirst) {
  set.mirrors = {url("none"), url("wrong"), url("range")};
  EXPECT_TRUE(download(set, options));
  EXPECT_EQ(read_all(target), content);
  EXPECT_EQ(log().size(), 3u);
  fs::remove(target);
  options.mirror = url("none");
  expect_error([&] { download(set, options); }, {"404"});
  EXPECT_EQ(log().size(), 4u);
}

TEST_F(Download, ProgressCanStopIt) {
  options.progress = [](const std::string&, int64_t, int64_t) { return false; };
  expect_error([&] { get("range"); }, {"big.bin", "stopped"});
  EXPECT_FALSE(fs::exists(target));
  options.progress = [](const std::string&, int64_t, int64_t) -> bool {
    throw Error("from the caller");
  };
  expect_error([&] { get("range"); }, {"from the caller"});
}

TEST_F(Download, ArchivesAreUnpackedAndRemoved) {
  const std::string archive = tar_entry("toy/", "", '5') + tar_entry("toy/a.bin", "hello") +
                              tar_entry("../../b.bin", content) + std::string(1024, '\0');
  write(served / "toy.tar.gz", gzipped(archive));
  set.files = {{"toy.tar.gz", "md5", file_digest(served / "toy.tar.gz", "md5")}};
  set.contents = {{.name = "a.bin"}, {.name = "b.bin"}};
  EXPECT_TRUE(get("cut"));
  EXPECT_EQ(read_all(work / "data/toy/a.bin"), "hello");
  EXPECT_EQ(read_all(work / "data/toy/b.bin"), content) << "only the last part of a name counts";
  EXPECT_FALSE(fs::exists(work / "data/toy.tar.gz"));
  EXPECT_FALSE(fs::exists(work / "data/toy.part"));
  EXPECT_FALSE(get("range"));
  fs::remove(work / "data/toy/a.bin");
  set.contents = {{.name = "a.bin"}, {.name = "c.bin"}};
  expect_error([&] { get("range"); }, {"toy.tar.gz", "'c.bin'"});
}

TEST_F(Download, WhatCameOutOfAnArchiveIsChecked) {
  const std::string a = work / "data/toy/a.bin", b = work / "data/toy/b.bin";
  write(served / "toy.tar.gz", gzipped(tar_entry("a.bin", "hello") + tar_entry("b.bin", content) +
                                       tar_entry("c.txt", "names") + std::string(1024, '\0')));
  set.files = {{"toy.tar.gz", "sha256", file_digest(served / "toy.tar.gz", "sha256")}};
  set.contents = {{.name = "a.bin",
                   .algorithm = "sha256",
                   .digest = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824",
                   .bytes = 5},
                  {.name = "b.bin", .bytes = 150000},
                  {.name = "c.txt"}};
  // Files of the right names are not what was downloaded.
  for (const auto& file : set.contents) write(work / "data/toy/" + file.name, "");
  EXPECT_TRUE(get("range"));
  EXPECT_EQ(read_all(b), content);
  EXPECT_FALSE(get("range"));
  write(a, "jello");  // a known checksum
  EXPECT_TRUE(get("range"));
  EXPECT_EQ(read_all(a), "hello");
  std::string damaged = content;
  damaged[7] ^= 1;
  write(b, damaged);  // the one that it had when it was unpacked
  EXPECT_TRUE(get("range"));
  EXPECT_EQ(read_all(b), content);
  write(work / "data/toy/c.txt", "nomes");
  EXPECT_TRUE(get("range"));
  EXPECT_EQ(read_all(work / "data/toy/c.txt"), "names");
  fs::remove(work / "data/toy/SHA256SUMS");  // copied there by the user
  EXPECT_FALSE(get("range"));
  fs::resize_file(b, 149999);
  EXPECT_TRUE(get("range"));
  set.contents[0].digest[0] = '3';
  expect_error([&] { get("range"); }, {"toy.tar.gz", "'a.bin'", "not the published one"});
}

TEST_F(Download, NoMoreIsTakenThanTheFileHas) {
  set.files[0].bytes = 150000;
  expect_error([&] { get("endless"); }, {target, "more than the 150000 bytes"});
  EXPECT_FALSE(fs::exists(part));
  EXPECT_FALSE(fs::exists(target));
  write(part, std::string(200000, 'x'));  // left behind by something else
  EXPECT_TRUE(get("range"));
  EXPECT_EQ(log().back(), "range big.bin -");
  set.files[0].bytes = 149999;
  EXPECT_EQ(read_all(target), content);
  expect_error([&] { get("range"); }, {target, "more than the 149999 bytes"});
}

TEST_F(Download, ASlowConnectionGoesOnAsLongAsItMoves) {
  options.stall = 1;
  options.attempts = 1;
  options.least = 5000;
  EXPECT_TRUE(get("slow")) << "2.5 seconds in all";
  EXPECT_EQ(read_all(target), content);
  fs::remove(target);
  const auto start = std::chrono::steady_clock::now();
  expect_error([&] { get("drip"); }, {target});
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(15));
}

TEST_F(Download, CanBeStoppedWhileNothingHappens) {
  using namespace std::chrono_literals;
  const auto start = std::chrono::steady_clock::now();
  options.progress = [&](const std::string&, int64_t now, int64_t) {
    EXPECT_EQ(now, 0);
    return std::chrono::steady_clock::now() - start < 300ms;
  };
  expect_error([&] { get("hang"); }, {"big.bin", "stopped"});
  options.pause = 60;  // between two connections
  expect_error([&] { get("error"); }, {"big.bin", "stopped"});
  EXPECT_LT(std::chrono::steady_clock::now() - start, 15s);
}

TEST(Checksum, KnownDigests) {
  TempFolder folder;
  const std::string path = write(folder / "abc", "abc");
  EXPECT_EQ(file_digest(path, "md5"), "900150983cd24fb0d6963f7d28e17f72");
  EXPECT_EQ(file_digest(path, "sha256"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  expect_error([&] { file_digest(path, "crc"); }, {"'crc'", "md5, sha256"});
  expect_error([&] { file_digest(folder / "none", "md5"); }, {folder / "none"});
}

TEST(RemoteSets, AreSourcesWithChecksums) {
  for (const RemoteSet* set : downloadable()) {
    EXPECT_EQ(find(set->name).name, set->name) << "what can be downloaded can be loaded";
    for (const RemoteFile& file : set->files) {
      EXPECT_EQ(file.algorithm, "sha256") << file.name;
      EXPECT_EQ(file.digest.size(), 64u) << file.name;
      EXPECT_GT(file.bytes, 0) << file.name;
    }
    for (const RemoteFile& file : set->contents)
      EXPECT_EQ(file.digest.size(), file.name.ends_with(".bin") ? 64u : 0u) << file.name;
    for (const std::string& mirror : set->mirrors) EXPECT_EQ(mirror.back(), '/') << mirror;
  }
  expect_error([] { find_remote("cifar-1"); }, {"did you mean 'cifar-10'"});
}

}  // namespace
}  // namespace altprop::data::testing
