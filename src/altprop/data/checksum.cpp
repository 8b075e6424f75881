#include "altprop/data/checksum.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <vector>

#include "altprop/base/digest.h"
#include "altprop/base/error.h"
#include "altprop/data/read/file.h"

namespace altprop::data {

std::string file_digest(const std::string& path, const std::string& algorithm) {
  Digest digest(algorithm);
  const std::unique_ptr<FILE, int (*)(FILE*)> file(fdopen(open_plain_file(path), "rb"),
                                                   std::fclose);
  if (!file) throw Error("'" + path + "' cannot be opened: " + std::strerror(errno));
  std::vector<unsigned char> buffer(1 << 16);
  size_t got;
  while ((got = std::fread(buffer.data(), 1, buffer.size(), file.get())) > 0)
    digest.add(buffer.data(), got);
  if (std::ferror(file.get()))
    throw Error("'" + path + "' cannot be read: " + std::strerror(errno));
  return digest.text();
}

}  // namespace altprop::data
