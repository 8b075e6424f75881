#include "look_back.h"

#include <cstdio>

#include "altprop/base/printable.h"

namespace altprop::cli {

void say_notes(const report::Records& records, const std::string& dir) {
  for (const std::string& note : records.notes)
    std::fprintf(stderr, "note: %s: %s\n", text::printable(dir).c_str(),
                 text::printable(note).c_str());
}

std::string written(const nlohmann::json& json) {
  return json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace altprop::cli
