// The `altprop` program: parses, calls the library, prints. Exit codes: 0 done, 1 failure, 2 usage.
#include <cstdio>
#include <new>

#include "altprop/base/error.h"
#include "altprop/base/text.h"
#include "altprop/base/version.h"
#include "altprop/tensor/memory.h"
#include "altprop/train/interrupt.h"
#include "command.h"

namespace {

int fail(int code, const std::string& sentence) {
  std::fprintf(stderr, "altprop: %s\n", sentence.c_str());
  return code;
}

/// The first line of a libtorch error, without its stack of C++ frames.
std::string first_line(const std::string& message) { return message.substr(0, message.find('\n')); }

}  // namespace

int main(int argc, char** argv) {
  using namespace altprop;
  memory::install();
  interrupt::install();
  for (int i = 0; i < argc; ++i)
    cli::command_line += (i ? " " : "") + (i ? std::string(argv[i]) : "altprop");
  CLI::App program(
      "Train one network with backprop or any of its alternatives, on the same data, with the same "
      "instruments.",
      "altprop");
  program.set_version_flag("--version", "altprop " + version());
  program.require_subcommand(1);
  for (auto* add :
       {cli::add_train, cli::add_compare, cli::add_resume, cli::add_check, cli::add_predict,
        cli::add_describe, cli::add_list, cli::add_report, cli::add_data})
    add(program);
  try {
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
    return fail(1, first_line(error.what_without_backtrace()));
  } catch (const std::bad_alloc&) {
    return fail(1, "out of memory; use a smaller batch or network");
  } catch (const std::exception& error) {
    return fail(1, first_line(error.what()));
  }
  return interrupt::requested() ? 1 : 0;
}
