# quintet_library(<component>) makes quintet_<component>, known as quintet::<component> here and
# after installation. Its sources and public headers follow in target_sources.

function(quintet_library component)
  set(target quintet_${component})
  add_library(${target})
  add_library(quintet::${component} ALIAS ${target})
  target_compile_features(${target} PUBLIC cxx_std_20)
  set_target_properties(${target} PROPERTIES
    EXPORT_NAME ${component}
    VERSION ${PROJECT_VERSION}
    SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})
  set_property(GLOBAL APPEND PROPERTY QUINTET_LIBRARIES ${target})
endfunction()
