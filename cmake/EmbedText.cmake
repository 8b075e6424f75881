# Writes OUT, a C++ file that defines each of FILES ("name=path|name=path") as a std::string_view in NAMESPACE, as
# HEADER declares them. Literals are cut into chunks because compilers limit their length.
# Called as: cmake -DHEADER=... -DNAMESPACE=... -DFILES=... -DOUT=... -P this
set(code "#include \"${HEADER}\"\n\nnamespace ${NAMESPACE} {\n")
string(REPLACE "|" ";" FILES "${FILES}")
foreach(pair IN LISTS FILES)
  string(REGEX MATCH "(.*)=(.*)" _ ${pair})
  set(name ${CMAKE_MATCH_1})
  file(READ "${CMAKE_MATCH_2}" text)
  string(LENGTH "${text}" length)
  string(APPEND code "\nconst std::string_view ${name} =")
  foreach(start RANGE 0 ${length} 8000)
    string(SUBSTRING "${text}" ${start} 8000 chunk)
    string(APPEND code "\nR\"~~~(${chunk})~~~\"")
  endforeach()
  string(APPEND code ";\n")
endforeach()
file(WRITE "${OUT}" "${code}\n}  // namespace ${NAMESPACE}\n")
