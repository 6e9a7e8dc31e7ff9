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
  "$build/consumer"
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
    read -ra flags < <(pkg-config --cflags --libs --static quintet)
    # A prefix of its own is in no path the dynamic linker searches.
    "${CXX:-c++}" -std=c++20 "$consumer/main.cc" -o "$build/consumer" "${flags[@]}" \
      -Wl,-rpath,"$(pkg-config --variable=libdir quintet)"
    "$build/consumer"
    ;;
  add_subdirectory)
    # And without io_uring, which nothing else builds.
    configure_build_run -DQUINTET_SOURCE_DIR="$source_dir" -DQUINTET_WITH_IO_URING=OFF
    ;;
  *)
    echo "run.sh: unknown step $step" >&2
    exit 2
    ;;
esac
