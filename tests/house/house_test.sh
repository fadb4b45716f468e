#!/usr/bin/env bash
# house_test: the rules of the house that no compiler checks.
#
#   house_test.sh includes          folders include only what the arrows allow: tools → stages → {graph, model, pong}
#   house_test.sh first_lines       every file begins with its own name and what it does
#   house_test.sh machine_paths     no file mentions a folder of somebody's machine
#   house_test.sh sealed LIBRARY    what is compiled for AVX2 gives the linker no function that others have too
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
failed=0
fail() { echo "$*"; failed=1; }

# arrow FOLDER OWN OTHERS [APART]: what files in FOLDER may include in quotes, and what they may never include in
# brackets; a folder APART in it has an arrow of its own.
arrow() {
  local found apart=${4:+--exclude-dir=$4}
  found=$(grep -rnE '^ *# *include +"' "$1" $apart --include='*.h' --include='*.cpp' | grep -vE "include +\"($2)/") || true
  [ -z "$found" ] || fail "$1/ may include only \"$2/...\":"$'\n'"$found"
  found=$(grep -rnE "^ *# *include +<($3)" "$1" $apart --include='*.h' --include='*.cpp') || true
  [ -z "$found" ] || fail "$1/ may not include <$3>:"$'\n'"$found"
}

includes() {
  local torch='torch/|ATen/|c10/|caffe2/' frames='opencv|cv\.' wire='zmq|msgpack' line='CLI/|nlohmann/'
  arrow graph 'graph' "$torch|$frames|$wire|$line"
  arrow stages/model 'stages/model' "$frames|$wire|CLI/|tbb/|oneapi/|yaml-cpp/" kernels
  arrow stages/model/kernels 'stages/model/kernels' "$torch|$frames|$wire|$line|tbb/flow_graph|oneapi/|yaml-cpp/|spdlog/"
  arrow stages/pong 'stages/pong' "$torch|$frames|$wire|$line|tbb/|oneapi/|yaml-cpp/|spdlog/"
  arrow stages 'graph|stages' 'CLI/'
  arrow tools 'graph|stages|tools' 'tbb/flow_graph|oneapi/tbb/flow_graph'
  arrow tests/graph 'graph|tests' "$torch|$frames|$wire"
}

files() { find . \( -path ./.git -o -path ./build -o -path ./experiments -o -path ./tests/graph/broken \) -prune -o -type f "$@" -print; }

first_lines() {
  local file name line
  while read -r file; do
    name=$(basename "$file")
    name=${name%.*}
    line=$(head -n 1 "$file")
    [[ $line != '#!'* ]] || line=$(sed -n 2p "$file")
    line=${line##'// '}
    line=${line##'# '}
    [[ $line == "$name: "?* ]] || fail "$file: the first line should read '$name: what it does.'"
  done < <(files \( -name '*.h' -o -name '*.cpp' -o -name '*.yaml' -o -name '*.sh' -o -name '*.py' -o -perm -u+x \))
}

machine_paths() {
  local found
  found=$(files | xargs -d '\n' grep -nIE '(^|[^[:alnum:]_.}/-])/(work|root|home)/') || true
  [ -z "$found" ] || fail "paths that exist on one machine only:"$'\n'"$found"
}

# See stages/model/kernels/vector.h. W is a function of which the linker keeps any one copy.
sealed() {
  local symbols found
  symbols=$(nm -AC "$1")
  found=$(grep -vE ':(parallel|scratch)\.cpp\.o:' <<<"$symbols" | grep -E ' W .*\b(std|tbb)::') || true
  [ -z "$found" ] || fail "kernels may call no inline function or template of others:"$'\n'"$found"
}

case ${1:-} in
  includes | first_lines | machine_paths) "$1" ;;
  sealed) sealed "${2:?of which library}" ;;
  *) echo "house_test.sh includes | first_lines | machine_paths | sealed LIBRARY" >&2; exit 2 ;;
esac
exit "$failed"
