# Debian packages, one for each component: `cmake --preset packages && cmake --build build/packages`,
# then `cpack --config build/packages/CPackConfig.cmake`. `./dev packages` does it and tries them.

# ---- what only a packaged system has ----
install(FILES docs/examples/weir-coordinator.service DESTINATION lib/systemd/system COMPONENT daemon)
install(FILES docs/examples/weir-proxy.service DESTINATION lib/systemd/system COMPONENT proxy)
install(FILES cmake/packages/weir.yaml DESTINATION /etc/weir COMPONENT daemon)
install(FILES cmake/packages/proxy.env DESTINATION /etc/weir COMPONENT proxy
        PERMISSIONS OWNER_READ OWNER_WRITE) # keys of providers stand there
find_program(WEIR_GZIP gzip REQUIRED)
# Without it CPack warns, and makes packages that depend on nothing.
find_program(WEIR_SHLIBDEPS dpkg-shlibdeps REQUIRED)
mark_as_advanced(WEIR_GZIP WEIR_SHLIBDEPS)
file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/packages)
execute_process(COMMAND ${WEIR_GZIP} -9nc ${PROJECT_SOURCE_DIR}/CHANGELOG.md
                OUTPUT_FILE ${CMAKE_BINARY_DIR}/packages/changelog.gz COMMAND_ERROR_IS_FATAL ANY)
foreach(pair library=libweir0 development=libweir-dev cli=weir daemon=weir-coordinator
        proxy=weir-proxy)
  string(REPLACE "=" ";" pair ${pair})
  list(GET pair 0 component)
  list(GET pair 1 package)
  string(TOUPPER ${component} upper)
  set(CPACK_DEBIAN_${upper}_FILE_NAME DEB-DEFAULT)
  install(FILES ${CMAKE_BINARY_DIR}/packages/changelog.gz
          DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/${package} COMPONENT ${component})
endforeach()

# ---- all of them ----
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME weir)
set(CPACK_PACKAGE_CONTACT "weir <weir@localhost>")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_COMPONENTS_ALL library development cli daemon proxy)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_COMPONENTS_GROUPING ONE_PER_GROUP)
set(CPACK_STRIP_FILES ON)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
    OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS_PRIVATE_DIRS ${CMAKE_BINARY_DIR}/shim ${CMAKE_BINARY_DIR})
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(same "(= ${PROJECT_VERSION})")

# ---- each ----
set(scripts ${CMAKE_CURRENT_LIST_DIR}/packages)
# The first line of a description is its summary; the rest is the text below it.
set(about "Services that call providers of language models run as many instances
and share one quota. weir gives the quota one owner: a coordinator, from
which instances take leases.")

set(CPACK_DEBIAN_LIBRARY_PACKAGE_NAME libweir0)
set(CPACK_DEBIAN_LIBRARY_PACKAGE_SECTION libs)
set(CPACK_DEBIAN_LIBRARY_PACKAGE_CONTROL_EXTRA ${scripts}/library/shlibs ${scripts}/library/triggers)
set(CPACK_COMPONENT_LIBRARY_DESCRIPTION "takes leases of a shared LLM quota, shared library
${about}")

set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_NAME libweir-dev)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_DEPENDS "libweir0 ${same}")
set(CPACK_COMPONENT_DEVELOPMENT_DESCRIPTION "takes leases of a shared LLM quota, header and CMake files
${about}")

set(CPACK_DEBIAN_CLI_PACKAGE_NAME weir)
set(CPACK_DEBIAN_CLI_PACKAGE_SECTION net)
set(CPACK_DEBIAN_CLI_PACKAGE_DEPENDS "libweir0 ${same}")
set(CPACK_COMPONENT_CLI_DESCRIPTION "looks at a shared LLM quota and works within it
${about}")

set(CPACK_DEBIAN_DAEMON_PACKAGE_NAME weir-coordinator)
set(CPACK_DEBIAN_DAEMON_PACKAGE_SECTION net)
set(CPACK_DEBIAN_DAEMON_PACKAGE_DEPENDS "adduser, init-system-helpers (>= 1.51), procps, tzdata")
set(CPACK_DEBIAN_DAEMON_PACKAGE_SUGGESTS weir)
set(CPACK_DEBIAN_DAEMON_PACKAGE_CONTROL_EXTRA
    ${scripts}/coordinator/postinst ${scripts}/coordinator/prerm ${scripts}/coordinator/postrm
    ${scripts}/coordinator/conffiles)
set(CPACK_COMPONENT_DAEMON_DESCRIPTION "owns a shared LLM quota and leases it to instances
${about}")

set(CPACK_DEBIAN_PROXY_PACKAGE_NAME weir-proxy)
set(CPACK_DEBIAN_PROXY_PACKAGE_SECTION net)
set(CPACK_DEBIAN_PROXY_PACKAGE_DEPENDS
    "libweir0 ${same}, adduser, init-system-helpers (>= 1.51), ca-certificates")
set(CPACK_DEBIAN_PROXY_PACKAGE_SUGGESTS "weir-coordinator, weir")
set(CPACK_DEBIAN_PROXY_PACKAGE_CONTROL_EXTRA
    ${scripts}/proxy/postinst ${scripts}/proxy/prerm ${scripts}/proxy/postrm
    ${scripts}/proxy/conffiles)
set(CPACK_COMPONENT_PROXY_DESCRIPTION "keeps any SDK of an LLM provider within a shared quota
${about}")

include(CPack)
