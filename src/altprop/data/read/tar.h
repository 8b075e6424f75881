// Unpacking an archive of plain files (POSIX ustar), which may be gzip-compressed.
#pragma once

#include <string>
#include <vector>

namespace altprop::data {

/// Writes the regular files of `archive` into `folder`, which must exist, each under the last part
/// of its name: nothing can be written elsewhere. Links and devices are passed over. @return the
/// names written.
/// @throws Error naming the archive or the file that cannot be written
std::vector<std::string> unpack_tar(const std::string& archive, const std::string& folder);

}  // namespace altprop::data
