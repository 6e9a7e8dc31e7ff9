#!/usr/bin/env bash
# usage: run.sh STEP SOURCE_DIR BINARY_DIR WORK_DIR
#
# Installs the build in BINARY_DIR below WORK_DIR (step install), or builds and runs the consumer
# below WORK_DIR against that installation (find_package, pkg_config) or against the sources
# (add_subdirectory). CXX is the compiler.
set -euo pipefail

step=$1
source_dir=$2
binary_dir=$3
work_dir=$4

prefix=$work_dir/prefix
consumer=$source_dir/tests/consumer
build=$work_dir/$step
rm -rf "$build"
mkdir -p "$build"

# configure_build_run CMAKE_ARGUMENT...: always as Debug, which must get along with a Release library.
configure_build_run() {
  cmake -G Ninja -S "$consumer" -B "$build" -DCMAKE_BUILD_TYPE=Debug "$@"
  cmake --build "$build"
  run
}

# compile SOURCE MODULE PROGRAM: with what pkg-config says. A prefix of its own is in no path the dynamic
# linker searches.
compile() {
  local flags
  read -ra flags < <(pkg-config --cflags --libs --static "$2")
  "${CXX:-c++}" -std=c++20 "$consumer/$1" -o "$build/$3" "${flags[@]}" \
    -Wl,-rpath,"$(pkg-config --variable=libdir "$2")"
}

# Those that were built.
run() {
  "$build/consumer"
  [[ ! -e $build/consumer_files ]] || "$build/consumer_files"
}

case $step in
  install)
    rm -rf "$prefix"
    cmake --install "$binary_dir" --prefix "$prefix"
    ;;
  find_package)
    configure_build_run -DCMAKE_PREFIX_PATH="$prefix"
    ;;
  pkg_config)
    pc_dir=$(dirname "$(find "$prefix" -name quintet.pc)")
    export PKG_CONFIG_PATH=$pc_dir
    compile main.cc quintet consumer
    # A build without the files protocol installs no module for it.
    [[ ! -e $pc_dir/quintet-files.pc ]] || compile files.cc quintet-files consumer_files
    run
    ;;
  add_subdirectory)
    # And without what can be left out, which nothing else builds.
    configure_build_run -DQUINTET_SOURCE_DIR="$source_dir" -DQUINTET_WITH_IO_URING=OFF \
      -DQUINTET_BUILD_FILES=OFF
    ;;
  *)
    echo "run.sh: unknown step $step" >&2
    exit 2
    ;;
esac
