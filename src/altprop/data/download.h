// Getting published data sets: resumable downloads over HTTP(S), accepted only with the right
// checksum.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace altprop::data {

struct RemoteFile {
  std::string name;       ///< appended to a mirror's address; the name on disk
  std::string algorithm;  ///< of the checksum: as file_digest; "" if none is known
  std::string digest;     ///< hexadecimal, lower case
  int64_t bytes = -1;     ///< exact size; -1: not known, but not empty
};

/// What `altprop data get NAME` knows of a data set.
struct RemoteSet {
  std::string name;
  std::string folder;                ///< within the folder of all data sets
  std::vector<std::string> mirrors;  ///< addresses ending in '/', tried in order
  std::vector<RemoteFile> files;     ///< a .tar.gz is unpacked into `folder` and then removed
  std::vector<RemoteFile> contents;  ///< the files in `folder` that come out of it
};

struct DownloadOptions {
  std::string
      folder;  ///< of all data sets; empty: the environment variable ALTPROP_DATA, else "data"
  std::string mirror;    ///< instead of the known ones; empty: the environment variable
                         ///< ALTPROP_MIRROR, else the known ones
  int64_t attempts = 5;  ///< connections for each mirror; each goes on where the last was cut
  double pause = 1;      ///< seconds before the second attempt, doubled each time
  int64_t stall = 60;    ///< seconds after which a connection is given up that is slower than
  int64_t least = 100;   ///< so many bytes a second on average; a slow one that is not goes on
  /// Called about once a second, also while nothing arrives, and more often while a pause between
  /// connections lasts: file, bytes there, bytes in all (0 if unknown). Returning false stops the
  /// download.
  std::function<bool(const std::string&, int64_t, int64_t)> progress;
};

std::vector<const RemoteSet*> downloadable();

/// @throws UsageError for a name that cannot be downloaded
const RemoteSet& find_remote(const std::string& name);

/// Downloads what is missing; files that are there with the right size and checksum stay. A file is
/// written as NAME.part, which a later call continues, and renamed when its checksum is right. No
/// more is taken from a server than the file has. What comes out of an archive is checked too; of
/// files without a known checksum the one that they had is kept beside them (SHA256SUMS). @return
/// false if everything was there already.
/// @throws Error naming file, address and what went wrong
bool download(const RemoteSet& set, const DownloadOptions& options);

}  // namespace altprop::data
