// Checksums of files.
#pragma once

#include <string>

namespace altprop::data {

/// Hexadecimal digest of a file. @param algorithm "md5" or "sha256". @throws Error if the file
/// cannot be read, UsageError for another algorithm
std::string file_digest(const std::string& path, const std::string& algorithm);

}  // namespace altprop::data
