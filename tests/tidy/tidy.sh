#!/usr/bin/env bash
# usage: tidy.sh DIRECTORY
#
# The rules of style that a machine can check, over all sources below DIRECTORY. Prints each finding
# as file:line: reason and exits with 1 if there was any.
set -euo pipefail
export LC_ALL=C
cd "$1"

readonly max_lines=500
readonly directories=(reactor net apps tests bench)
findings=0

report() {
  printf '%s\n' "$1"
  findings=$((findings + 1))
}

# ban REASON PATTERN FILE...: no line of the files matches the extended regular expression.
ban() {
  local reason=$1 pattern=$2 hit
  shift 2
  (($#)) || return 0
  while IFS= read -r hit; do
    report "$(cut -d: -f1,2 <<<"$hit"): $reason"
  done < <(grep -HnE -e "$pattern" -- "$@" || true)
}

# matching PATTERN: the sources whose path matches.
matching() {
  printf "%s\n" "${sources[@]}" | grep -E -e "$1" || true
}

mapfile -t sources < <(find "${directories[@]}" -type f \( -name '*.cc' -o -name '*.h' \) | sort)
mapfile -t build_files < <(find . -path ./build -prune -o -path ./.git -prune -o -type f \
  \( -name CMakeLists.txt -o -name '*.cmake' -o -name '*.in' -o -name '*.sh' -o -name dev \) \
  -not -name tidy.sh -print | sort)
if ((${#sources[@]} == 0)); then
  echo "tidy.sh: no sources below $1" >&2
  exit 1
fi

mapfile -t headers < <(matching '\.h$')
mapfile -t library < <(matching '^(reactor|net)/')
mapfile -t reactor < <(matching '^reactor/')
mapfile -t net < <(matching '^net/')
mapfile -t shipped < <(matching '^(reactor|net|apps)/')

# Layers: apps -> net -> reactor, and nothing that is shipped knows the tests.
ban 'reactor/ includes a layer above it' '^ *# *include *["<](net|apps|tests|bench)/' "${reactor[@]}"
ban 'net/ includes a layer above it' '^ *# *include *["<](apps|tests|bench)/' "${net[@]}"
ban 'apps/ includes tests or benchmarks' '^ *# *include *["<](tests|bench)/' "${shipped[@]}"

# What an installed header may not ask of its reader. The lists in CMakeLists.txt say what is
# installed.
for file in "${headers[@]}"; do
  directory=${file%%/*}
  [[ $file != net/files/* ]] || directory=net/files  # a component of its own
  if grep -qE '^ *# *include *["<](liburing\.h|llhttp\.h|sodium|isa-l)' "$file" &&
    grep -qE "^ *${file#"$directory"/}\)?$" "$directory/CMakeLists.txt"; then
    report "$file: an installed header includes what its users need not have"
  fi
done

# Words.
ban 'unfinished work does not stay in comments' '\<(TODO|FIXME|XXX)\>' \
  "${sources[@]}" "${build_files[@]}"
ban 'a library does not write to the standard streams' '\<std::(cout|cerr|clog)\>|\<(v?printf|puts) *\(' \
  "${library[@]}"
ban 'using namespace in a header' '^ *using +namespace\>' "${headers[@]}"
ban 'one owner: no shared_ptr in reactor/' '\<shared_ptr\>' "${reactor[@]}"

# White space and width; tests may hold longer lines of data.
ban 'tab' $'\t' "${sources[@]}"
ban 'white space at the end of the line' '[ '$'\t'']+$' "${sources[@]}" "${build_files[@]}"
ban 'more than 100 columns' '^.{101,}$' "${shipped[@]}"

for file in "${sources[@]}"; do
  [[ -z $(tail -c 1 "$file") ]] || report "$file: no newline at the end of the file"
done

for file in "${shipped[@]}"; do
  lines=$(wc -l <"$file")
  if ((lines > max_lines)); then
    report "$file: $lines lines, more than $max_lines: which second idea is in it?"
  fi
done

for file in "${headers[@]}"; do
  guard=QUINTET_$(tr 'a-z/.-' 'A-Z___' <<<"$file")_
  if ! grep -qx "#ifndef $guard" "$file" || ! grep -qx "#define $guard" "$file"; then
    report "$file: the include guard is not $guard"
  fi
done

# A class is declared and defined under one name, so its header comes first in its source: that
# proves the header stands alone.
for file in "${sources[@]}"; do
  header=${file%.cc}.h
  if [[ $file == *.cc && -f $header ]]; then
    first=$(grep -m 1 -E '^ *# *include' "$file" || true)
    [[ $first == "#include \"$header\"" ]] || report "$file: the first include is not \"$header\""
  fi
done

# Other versions of clang-format disagree in details; the comparison is fair with one only.
for formatter in clang-format-14 clang-format; do
  if command -v "$formatter" >/dev/null && "$formatter" --version | grep -q 'version 14\.'; then
    if ! "$formatter" --dry-run --Werror --ferror-limit=1 "${sources[@]}"; then
      report 'clang-format would change these files; ./dev format does it'
    fi
    break
  fi
done

if ((findings)); then
  echo "tidy.sh: $findings findings in ${#sources[@]} files"
  exit 1
fi
echo "tidy.sh: ${#sources[@]} files, nothing to report"
