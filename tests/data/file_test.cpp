// Files that were made to harm: what is read follows from what is there.
#include "altprop/data/read/file.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "altprop/data/checksum.h"
#include "altprop/data/read/csv.h"
#include "altprop/data/read/idx.h"
#include "altprop/data/read/npy.h"
#include "altprop/data/source.h"
#include "altprop/tensor/memory.h"
#include "data/helpers.h"

namespace altprop::data::testing {
namespace {

std::string all_of(const std::string& path) {
  InputFile file(path);
  const std::vector<uint8_t> bytes = file.rest(1 << 20);
  return {bytes.begin(), bytes.end()};
}

TEST(InputFile, ReadsPlainFilesAndGzipMembers) {
  TempFolder folder;
  const std::string text = "some bytes, " + std::string(300000, 'x') + " and more";
  EXPECT_EQ(all_of(write(folder / "plain", text)), text);
  EXPECT_EQ(all_of(write(folder / "gz", gzipped(text))), text);
  EXPECT_EQ(all_of(write(folder / "two", gzipped(text) + gzipped("second"))), text + "second");
  EXPECT_EQ(all_of(write(folder / "none", gzipped("") + gzipped("") + gzipped("a"))), "a");
  EXPECT_EQ(all_of(write(folder / "empty", "")), "");
  EXPECT_EQ(all_of(write(folder / "short", "\x1f")), "\x1f");
  InputFile file(folder / "gz");
  EXPECT_EQ(file.bytes(4, "begin"), (std::vector<uint8_t>{'s', 'o', 'm', 'e'}));
  EXPECT_EQ(file.rest(1 << 20).size(), text.size() - 4);
}

TEST(InputFile, BytesBehindCompressedDataAreRefused) {
  TempFolder folder;
  for (const std::string& tail : {std::string("x"), std::string("\x1f"), std::string(8, '\0'),
                                  std::string("trailing garbage")}) {
    const std::string path = write(folder / "tail.gz", gzipped("1,2,0\n3,4,1\n") + tail);
    expect_error([&] { all_of(path); }, {path, "goes on behind its compressed data"});
    expect_error([&] { read_csv(path, {}); }, {path, "goes on behind its compressed data"});
  }
  const std::string damaged =
      write(folder / "damaged.gz", gzipped("ab") + gzipped("cd").substr(0, 12));
  expect_error([&] { all_of(damaged); }, {damaged, "truncated"});
}

TEST(InputFile, PipesDevicesAndFoldersAreRefusedAtOnce) {
  TempFolder folder;
  const std::string pipe = folder / "pipe", link = folder / "link";
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  ASSERT_EQ(symlink(pipe.c_str(), link.c_str()), 0);
  // Without a writer, opening it as a plain file would wait for ever.
  expect_error([&] { InputFile file(pipe); }, {pipe, "is a pipe"});
  expect_error([&] { InputFile file(link); }, {link, "is a pipe"});
  expect_error([&] { file_digest(pipe, "md5"); }, {pipe, "is a pipe"});
  expect_error([&] { InputFile file("/dev/zero"); }, {"/dev/zero", "is a device"});
  expect_error([&] { InputFile file(folder.path()); }, {folder.path(), "is a folder"});
  const std::string socket_path = folder / "socket";
  const int socket_file = socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  socket_path.copy(address.sun_path, sizeof address.sun_path - 1);
  if (bind(socket_file, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0)
    expect_error([&] { InputFile file(socket_path); }, {socket_path, "is a socket"});
  close(socket_file);
  // Every source reads through it.
  for (const auto& [source, option] :
       {std::pair{"csv", "csv.train"}, {"text", "text.file"}, {"npy", "npy.train-x"}}) {
    OptionValues options{{option, pipe}};
    if (std::string(source) == "npy") options["npy.train-y"] = pipe;
    expect_error([&] { load(source, options); }, {pipe, "is a pipe"});
  }
}

TEST(InputFile, BombsAreRefusedWithoutTheirMemory) {
  TempFolder folder;
  std::string zeros(100 << 20, '\0');
  const std::string bomb = write(folder / "bomb.gz", gzipped(zeros));
  zeros = std::string();
  ASSERT_LT(std::filesystem::file_size(bomb), 200u << 10);
  InputFile file(bomb);
  expect_error([&] { file.rest(uint64_t{1} << 40); }, {bomb, "inflates to more than 200 times"});
  const std::string table = write(folder / "table.gz", gzipped([] {
                                    std::string out;
                                    for (int i = 0; i < 6 << 20; ++i) out += "0,0,0,0,0\r\n";
                                    return out;
                                  }()));
  expect_error([&] { read_csv(table, {}); }, {table, "inflates to more than"});
}

TEST(InputFile, WhatAHeaderAnnouncesIsLookedForBeforeMemoryIsTaken) {
  TempFolder folder;
  const std::string idx = write(folder / "idx", be32({2051, 4000000000u, 16384, 16384}) + "abc");
  expect_error([&] { read_idx_images(idx); },
               {idx, "ends inside its pixels: 1073741824000000000 bytes", "only 3 are"});
  const std::string packed = write(folder / "idx.gz", gzipped(read_all(idx)));
  expect_error([&] { read_idx_images(packed); }, {packed, "idx.gz"});
  // A file with a hole as large as announced takes no place on the disk.
  const std::string header = "{'descr': '<f8', 'fortran_order': False, 'shape': (1099511627776,)}";
  const std::string sparse = write(folder / "sparse.npy", "\x93NUMPY\1" + std::string(1, '\0') +
                                                              static_cast<char>(header.size()) +
                                                              std::string(1, '\0') + header);
  std::error_code error;
  std::filesystem::resize_file(sparse, 10 + header.size() + (uint64_t{8} << 40), error);
  if (!error)
    expect_error([&] { read_npy(sparse); }, {sparse, "needs 8796093022208 bytes of memory"});
}

TEST(InputFile, OneLongNameDoesNotPadAllOthers) {
  TempFolder folder;
  std::string many;
  for (int i = 0; i < 100000; ++i) many += "ab\n";
  write(folder / "names/A.txt", many);
  write(folder / "names/B.txt", "abc\n" + std::string(190, 'x') + "\n");
  expect_error(
      [&] {
        load("names", {{"data-dir", folder.path()}});
      },
      {"B.txt", "a name of 190 letters", "100002 names"});
}

}  // namespace
}  // namespace altprop::data::testing
