#include "support/fuzz.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <fstream>

#include "altprop/base/error.h"
#include "altprop/base/printable.h"
#include "altprop/base/text.h"
#include "altprop/tensor/memory.h"

namespace altprop::fuzz {

namespace {

/// Writes `value` in `width` bytes, in either byte order.
void put_integer(std::string& bytes, size_t at, uint64_t value, size_t width, bool big_endian) {
  for (size_t i = 0; i < width && at + i < bytes.size(); ++i)
    bytes[at + i] = static_cast<char>(value >> (8 * (big_endian ? width - 1 - i : i)));
}

uint64_t awkward_integer(const Stream& draw) {
  static const uint64_t kValues[] = {
      0,          1,          2,          0x7f,       0xff,       0x7fff,     0xffff,     0x10000,
      0x7fffffff, 0x80000000, 0xffffffff, 1ull << 32, 1ull << 40, 1ull << 62, 1ull << 63, ~0ull};
  return kValues[draw.integer_at(0, std::size(kValues))] +
         static_cast<uint64_t>(draw.integer_at(1, 3)) - 1;
}

/// Puts an awkward number in place of one that stands in the text, if there is one behind `from`.
bool change_number(std::string& text, size_t from, const Stream& draw) {
  const char* digits = "0123456789";
  size_t begin = text.find_first_of(digits, from);
  if (begin == std::string::npos) begin = text.find_first_of(digits);
  if (begin == std::string::npos) return false;
  const size_t end = std::min(text.find_first_not_of("0123456789.e+", begin), text.size());
  text.replace(begin, end - begin, awkward_number(draw));
  return true;
}

void change(std::string& bytes, const std::vector<std::string>& seeds, const Stream& draw) {
  const auto n = static_cast<int64_t>(bytes.size());
  const auto at = static_cast<size_t>(draw.integer_at(0, n));
  // Half of the changes hit the first bytes, where headers are.
  const size_t place = draw.integer_at(1, 2) ? at : at % std::min<size_t>(bytes.size(), 80);
  const size_t length = 1 + static_cast<size_t>(draw.integer_at(2, 12));
  switch (draw.integer_at(3, 15)) {
    case 0:
      bytes[place] = static_cast<char>(draw.bits(4));
      break;
    case 1:
      bytes[place] = static_cast<char>(bytes[place] ^ (1 << draw.integer_at(4, 8)));
      break;
    case 2:
      bytes.resize(at);
      break;
    case 3:
      bytes.insert(place, std::string(length, static_cast<char>(draw.bits(4))));
      break;
    case 4:
      bytes.erase(place, length);
      break;
    case 5:
      for (size_t i = place; i < std::min(bytes.size(), place + length); ++i) bytes[i] = '\xff';
      break;
    case 6: {  // a piece of a seed, elsewhere
      const std::string& other =
          seeds[static_cast<size_t>(draw.integer_at(4, static_cast<int64_t>(seeds.size())))];
      if (other.empty()) break;
      const auto from = static_cast<size_t>(draw.integer_at(5, static_cast<int64_t>(other.size())));
      bytes.insert(place, other.substr(from, draw.integer_at(6, 4) ? length : other.size() / 2));
      break;
    }
    case 7:
      put_integer(bytes, place, awkward_integer(draw), size_t{1} << draw.integer_at(4, 4),
                  draw.integer_at(5, 2));
      break;
    case 8:
      bytes += bytes.substr(at);
      break;
    case 9:
    case 10:
      if (!change_number(bytes, place, draw.at("number"))) bytes[place] = '0';
      break;
    default:  // another digit: a text mostly stays well-formed
      if (const size_t digit = bytes.find_first_of("0123456789", at); digit < bytes.size())
        bytes[digit] = static_cast<char>('0' + draw.integer_at(4, 10));
  }
}

std::string shown(const std::string& bytes) {
  std::string out;
  for (const unsigned char c : bytes.substr(0, 400)) {
    char code[8];
    std::snprintf(code, sizeof code, c >= 0x20 && c < 0x7f ? "%c" : "\\x%02x", c);
    out += code;
  }
  return out;
}

// ---- a crash or a hang says which input it was

char current[160];

void say_which(int signal) {
  (void)!::write(STDERR_FILENO, current, std::strlen(current));
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}

class Watch {
 public:
  explicit Watch(const Target& target) : target_(target) {
    for (int signal : {SIGABRT, SIGVTALRM}) std::signal(signal, say_which);
#ifndef __SANITIZE_ADDRESS__
    for (int signal : {SIGSEGV, SIGBUS, SIGFPE}) std::signal(signal, say_which);
    // More than this is not even tried: it fails, and the foreign exception is seen.
    getrlimit(RLIMIT_AS, &kept_);
    rlimit limited = kept_;
    limited.rlim_cur = std::min<rlim_t>(kept_.rlim_max, status("VmSize:") + (rlim_t{4} << 30));
    setrlimit(RLIMIT_AS, &limited);
#endif
    memory::install();
    std::ofstream("/proc/self/clear_refs") << "5";  // VmHWM starts anew
    tensors_ = memory::alive(at::kCPU);
    memory::reset_peak(at::kCPU);
    resident_ = status("VmHWM:");
  }
  ~Watch() {
    set_timer(0);
#ifndef __SANITIZE_ADDRESS__
    setrlimit(RLIMIT_AS, &kept_);
    for (int signal : {SIGSEGV, SIGBUS, SIGFPE}) std::signal(signal, SIG_DFL);
#endif
    for (int signal : {SIGABRT, SIGVTALRM}) std::signal(signal, SIG_DFL);
  }

  void begin(int64_t round) {
    std::snprintf(current, sizeof current, "\nfuzzing '%.80s' ended at input %lld\n",
                  target_.name.c_str(), static_cast<long long>(round));
    set_timer(target_.most_seconds);
  }

  void check_memory() const {
#ifdef __SANITIZE_ADDRESS__
    constexpr int64_t kMore = int64_t{1} << 30;  // the sanitizer keeps freed memory for a while
#else
    constexpr int64_t kMore = 0;
#endif
    EXPECT_LT(memory::peak(at::kCPU) - tensors_, target_.most_bytes) << "bytes of tensors";
    EXPECT_LT(static_cast<int64_t>(status("VmHWM:") - resident_), target_.most_bytes + kMore)
        << "resident bytes";
  }

 private:
  static void set_timer(int seconds) {
    itimerval timer{};
    timer.it_value.tv_sec = seconds;
    setitimer(ITIMER_VIRTUAL, &timer, nullptr);
  }
  /// A line of /proc/self/status, in bytes.
  static uint64_t status(const std::string& key) {
    std::ifstream in("/proc/self/status");
    for (std::string word; in >> word;)
      if (word == key) {
        uint64_t kib = 0;
        in >> kib;
        return kib * 1024;
      }
    return 0;
  }

  const Target& target_;
  rlimit kept_{};
  int64_t tensors_ = 0;
  uint64_t resident_ = 0;
};

/// As the program would print it.
void check_sentence(const std::string& raw) {
  const std::string message = text::printable(raw);
  EXPECT_GT(message.size(), 12u) << message;
  EXPECT_LT(message.size(), 1500u) << message;
  for (const char* noise : {"frame #", "Exception raised", "c10::", "at::", "enforce fail",
                            "json.exception", ".cpp:", "std::", "bad_alloc", "INTERNAL ASSERT"})
    EXPECT_EQ(message.find(noise), std::string::npos) << message;
}

int64_t number_from_environment(const char* name, int64_t otherwise) {
  const char* set = std::getenv(name);
  return set ? text::to_integer(set).value_or(otherwise) : otherwise;
}

}  // namespace

std::string awkward_number(const Stream& draw) {
  static const char* kNumbers[] = {"0",
                                   "1",
                                   "-1",
                                   "2",
                                   "7",
                                   "16",
                                   "100",
                                   "4096",
                                   "65536",
                                   "16777217",
                                   "1e9",
                                   "-0",
                                   "2147483647",
                                   "2147483648",
                                   "4294967296",
                                   "1e308",
                                   "nan",
                                   "inf",
                                   "-inf",
                                   "9223372036854775807",
                                   "0.5",
                                   "1e-320",
                                   "18446744073709551616",
                                   "99999999999999999999999999",
                                   "0x10"};
  if (draw.integer_at(0, 4) == 0) return std::to_string(draw.bits(1) >> draw.integer_at(2, 64));
  return kNumbers[draw.integer_at(3, std::size(kNumbers))];
}

std::string mutated(const std::vector<std::string>& seeds, const Stream& stream) {
  std::string bytes =
      seeds[static_cast<size_t>(stream.integer_at(0, static_cast<int64_t>(seeds.size())))];
  const int64_t changes = 1 + stream.integer_at(1, 2) * stream.integer_at(2, 4);
  for (int64_t c = 0; c < changes && !bytes.empty(); ++c) change(bytes, seeds, stream.at(c));
  return bytes;
}

Outcome run(const Target& target) {
  Outcome out;
  const int64_t rounds = target.rounds * number_from_environment("ALTPROP_FUZZ_ROUNDS", 1);
  const auto seed = static_cast<uint64_t>(number_from_environment("ALTPROP_FUZZ_SEED", 1));
  Watch watch(target);
  const auto good = static_cast<int64_t>(target.seeds.size());
  for (int64_t i = -good; i < rounds && !::testing::Test::HasFailure(); ++i) {
    const std::string input = i < 0 ? target.seeds[static_cast<size_t>(i + good)]
                                    : mutated(target.seeds, Stream(seed).at(target.name).at(i));
    SCOPED_TRACE(text::cat(target.name, ", input ", i, ": ", shown(input)));
    watch.begin(i);
    try {
      target.read(input);
      ++out.accepted;
    } catch (const Error& error) {
      if (i < 0) ADD_FAILURE() << "a well-formed input is refused: " << error.what();
      ++out.refused;
      check_sentence(error.what());
    } catch (const std::exception& other) {
      ADD_FAILURE() << "a foreign exception: " << other.what();
    }
  }
  if (::testing::Test::HasFailure()) return out;
  watch.check_memory();
  EXPECT_GT(out.refused, rounds / 50) << "hardly any damage was noticed";
  EXPECT_GT(out.accepted, good) << "no damaged input was accepted: the damage is too coarse";
  return out;
}

}  // namespace altprop::fuzz
