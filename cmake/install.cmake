# cmake --install: a tree that can be moved and runs on its own. oneDNN, protobuf-lite, RE2 and the
# decoders of JPEG and PNG lie beside the library, which finds them by $ORIGIN; in a wheel libgomp too.
include(CMakePackageConfigHelpers)
set(config_dir ${CMAKE_INSTALL_LIBDIR}/cmake/treadle)

install(TARGETS treadle EXPORT treadle-targets RUNTIME_DEPENDENCY_SET treadle_needs
        LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
if(TARGET treadle_tool)
  install(TARGETS treadle_tool RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()
install(DIRECTORY include/treadle DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
        FILES_MATCHING PATTERN *.h PATTERN *.hpp)

set(bundled "^libdnnl[.]so" "^libprotobuf-lite[.]so" "^libre2[.]so"
            "^libturbojpeg[.]so" "^libpng16[.]so")
if(SKBUILD)
  list(APPEND bundled "^libgomp[.]so")
endif()
install(RUNTIME_DEPENDENCY_SET treadle_needs
        PRE_INCLUDE_REGEXES ${bundled}
        PRE_EXCLUDE_REGEXES .*
        DESTINATION ${CMAKE_INSTALL_LIBDIR})

install(EXPORT treadle-targets NAMESPACE treadle:: DESTINATION ${config_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/treadle-config-version.cmake
                                 COMPATIBILITY SameMinorVersion)
install(FILES cmake/treadle-config.cmake ${PROJECT_BINARY_DIR}/treadle-config-version.cmake
        DESTINATION ${config_dir})

cmake_path(SET pkgconfig_dir ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
file(RELATIVE_PATH up /${pkgconfig_dir} /)
configure_file(cmake/treadle.pc.in treadle.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/treadle.pc DESTINATION ${pkgconfig_dir})
