// Archives: what is written, where, and when not.
#include "altprop/data/read/tar.h"

#include <gtest/gtest.h>

#include <set>

#include "data/helpers.h"

namespace altprop::data::testing {
namespace {

namespace fs = std::filesystem;

const std::string kEnd(1024, '\0');

class Tar : public ::testing::Test {
 protected:
  std::vector<std::string> unpack(const std::string& bytes) {
    return unpack_tar(write(in / "a.tar", bytes), out.path());
  }
  std::set<std::string> written() const {
    std::set<std::string> names;
    for (const auto& entry : fs::recursive_directory_iterator(out.path()))
      names.insert(fs::relative(entry.path(), out.path()).string());
    return names;
  }
  TempFolder in, out;
};

TEST_F(Tar, FilesAreWrittenUnderTheirLastNameOnly) {
  const std::string archive = tar_entry("set/", "", '5') + tar_entry("set/a.bin", "hello") +
                              tar_entry("/etc/b.bin", std::string(100000, 'b')) +
                              tar_entry("../../c.bin", "up") + tar_entry("..", "x") +
                              tar_entry("set/link", "", '2') + tar_entry("set/hard", "", '1') +
                              tar_entry("set/device", "", '3') + tar_entry("set/pipe", "", '6') +
                              tar_entry("set/empty", "") + kEnd;
  for (const std::string& bytes : {archive, gzipped(archive)}) {
    EXPECT_EQ(unpack(bytes), (std::vector<std::string>{"a.bin", "b.bin", "c.bin", "empty"}));
    EXPECT_EQ(written(), (std::set<std::string>{"a.bin", "b.bin", "c.bin", "empty"}));
    EXPECT_EQ(read_all(out / "b.bin"), std::string(100000, 'b'));
    EXPECT_EQ(read_all(out / "c.bin"), "up");
  }
}

TEST_F(Tar, LongNamesOfGnuAndPax) {
  const std::string name(150, 'n'), path = std::string(60, 'd') + "/" + name;
  const std::string record = " path=" + path + "\n";  // with its length in front
  const std::string pax = std::to_string(record.size() + 3) + record;
  EXPECT_EQ(unpack(tar_entry("././@LongLink", path + '\0', 'L') + tar_entry("short", "gnu") + kEnd),
            std::vector<std::string>{name});
  EXPECT_EQ(read_all(out / name), "gnu");
  EXPECT_EQ(unpack(tar_entry("PaxHeaders", pax, 'x') + tar_entry("short", "pax") + kEnd),
            std::vector<std::string>{name});
  EXPECT_EQ(read_all(out / name), "pax");
}

TEST_F(Tar, NothingIsWrittenThroughLinksThatAreThere) {
  const std::string victim = write(in / "victim", "kept");
  fs::create_symlink(victim, out / "a.bin");
  fs::create_symlink(victim, out / "a.bin.part");
  unpack(tar_entry("a.bin", "new") + kEnd);
  EXPECT_EQ(read_all(victim), "kept");
  EXPECT_EQ(read_all(out / "a.bin"), "new");
  EXPECT_FALSE(fs::is_symlink(out / "a.bin"));
}

TEST_F(Tar, DamagedArchivesAreRefusedAndLeaveNoHalfFile) {
  const std::string whole =
      tar_entry("a.bin", "hello") + tar_entry("b.bin", std::string(9000, 'b'));
  const auto refuse = [&](const std::string& bytes, std::initializer_list<std::string> parts) {
    expect_error([&] { unpack(bytes); }, {in / "a.tar"});
    expect_error([&] { unpack(bytes); }, parts);
    EXPECT_FALSE(written().count("b.bin"));
    EXPECT_FALSE(written().count("b.bin.part"));
  };
  refuse("", {"tar archive"});
  refuse("this is no archive at all, but a text of some length\n", {"no tar archive"});
  refuse(std::string(2048, 'x'), {"no tar archive"});
  refuse(whole.substr(0, 1536 + 4000), {"damaged"});
  refuse(gzipped(whole).substr(0, gzipped(whole).size() - 9), {"truncated"});
  refuse(tar_entry("x/a.bin", "1") + tar_entry("y/a.bin", "2") + kEnd, {"two files named 'a.bin'"});
  refuse(gzipped(tar_entry("a.bin", "1") + kEnd) + "behind", {"goes on behind"});
  std::string wrong = gzipped(tar_entry("a.bin", "1") + kEnd);
  wrong[wrong.size() - 6] ^= 1;  // the check sum
  refuse(wrong, {"damaged"});
  refuse(gzipped(tar_entry("b.bin", std::string(80 << 20, '\0')) + kEnd),
         {"inflates to more than"});
}

TEST_F(Tar, WhatCannotBeWrittenIsNamed) {
  const std::string nowhere = out / "nowhere";
  const std::string archive = write(in / "a.tar", tar_entry("a.bin", "1") + kEnd);
  expect_error([&] { unpack_tar(archive, nowhere); }, {nowhere + "/a.bin", "cannot be written"});
  fs::create_directory(out / "a.bin");
  write(out / "a.bin/inside", "kept");
  expect_error([&] { unpack_tar(archive, out.path()); }, {out / "a.bin", "cannot be written"});
  EXPECT_EQ(read_all(out / "a.bin/inside"), "kept");
  expect_error([&] { unpack_tar(in / "none.tar", out.path()); }, {in / "none.tar", "No such file"});
}

}  // namespace
}  // namespace altprop::data::testing
