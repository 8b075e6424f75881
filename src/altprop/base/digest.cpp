#include "altprop/base/digest.h"

#include <openssl/evp.h>

#include "altprop/base/error.h"

namespace altprop {

std::string hexadecimal(const unsigned char* bytes, size_t n) {
  std::string out;
  for (size_t i = 0; i < n; ++i) {
    out += "0123456789abcdef"[bytes[i] >> 4];
    out += "0123456789abcdef"[bytes[i] & 15];
  }
  return out;
}

Digest::Digest(const std::string& algorithm) : context_(EVP_MD_CTX_new(), EVP_MD_CTX_free) {
  if (algorithm != "md5" && algorithm != "sha256")
    throw UsageError("there is no checksum '" + algorithm + "'; known are md5, sha256");
  const EVP_MD* kind = algorithm == "md5" ? EVP_md5() : EVP_sha256();
  if (!context_ || !EVP_DigestInit_ex(context_.get(), kind, nullptr))
    throw Error("the checksum " + algorithm + " is not available in this OpenSSL");
}

void Digest::add(const void* bytes, size_t n) { EVP_DigestUpdate(context_.get(), bytes, n); }

std::string Digest::text() {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned length = 0;
  EVP_DigestFinal_ex(context_.get(), digest, &length);
  return hexadecimal(digest, length);
}

}  // namespace altprop
