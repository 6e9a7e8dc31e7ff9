# The libraries with their public headers, the CMake package, found with find_package(quintet), the
# pkg-config files, and examples of running a server.

include(CMakePackageConfigHelpers)

set(quintet_package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/quintet)

get_property(quintet_libraries GLOBAL PROPERTY QUINTET_LIBRARIES)
install(TARGETS ${quintet_libraries}
  EXPORT quintetTargets
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
  FILE_SET HEADERS DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/quintet)
install(EXPORT quintetTargets NAMESPACE quintet:: DESTINATION ${quintet_package_dir})

set(quintet_needs_liburing OFF)
set(quintet_needs_isal_and_sodium OFF)
set(quintet_needs_llhttp OFF)
if(NOT BUILD_SHARED_LIBS)
  if(QUINTET_WITH_IO_URING)
    set(quintet_needs_liburing ON)
  endif()
  if(QUINTET_BUILD_FILES)
    set(quintet_needs_isal_and_sodium ON)
  endif()
  if(Llhttp_PACKAGE_TARGET)
    set(quintet_needs_llhttp ON)
  endif()
endif()
configure_package_config_file(
  ${PROJECT_SOURCE_DIR}/packaging/quintetConfig.cmake.in
  ${PROJECT_BINARY_DIR}/packaging/quintetConfig.cmake
  INSTALL_DESTINATION ${quintet_package_dir}
  NO_SET_AND_CHECK_MACRO)
# Before 1.0 a minor version may change the interface.
write_basic_package_version_file(
  ${PROJECT_BINARY_DIR}/packaging/quintetConfigVersion.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES
  ${PROJECT_BINARY_DIR}/packaging/quintetConfig.cmake
  ${PROJECT_BINARY_DIR}/packaging/quintetConfigVersion.cmake
  ${PROJECT_SOURCE_DIR}/cmake/FindIsal.cmake
  ${PROJECT_SOURCE_DIR}/cmake/FindLiburing.cmake
  ${PROJECT_SOURCE_DIR}/cmake/FindSodium.cmake
  DESTINATION ${quintet_package_dir})

# The prefix stands relative to the .pc file, so that an installed tree can be moved and
# cmake --install --prefix works.
file(RELATIVE_PATH quintet_pc_prefix
  ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_PREFIX})
string(REGEX REPLACE "/$" "" quintet_pc_prefix "${quintet_pc_prefix}")

# What the libraries need below them and their headers do not: at every link where they are static,
# and on demand (pkg-config --static) where they are shared.
set(quintet_pc_below absl_flat_hash_map)
if(QUINTET_WITH_IO_URING)
  string(APPEND quintet_pc_below " liburing")
endif()
set(quintet_pc_requires
  "absl_any_invocable absl_span absl_status absl_statusor absl_strings")
set(quintet_pc_llhttp "")
if(Llhttp_PACKAGE_TARGET)
  set(quintet_pc_llhttp " -lllhttp")
endif()
if(BUILD_SHARED_LIBS)
  set(quintet_pc_requires_private ${quintet_pc_below})
  set(quintet_pc_net_libs "")
  set(quintet_pc_net_libs_private "${quintet_pc_llhttp}")
  set(quintet_pc_files_requires "")
  set(quintet_pc_files_requires_private " libisal libsodium")
else()
  string(APPEND quintet_pc_requires " ${quintet_pc_below}")
  set(quintet_pc_requires_private "")
  set(quintet_pc_net_libs "${quintet_pc_llhttp}")
  set(quintet_pc_net_libs_private "")
  set(quintet_pc_files_requires ", libisal, libsodium")
  set(quintet_pc_files_requires_private "")
endif()

set(quintet_pc_modules quintet-reactor quintet-sim quintet)
if(QUINTET_BUILD_FILES)
  list(APPEND quintet_pc_modules quintet-files)
endif()
foreach(module IN LISTS quintet_pc_modules)
  configure_file(
    ${PROJECT_SOURCE_DIR}/packaging/${module}.pc.in
    ${PROJECT_BINARY_DIR}/packaging/${module}.pc
    @ONLY)
  install(FILES ${PROJECT_BINARY_DIR}/packaging/${module}.pc
    DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
endforeach()

# Under doc/, not where systemd would find the units: they name a program that is not installed from
# here.
install(FILES
  ${PROJECT_SOURCE_DIR}/packaging/haproxy.cfg
  ${PROJECT_SOURCE_DIR}/packaging/kubernetes.yaml
  ${PROJECT_SOURCE_DIR}/packaging/quintet-hello.service
  ${PROJECT_SOURCE_DIR}/packaging/quintet-hello.socket
  DESTINATION ${CMAKE_INSTALL_DOCDIR}/examples)
