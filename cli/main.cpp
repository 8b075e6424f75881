// The `altprop` program: parses, calls the library, prints. Exit codes: 0 done, 1 failure, 2 usage;
// what a signal ended ends by that signal.
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <new>

#include "altprop/base/error.h"
#include "altprop/base/printable.h"
#include "altprop/base/text.h"
#include "altprop/base/version.h"
#include "altprop/tensor/memory.h"
#include "altprop/tensor/own_kernels.h"
#include "altprop/train/interrupt.h"
#include "command.h"
#include "completion.h"

namespace {

int fail(int code, const std::string& sentence) {
  std::fprintf(stderr, "altprop: %s\n", altprop::text::printable(sentence).c_str());
  return code;
}

/// What a library below says, as what it means for the user. Of an unknown one the first line,
/// without its stack of C++ frames.
int fail_of_library(const std::string& message) {
  const std::pair<const char*, const char*> known[] = {
      {"allocate memory", "out of memory; use a smaller batch or network"},
      {"out of memory", "out of memory; use a smaller batch or network"},
      {"could not create a primitive",
       "the library for matrix products has no kernel for an operation of this size, or no memory "
       "for it; use a smaller batch or network, or set ALTPROP_LINEAR_BACKEND=aten"},
      {"without overflow",
       "a number of the settings is too large for --dtype float32; make it smaller, or use "
       "float64"},
  };
  for (const auto& [part, sentence] : known)
    if (message.find(part) != std::string::npos) return fail(1, sentence);
  return fail(1, altprop::text::cat(
                     "a library that altprop uses failed: ", message.substr(0, message.find('\n')),
                     "; if the input is in order, this is a fault of altprop"));
}

int run(int argc, char** argv) {
  using namespace altprop;
  memory::install();
  for (int i = 0; i < argc; ++i)
    cli::command_line += (i ? " " : "") + (i ? std::string(argv[i]) : "altprop");
  CLI::App program(
      "Train one network with backprop or any of its alternatives, on the same data, with the same "
      "instruments.",
      "altprop");
  program.set_version_flag("--version", "altprop " + version());
  program.require_subcommand(1);
  for (auto* add :
       {cli::add_train, cli::add_compare, cli::add_sweep, cli::add_resume, cli::add_check,
        cli::add_predict, cli::add_robustness, cli::add_export, cli::add_deploy, cli::add_describe,
        cli::add_list, cli::add_show, cli::add_diff, cli::add_report, cli::add_data, cli::add_bench,
        cli::add_theory, cli::add_completion, cli::add_help})
    add(program);
  try {
    check_kernels_variable();
    if (argc > 1 && argv[1][0] != '-') cli::command_named(program, argv[1]);
    program.parse(argc, argv);
  } catch (const CLI::Success& done) {  // --help, --version
    return program.exit(done);
  } catch (const CLI::ParseError& error) {
    return fail(2, text::cat(error.what(), "; see altprop --help"));
  } catch (const UsageError& error) {
    return fail(2, error.what());
  } catch (const Error& error) {
    return fail(1, error.what());
  } catch (const c10::Error& error) {
    return fail_of_library(error.what_without_backtrace());
  } catch (const std::filesystem::filesystem_error& error) {
    return fail(1, text::cat("'", error.path1().string(), "' cannot be used: ",
                             error.code().message(), "; check the path and its permissions"));
  } catch (const std::bad_alloc&) {
    return fail(1, "out of memory; use a smaller batch or network");
  } catch (const std::exception& error) {
    return fail_of_library(error.what());
  }
  return cli::exit_code;
}

}  // namespace

int main(int argc, char** argv) {
  // Into a file or pipe in one go: a write that fails half-way has lost its reason at the end.
  static char buffer[1 << 20];
  if (!isatty(STDOUT_FILENO)) std::setvbuf(stdout, buffer, _IOFBF, sizeof buffer);
  const int code = run(argc, argv);
  if (std::fflush(stdout) != 0)
    return fail(1, altprop::text::cat("writing the output failed: ", std::strerror(errno)));
  if (std::ferror(stdout)) return fail(1, "writing the output failed");
  if (code != 0) altprop::interrupt::end_if_signalled();
  return code;
}
