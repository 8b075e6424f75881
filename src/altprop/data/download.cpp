#include "altprop/data/download.h"

#include <curl/curl.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <mutex>
#include <thread>

#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "altprop/data/checksum.h"
#include "altprop/data/prepare.h"
#include "altprop/data/read/file.h"
#include "altprop/data/read/tar.h"

namespace altprop::data {

namespace fs = std::filesystem;

namespace {

constexpr int64_t kMostUnknown = int64_t{1} << 32;  // bytes of a file whose size is not known

[[noreturn]] void stopped(const std::string& name) {
  throw Error("the download of '" + name + "' was stopped; the same command continues it");
}

/// One connection that appends to `part`.
class Transfer {
 public:
  enum class Outcome {
    Complete,
    Cut,
    Refused
  };  // Cut: try again; Refused: this address will not do

  Transfer(std::string url, std::string part, const RemoteFile& file,
           const DownloadOptions& options)
      : url_(std::move(url)),
        part_(std::move(part)),
        name_(file.name),
        most_(file.bytes >= 0 ? file.bytes : kMostUnknown),
        options_(options) {}

  Outcome run() {
    std::error_code ignored;
    const auto there = fs::file_size(part_, ignored);
    start_ = ignored ? 0 : static_cast<int64_t>(there);
    file_.reset(std::fopen(part_.c_str(), "ab"));
    if (!file_) throw Error("'" + part_ + "' cannot be written: " + std::strerror(errno));
    curl_.reset(curl_easy_init());
    if (!curl_) throw Error("libcurl cannot be initialised");
    set_up();
    const CURLcode code = curl_easy_perform(curl_.get());
    const bool flushed = file_ && std::fclose(file_.release()) == 0;
    if (write_failed_ || !flushed)
      throw Error("'" + part_ + "' cannot be written: is the disk full?");
    if (thrown_) std::rethrow_exception(thrown_);
    if (stopped_) stopped(name_);
    if (too_long_) {
      std::error_code error;
      fs::remove(part_, error);
      reason_ = text::cat("the server sends more than the ", most_, " bytes that it has");
      return Outcome::Refused;
    }
    return judge(code);
  }

  const std::string& reason() const { return reason_; }

 private:
  void set_up() {
    CURL* c = curl_.get();
    curl_easy_setopt(c, CURLOPT_URL, url_.c_str());
#if LIBCURL_VERSION_NUM >= 0x075500
    curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(c, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
#else
    curl_easy_setopt(c, CURLOPT_PROTOCOLS, static_cast<long>(CURLPROTO_HTTP | CURLPROTO_HTTPS));
    curl_easy_setopt(c, CURLOPT_REDIR_PROTOCOLS,
                     static_cast<long>(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
    curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 1L);
    curl_easy_setopt(c, CURLOPT_MAXREDIRS, 10L);
    curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, 30L);
    curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, static_cast<long>(options_.least));
    curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, static_cast<long>(options_.stall));
    curl_easy_setopt(c, CURLOPT_ERRORBUFFER, error_);
    curl_easy_setopt(c, CURLOPT_USERAGENT, "altprop");
    if (start_ > 0) curl_easy_setopt(c, CURLOPT_RANGE, (std::to_string(start_) + "-").c_str());
    curl_easy_setopt(c, CURLOPT_WRITEDATA, this);
    curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, &Transfer::on_data);
    curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(c, CURLOPT_XFERINFODATA, this);
    curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, &Transfer::on_progress);
  }

  long status() const {
    long code = 0;
    curl_easy_getinfo(curl_.get(), CURLINFO_RESPONSE_CODE, &code);
    return code;
  }

  static size_t on_data(char* bytes, size_t, size_t n, void* self_) {
    auto* self = static_cast<Transfer*>(self_);
    const long status = self->status();
    if (status != 200 && status != 206) return n;  // the body of an error page
    if (status == 200 && self->start_ > 0) {       // the server cannot continue: begin anew
      self->start_ = 0;
      self->file_.reset(std::freopen(self->part_.c_str(), "wb", self->file_.release()));
    }
    if (self->written_ + static_cast<int64_t>(n) > self->most_ - self->start_) {
      self->too_long_ = true;
      return 0;
    }
    self->written_ += static_cast<int64_t>(n);
    if (!self->file_ || std::fwrite(bytes, 1, n, self->file_.get()) != n) {
      self->write_failed_ = true;
      return 0;
    }
    return n;
  }

  static int on_progress(void* self_, curl_off_t total, curl_off_t now, curl_off_t, curl_off_t) {
    auto* self = static_cast<Transfer*>(self_);
    if (!self->options_.progress) return 0;
    try {
      self->stopped_ = !self->options_.progress(self->name_, self->start_ + now,
                                                total > 0 ? self->start_ + total : 0);
    } catch (...) {  // must not pass through libcurl, which is C
      self->thrown_ = std::current_exception();
      self->stopped_ = true;
    }
    return self->stopped_ ? 1 : 0;
  }

  Outcome judge(CURLcode code) {
    const long http = status();
    if (code == CURLE_OK && (http == 200 || http == 206)) return Outcome::Complete;
    if (http == 416) return Outcome::Complete;  // nothing is left to send; the checksum decides
    if (code == CURLE_OK) {
      reason_ = text::cat("the server answered ", http, http == 404 ? " (not found)" : "");
      return http >= 500 || http == 429 ? Outcome::Cut : Outcome::Refused;
    }
    reason_ = error_[0] ? error_ : curl_easy_strerror(code);
    const bool hopeless = code == CURLE_UNSUPPORTED_PROTOCOL || code == CURLE_URL_MALFORMAT ||
                          code == CURLE_PEER_FAILED_VERIFICATION ||
                          code == CURLE_TOO_MANY_REDIRECTS;
    return hopeless ? Outcome::Refused : Outcome::Cut;
  }

  struct Close {
    void operator()(FILE* file) const { std::fclose(file); }
    void operator()(CURL* curl) const { curl_easy_cleanup(curl); }
  };

  std::string url_, part_;
  const std::string& name_;
  const int64_t most_;  // bytes of the file
  const DownloadOptions& options_;
  int64_t start_ = 0;    // bytes of the part file when the connection began
  int64_t written_ = 0;  // bytes behind them
  std::unique_ptr<FILE, Close> file_;
  std::unique_ptr<CURL, Close> curl_;
  char error_[CURL_ERROR_SIZE] = "";
  bool write_failed_ = false, stopped_ = false, too_long_ = false;
  std::exception_ptr thrown_;  // by the caller's progress function
  std::string reason_;
};

/// Whether the file is there as it should be: its size, and its checksum if one is known.
bool is_right(const fs::path& path, const RemoteFile& file) {
  std::error_code error;
  if (!fs::is_regular_file(path, error)) return false;
  const auto size = static_cast<int64_t>(fs::file_size(path, error));
  if (error || (file.bytes < 0 ? size == 0 : size != file.bytes)) return false;
  return file.algorithm.empty() || file_digest(path.string(), file.algorithm) == file.digest;
}

/// Waits between two connections; the caller may stop it.
void pause(double seconds, const RemoteFile& file, const DownloadOptions& options) {
  using clock = std::chrono::steady_clock;
  const auto end = clock::now() + std::chrono::duration<double>(seconds);
  while (clock::now() < end) {
    if (options.progress && !options.progress(file.name, 0, 0)) stopped(file.name);
    std::this_thread::sleep_for(std::min<std::chrono::duration<double>>(
        end - clock::now(), std::chrono::milliseconds(100)));
  }
}

/// Fetches one file from one address. @return "" or why not
std::string fetch(const std::string& url, const fs::path& to, const RemoteFile& file,
                  const DownloadOptions& options) {
  const std::string part = to.string() + ".part";
  std::string reason;
  for (int64_t attempt = 0, restarts = 0; attempt < options.attempts; ++attempt) {
    if (attempt > 0)
      pause(options.pause * static_cast<double>(1 << std::min<int64_t>(attempt - 1, 6)), file,
            options);
    std::error_code ignored;
    if (file.bytes >= 0 && fs::exists(part, ignored) &&
        static_cast<int64_t>(fs::file_size(part, ignored)) > file.bytes)
      fs::remove(part, ignored);
    const bool continued = fs::exists(part, ignored) && fs::file_size(part, ignored) > 0;
    Transfer transfer(url, part, file, options);
    const auto outcome = transfer.run();
    reason = transfer.reason();
    if (outcome == Transfer::Outcome::Refused) break;
    if (outcome == Transfer::Outcome::Cut) continue;
    if (is_right(part, file)) {
      fs::rename(part, to);
      return "";
    }
    reason = text::cat("its ", file.algorithm, " is ", file_digest(part, file.algorithm),
                       " instead of ", file.digest, ", of ", fs::file_size(part), " bytes");
    fs::remove(part);
    // What an earlier call left behind may have been the wrong part: worth one fresh start.
    if (!continued || restarts++ > 0) break;
  }
  return reason;
}

std::vector<std::string> mirrors_of(const RemoteSet& set, const DownloadOptions& options) {
  std::string own = options.mirror;
  if (const char* env = std::getenv("ALTPROP_MIRROR"); own.empty() && env) own = env;
  if (own.empty()) return set.mirrors;
  return {own.back() == '/' ? own : own + "/"};
}

void get_file(const RemoteSet& set, const RemoteFile& file, const fs::path& to,
              const DownloadOptions& options) {
  std::vector<std::string> failures;
  for (const std::string& mirror : mirrors_of(set, options)) {
    const std::string url = mirror + file.name, failure = fetch(url, to, file, options);
    if (failure.empty()) return;
    failures.push_back(url + ": " + failure);
  }
  throw Error("'" + to.string() + "' could not be downloaded: " + text::join(failures, "; ") +
              ". Try again later, or put the file there yourself");
}

// ---- archives

constexpr const char* kSums = "SHA256SUMS";  // in the format of the program sha256sum

/// What the files without a known checksum had when they were unpacked.
std::vector<RemoteFile> with_kept_sums(const RemoteSet& set, const fs::path& folder) {
  std::vector<RemoteFile> out = set.contents;
  std::error_code ignored;
  if (!fs::exists(folder / kSums, ignored)) return out;
  InputFile sums((folder / kSums).string());
  const std::vector<uint8_t> bytes = sums.rest(1 << 20);
  for (const std::string& line : text::split(std::string(bytes.begin(), bytes.end()), '\n'))
    for (RemoteFile& file : out)
      if (file.algorithm.empty() && line.size() > 66 && line.substr(66) == file.name)
        file.algorithm = "sha256", file.digest = line.substr(0, 64);
  return out;
}

void keep_sums(const RemoteSet& set, const fs::path& fresh) {
  std::string lines;
  for (const RemoteFile& file : set.contents)
    if (file.algorithm.empty())
      lines += file_digest((fresh / file.name).string(), "sha256") + "  " + file.name + "\n";
  if (lines.empty()) return;
  std::ofstream out(fresh / kSums, std::ios::binary | std::ios::trunc);
  out << lines;
  out.close();
  if (!out) throw Error("'" + (fresh / kSums).string() + "' cannot be written: is the disk full?");
}

/// Unpacks beside the final folder and renames, so that no half-written file ever has its final
/// name.
void unpack(const RemoteSet& set, const fs::path& archive, const fs::path& folder) {
  const fs::path fresh = folder.string() + ".part";
  fs::remove_all(fresh);
  fs::create_directories(fresh);
  unpack_tar(archive.string(), fresh.string());
  for (const RemoteFile& file : set.contents) {
    if (!fs::exists(fresh / file.name))
      throw Error("'" + archive.string() + "' does not hold the file '" + file.name + "'");
    if (!is_right(fresh / file.name, file))
      throw Error("'" + archive.string() + "' holds a file '" + file.name +
                  "' that is not the published one");
  }
  keep_sums(set, fresh);
  fs::create_directories(folder);
  for (const RemoteFile& file : set.contents) fs::rename(fresh / file.name, folder / file.name);
  if (fs::exists(fresh / kSums)) fs::rename(fresh / kSums, folder / kSums);
  fs::remove_all(fresh);
  fs::remove(archive);
}

bool is_unpacked(const RemoteSet& set, const fs::path& folder) {
  for (const RemoteFile& file : with_kept_sums(set, folder))
    if (!is_right(folder / file.name, file)) return false;
  return !set.contents.empty();
}

bool is_archive(const RemoteFile& file) { return file.name.ends_with(".tar.gz"); }

}  // namespace

bool download(const RemoteSet& set, const DownloadOptions& options) try {
  static std::once_flag once;
  std::call_once(once, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
  const fs::path root = data_folder(options.folder), folder = root / set.folder;
  bool fetched = false;
  for (const RemoteFile& file : set.files) {
    const bool archive = is_archive(file);
    const fs::path to = (archive ? root : folder) / file.name;
    if (archive ? is_unpacked(set, folder) : is_right(to, file)) continue;
    fs::create_directories(to.parent_path());
    if (!is_right(to, file)) get_file(set, file, to, options);
    if (archive) unpack(set, to, folder);
    fetched = true;
  }
  return fetched;
} catch (const fs::filesystem_error& error) {
  throw Error(text::cat("data set '", set.name, "' cannot be stored: ", error.what()));
}

}  // namespace altprop::data
