// Files in places where others may have planted something: links are not followed, pipes and
// devices not waited for.
#include "altprop/base/files.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "altprop/base/error.h"
#include "data/helpers.h"

namespace altprop {
namespace {

namespace fs = std::filesystem;
using data::testing::expect_error;
using data::testing::read_all;
using data::testing::write;

struct HostilePlaces : ::testing::Test {
  data::testing::TempFolder folder;
  const std::string file = folder / "run/file", victim = folder / "elsewhere/victim";
  HostilePlaces() {
    fs::create_directories(folder / "run");
    write(victim, "kept");
  }
  void TearDown() override { EXPECT_EQ(read_all(victim), "kept"); }
};

TEST_F(HostilePlaces, APlantedPartIsReplaced) {
  fs::create_symlink(victim, file + ".part");
  write_atomically(file, "new");
  EXPECT_EQ(read_all(file), "new");
  EXPECT_FALSE(fs::is_symlink(file));
  fs::create_hard_link(victim, file + ".part");
  write_atomically(file, "newer");
  EXPECT_EQ(read_all(file), "newer");
  ASSERT_EQ(mkfifo((file + ".part").c_str(), 0600), 0);
  write_atomically(file, "newest");
  EXPECT_EQ(read_all(file), "newest");
  EXPECT_FALSE(fs::exists(fs::symlink_status(file + ".part")));
  fs::create_directories(file + ".part/inside");
  expect_error([&] { write_atomically(file, "never"); }, {file});
  EXPECT_EQ(read_all(file), "newest");
}

TEST_F(HostilePlaces, ALinkInPlaceOfARecordIsReplacedAndNotWrittenThrough) {
  fs::create_symlink(victim, file);
  write_atomically(file, "new");
  EXPECT_FALSE(fs::is_symlink(file));
  EXPECT_EQ(read_all(file), "new");
}

TEST_F(HostilePlaces, APipeInPlaceOfARecordIsReplacedAndNotWaitedFor) {
  ASSERT_EQ(mkfifo(file.c_str(), 0600), 0);
  write_atomically(file, "new");
  EXPECT_EQ(read_all(file), "new");
}

TEST_F(HostilePlaces, RecordsAreNotAppendedThroughALink) {
  fs::create_symlink(victim, file);
  expect_error([&] { append_line(file, "line"); }, {file, "symbolic link"});
  expect_error([&] { truncate_to(file, 0); }, {file, "symbolic link"});
  fs::remove(file);
  fs::create_symlink(folder / "elsewhere/new", file);
  expect_error([&] { append_line(file, "line"); }, {file, "symbolic link"});
  EXPECT_FALSE(fs::exists(folder / "elsewhere/new"));
}

TEST_F(HostilePlaces, PipesAndDevicesAreNotWaitedFor) {
  ASSERT_EQ(mkfifo(file.c_str(), 0600), 0);
  expect_error([&] { read_file(file); }, {file, "a pipe"});
  expect_error([&] { RegularFile opened(file); }, {file, "a pipe"});
  expect_error([&] { append_line(file, "line"); }, {file, "a pipe"});
  expect_error([&] { truncate_to(file, 0); }, {file, "a pipe"});
  expect_error([] { read_file("/dev/zero"); }, {"/dev/zero", "a device"});
  expect_error([&] { read_file(folder.path()); }, {folder.path(), "a folder"});
}

TEST_F(HostilePlaces, WhatIsReadIsBounded) {
  write(file, "12345");
  EXPECT_EQ(read_file(file, 5), "12345");
  EXPECT_EQ(read_input(file, 5), "12345");
  expect_error([&] { read_file(file, 4); }, {file, "4"});
  expect_error([&] { read_input(file, 4); }, {file, "4"});
  expect_error([] { read_input("/dev/zero"); }, {"/dev/zero", "16777216"});
}

TEST_F(HostilePlaces, FilesAreRemovedByNameAndLinksAsSuch) {
  write(file, "x");
  write(folder / "run/other", "x");
  fs::create_symlink(victim, folder / "run/link");
  fs::create_directories(folder / "run/sub");
  EXPECT_TRUE(
      remove_files(folder / "run", {"file", "link", "sub", "missing", "../elsewhere/victim"}));
  EXPECT_FALSE(fs::exists(file));
  EXPECT_FALSE(fs::exists(fs::symlink_status(folder / "run/link")));
  EXPECT_TRUE(fs::exists(folder / "run/other"));
  EXPECT_TRUE(fs::exists(folder / "run/sub"));
  fs::create_symlink(folder / "elsewhere", folder / "away");
  EXPECT_FALSE(remove_files(folder / "away", {"victim"}));
  EXPECT_FALSE(is_own_folder(folder / "away"));
  EXPECT_TRUE(is_own_folder(folder / "run"));
}

TEST_F(HostilePlaces, ALockedFolderStaysTheOneThatWasOpened) {
  const fs::path run = folder / "run", moved = folder / "moved", record = run / "record";
  write(file, "old");
  {
    const FolderLock lock(run.string() + "/.");
    fs::rename(run, moved);
    fs::create_symlink(folder / "elsewhere", run);
    write_atomically(record, "new");
    EXPECT_EQ(append_line(run / "log", "line"), 5);
    truncate_to(run / "log", 3);
    EXPECT_EQ(read_file(record), "new");
    EXPECT_EQ(read_file(run / "log"), "lin");
    EXPECT_TRUE(remove_files(run / ".", {fs::path(file).filename().string(), "victim"}));
    EXPECT_EQ(read_file(moved / "record"), "new");
    EXPECT_FALSE(fs::exists(moved / fs::path(file).filename()));
    EXPECT_TRUE(fs::exists(victim)) << "which stands where the name leads to";
    EXPECT_FALSE(fs::exists(folder / "elsewhere/record"));
    expect_error([&] { FolderLock(run, FolderLink::Refused); }, {run.string(), "link"});
    expect_error([&] { FolderLock(victim, FolderLink::Refused); }, {victim, "no folder"});
    expect_error([&] { FolderLock{moved}; }, {"another altprop"});
  }
  write_atomically(record, "there");
  EXPECT_EQ(read_file(moved / "record"), "new") << "no lock any more";
  EXPECT_EQ(read_file(folder / "elsewhere/record"), "there");
}

TEST_F(HostilePlaces, OutputGoesIntoAPipeThatTheUserNames) {
  ASSERT_EQ(mkfifo(file.c_str(), 0600), 0);
  const int reader = ::open(file.c_str(), O_RDONLY | O_NONBLOCK);
  ASSERT_GE(reader, 0);
  write_output(file, "through");
  char buffer[16] = {};
  EXPECT_EQ(::read(reader, buffer, sizeof buffer), 7);
  EXPECT_STREQ(buffer, "through");
  ::close(reader);
  EXPECT_TRUE(fs::is_fifo(file));
  expect_error([] { write_output("/dev/full", "x"); }, {"/dev/full", "No space left"});
  EXPECT_FALSE(fs::is_regular_file("/dev/full"));
}

}  // namespace
}  // namespace altprop
