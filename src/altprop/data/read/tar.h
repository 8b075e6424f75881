// Unpacking an archive of plain files (tar in all its variants, by libarchive), which may be
// gzip-compressed.
#pragma once

#include <string>
#include <vector>

namespace altprop::data {

/// Writes the regular files of `archive` into `folder`, which must exist, each under the last part
/// of its name: nothing can be written elsewhere. Links and devices are passed over. A file has its
/// name only when it is complete (NAME.part until then). @return the names written.
/// @throws Error naming the archive, which is damaged, holds two files of one name or unpacks to
/// much more than its size, or the file that cannot be written
std::vector<std::string> unpack_tar(const std::string& archive, const std::string& folder);

}  // namespace altprop::data
