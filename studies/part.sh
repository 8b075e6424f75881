# For the scripts of studies/: `part NAME ARGUMENTS` makes the comparison $out/NAME, or what an interrupted one still lacks.
# PARTS names the parts to make (all if empty), SEEDS and THREADS are those of every comparison.
part() {
  local name=$1
  shift
  [[ -z ${PARTS:-} || " $PARTS " == *" $name "* ]] || return 0
  if [[ -e $out/$name/compare.json ]]; then
    build/altprop resume "$out/$name"
  else
    build/altprop compare --seeds "${SEEDS:-1,2,3}" --threads "${THREADS:-1}" --out "$out/$name" "$@"
  fi
}
