# libweir: the only installed library. Everything weir-internal is linked in statically and hidden.
# Tests link the objects, too, to reach what is hidden.
add_library(weir_shim OBJECT
  shell/weir.c shell/identity.c shell/lease.c shell/worker.c shell/provider.c shell/keys.c
  shell/keyset.c shell/file.c shell/pricefile.c shell/account.c shell/call.c shell/memory.c shell/degrade.c shell/outgoing.c shell/upstream.c
  shell/curl_common.c shell/text.c)
target_include_directories(weir_shim PUBLIC
  ${CMAKE_CURRENT_SOURCE_DIR}/include ${CMAKE_CURRENT_SOURCE_DIR}/shell)
target_link_libraries(weir_shim PUBLIC
  weir_client weir_rules weir_cache PkgConfig::ZMQ PkgConfig::CURL Threads::Threads PRIVATE weir_flags)

add_library(weir SHARED $<TARGET_OBJECTS:weir_shim>)
add_library(weir::weir ALIAS weir)
target_include_directories(weir
  PUBLIC $<BUILD_INTERFACE:${CMAKE_CURRENT_SOURCE_DIR}/include>
         $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
target_link_libraries(weir PRIVATE
  $<BUILD_INTERFACE:weir_client> $<BUILD_INTERFACE:weir_rules>
  $<BUILD_INTERFACE:weir_cache> $<BUILD_INTERFACE:weir_flags>
  PkgConfig::ZMQ PkgConfig::CURL Threads::Threads)
# nodelete: the worker's thread may outlive a host's dlclose() of a plugin that uses libweir.
target_link_options(weir PRIVATE -Wl,-z,nodelete)
# The sanitizers' functions come from the program that loads the library.
if(NOT WEIR_SANITIZE AND NOT WEIR_FUZZ)
  target_link_options(weir PRIVATE -Wl,--no-undefined)
endif()
set_target_properties(weir PROPERTIES
  VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR}
  PUBLIC_HEADER ${CMAKE_CURRENT_SOURCE_DIR}/include/weir.h)

if(WEIR_TESTS AND NOT WEIR_SANITIZE AND NOT WEIR_FUZZ AND NOT WEIR_COVERAGE)
  add_test(NAME lint.abi.weir
           COMMAND ${PROJECT_SOURCE_DIR}/.ci/check-abi $<TARGET_FILE:weir>
                   ${CMAKE_CURRENT_SOURCE_DIR}/weir.sym)
  set_tests_properties(lint.abi.weir PROPERTIES LABELS lint)
endif()
