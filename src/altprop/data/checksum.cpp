#include "altprop/data/checksum.h"

#include <openssl/evp.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <vector>

#include "altprop/base/error.h"
#include "altprop/data/read/file.h"

namespace altprop::data {

std::string file_digest(const std::string& path, const std::string& algorithm) {
  if (algorithm != "md5" && algorithm != "sha256")
    throw UsageError("there is no checksum '" + algorithm + "'; known are md5, sha256");
  const std::unique_ptr<FILE, int (*)(FILE*)> file(fdopen(open_plain_file(path), "rb"),
                                                   std::fclose);
  if (!file) throw Error("'" + path + "' cannot be opened: " + std::strerror(errno));
  const std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)> context(EVP_MD_CTX_new(),
                                                                   EVP_MD_CTX_free);
  const EVP_MD* kind = algorithm == "md5" ? EVP_md5() : EVP_sha256();
  if (!context || !EVP_DigestInit_ex(context.get(), kind, nullptr))
    throw Error("the checksum " + algorithm + " is not available in this OpenSSL");
  std::vector<unsigned char> buffer(1 << 16);
  size_t got;
  while ((got = std::fread(buffer.data(), 1, buffer.size(), file.get())) > 0)
    EVP_DigestUpdate(context.get(), buffer.data(), got);
  if (std::ferror(file.get()))
    throw Error("'" + path + "' cannot be read: " + std::strerror(errno));
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned length = 0;
  EVP_DigestFinal_ex(context.get(), digest, &length);
  std::string out;
  for (unsigned i = 0; i < length; ++i) {
    out += "0123456789abcdef"[digest[i] >> 4];
    out += "0123456789abcdef"[digest[i] & 15];
  }
  return out;
}

}  // namespace altprop::data
