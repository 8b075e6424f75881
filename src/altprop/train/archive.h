// Zip archives: whether one is as it was written.
#pragma once

#include <string>

namespace altprop {

/// True if the archive's end is there, and every file in it is stored as it is and has the CRC-32
/// that the directory says. What libtorch's reader does not look at.
bool archive_is_whole(const std::string& bytes);

/// Offset behind the archive's last record, where its comment begins; npos if there is no such
/// record.
size_t end_of_archive(const std::string& bytes);

}  // namespace altprop
