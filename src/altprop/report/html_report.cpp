#include "altprop/report/html_report.h"

#include <string_view>

#include "altprop/base/files.h"
#include "altprop/base/text.h"
#include "altprop/base/version.h"
#include "altprop/report/assets.h"

namespace altprop::report {

namespace fs = std::filesystem;
using nlohmann::json;

namespace {

/// JSON that cannot end the <script> element around it: outside of strings JSON has no <, > or &.
std::string script_safe(const json& value) {
  std::string out;
  for (char c : value.dump(-1, ' ', false, json::error_handler_t::replace)) {
    switch (c) {
      case '<':
        out += "\\u003c";
        break;
      case '>':
        out += "\\u003e";
        break;
      case '&':
        out += "\\u0026";
        break;
      default:
        out += c;
    }
  }
  return out;
}

/// One pass over the template, so that a "{{script}}" inside the records stays the text it is.
std::string fill(std::string_view page, const std::string& data) {
  std::string out;
  for (size_t open; (open = page.find("{{")) != std::string_view::npos;) {
    const size_t close = page.find("}}", open);
    const std::string_view name = page.substr(open + 2, close - open - 2);
    out += page.substr(0, open);
    out += name == "style" ? assets::style : name == "script" ? assets::script : data;
    page.remove_prefix(close + 2);
  }
  return out += page;
}

}  // namespace

std::string html(const Records& records) {
  json runs = json::array();
  for (const Run& run : records.runs)
    runs.push_back(
        {{"summary", run.summary}, {"epochs", run.epochs}, {"deployment", run.deployment}});
  return fill(assets::page, script_safe({{"summary", records.summary},
                                         {"runs", std::move(runs)},
                                         {"notes", records.notes},
                                         {"report_version", version()}}));
}

void write(const fs::path& dir) { write_atomically(dir / "report.html", html(read_records(dir))); }

void write(const std::vector<std::string>& dirs, const fs::path& page) {
  write_atomically(page, html(read_records(dirs)));
}

}  // namespace altprop::report
