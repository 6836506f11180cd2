# What `cmake --install` puts where, but for the programs, which stand with their targets.
# Components: library (to run), development (to build against it), cli, daemon, proxy.
include(CMakePackageConfigHelpers)

install(TARGETS weir EXPORT weirTargets
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT library
          NAMELINK_COMPONENT development
  PUBLIC_HEADER DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT development)

# Below a prefix that the loader does not search, the program still finds its library.
if(TARGET weir_cli AND NOT CMAKE_INSTALL_PREFIX STREQUAL /usr)
  set_target_properties(weir_cli weir-proxy PROPERTIES INSTALL_RPATH "$ORIGIN/../${CMAKE_INSTALL_LIBDIR}")
endif()

set(weir_package ${CMAKE_INSTALL_LIBDIR}/cmake/weir)
install(EXPORT weirTargets NAMESPACE weir:: DESTINATION ${weir_package} COMPONENT development)
configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/weirConfig.cmake.in
  ${CMAKE_BINARY_DIR}/weirConfig.cmake INSTALL_DESTINATION ${weir_package}
  NO_SET_AND_CHECK_MACRO NO_CHECK_REQUIRED_COMPONENTS_MACRO)
# Before 1.0 each minor version may break programs built with another.
write_basic_package_version_file(${CMAKE_BINARY_DIR}/weirConfigVersion.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/weirConfig.cmake ${CMAKE_BINARY_DIR}/weirConfigVersion.cmake
  DESTINATION ${weir_package} COMPONENT development)

if(IS_ABSOLUTE "${CMAKE_INSTALL_LIBDIR}")
  set(WEIR_PC_LIBDIR "${CMAKE_INSTALL_LIBDIR}")
else()
  set(WEIR_PC_LIBDIR "\${prefix}/${CMAKE_INSTALL_LIBDIR}")
endif()
if(IS_ABSOLUTE "${CMAKE_INSTALL_INCLUDEDIR}")
  set(WEIR_PC_INCLUDEDIR "${CMAKE_INSTALL_INCLUDEDIR}")
else()
  set(WEIR_PC_INCLUDEDIR "\${prefix}/${CMAKE_INSTALL_INCLUDEDIR}")
endif()
# The prefix is only known for good when it is installed: `cmake --install DIR --prefix ELSEWHERE`.
install(CODE "
  set(WEIR_PC_PREFIX \"\${CMAKE_INSTALL_PREFIX}\")
  set(WEIR_PC_LIBDIR [[${WEIR_PC_LIBDIR}]])
  set(WEIR_PC_INCLUDEDIR [[${WEIR_PC_INCLUDEDIR}]])
  set(WEIR_PC_VERSION ${PROJECT_VERSION})
  configure_file(${CMAKE_CURRENT_LIST_DIR}/libweir.pc.in ${CMAKE_BINARY_DIR}/libweir.pc @ONLY)"
  COMPONENT development)
install(FILES ${CMAKE_BINARY_DIR}/libweir.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig
  COMPONENT development)

# Manual pages, where scdoc is there to make them.
find_program(WEIR_SCDOC scdoc)
if(WEIR_SCDOC)
  set(weir_component_weir.1 cli)
  set(weir_component_weir-coordinator.8 daemon)
  set(weir_component_weir-proxy.8 proxy)
  foreach(page weir.1 weir-coordinator.8 weir-proxy.8)
    set(source ${PROJECT_SOURCE_DIR}/docs/man/${page}.scd)
    string(REGEX REPLACE ".*\\." "" section ${page})
    add_custom_command(OUTPUT ${PROJECT_BINARY_DIR}/man/${page}
      COMMAND ${CMAKE_COMMAND} -E make_directory ${PROJECT_BINARY_DIR}/man
      COMMAND sh -c "'${WEIR_SCDOC}' <'${source}' >'${PROJECT_BINARY_DIR}/man/${page}'"
      DEPENDS ${source} VERBATIM)
    list(APPEND weir_pages ${PROJECT_BINARY_DIR}/man/${page})
    # Debian's policy wants them compressed.
    set(installed ${page})
    if(WEIR_PACKAGES)
      set(installed ${page}.gz)
      add_custom_command(OUTPUT ${PROJECT_BINARY_DIR}/man/${page}.gz
        COMMAND gzip -9nkf ${PROJECT_BINARY_DIR}/man/${page}
        DEPENDS ${PROJECT_BINARY_DIR}/man/${page} VERBATIM)
      list(APPEND weir_pages ${PROJECT_BINARY_DIR}/man/${page}.gz)
    endif()
    install(FILES ${PROJECT_BINARY_DIR}/man/${installed} DESTINATION ${CMAKE_INSTALL_MANDIR}/man${section}
            COMPONENT ${weir_component_${page}})
  endforeach()
  add_custom_target(weir_man ALL DEPENDS ${weir_pages})
endif()

# What shells complete: asks the program itself, so it never differs from it.
set(weir_completions ${PROJECT_SOURCE_DIR}/cmake/completions)
install(FILES ${weir_completions}/weir.bash RENAME weir
        DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions COMPONENT cli)
install(FILES ${weir_completions}/_weir
        DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/site-functions COMPONENT cli)
install(FILES ${weir_completions}/weir.fish
        DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d COMPONENT cli)
