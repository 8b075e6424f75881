// What a report's page carries.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace altprop::report {

/// The records as the page's script gets them.
inline nlohmann::json embedded(const std::string& page) {
  const std::string open = "<script type=\"application/json\" id=\"records\">";
  const size_t begin = page.find(open) + open.size();
  return nlohmann::json::parse(page.substr(begin, page.find("</script>", begin) - begin));
}

}  // namespace altprop::report
