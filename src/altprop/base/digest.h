// Digests of bytes, as OpenSSL computes them.
#pragma once

#include <memory>
#include <string>

struct evp_md_ctx_st;  // EVP_MD_CTX

namespace altprop {

/// Two digits a byte.
std::string hexadecimal(const unsigned char* bytes, size_t n);

class Digest {
 public:
  /// @param algorithm "md5" or "sha256". @throws UsageError for another one, Error if OpenSSL has
  /// it not
  explicit Digest(const std::string& algorithm);

  void add(const void* bytes, size_t n);
  /// Hexadecimal; ends it.
  std::string text();

 private:
  std::unique_ptr<evp_md_ctx_st, void (*)(evp_md_ctx_st*)> context_;
};

}  // namespace altprop
