# weir-proxy, the sidecar: what decides without I/O as one library, so that tests can link it.
# Paths are relative to shim/.
weir_pure_library(weir_proxy_rules
  SOURCES proxy/put.c proxy/paths.c proxy/splice.c proxy/filter.c proxy/manners.c proxy/relay.c proxy/upload.c
          proxy/settled.c
  INCLUDE ${CMAKE_CURRENT_SOURCE_DIR}/proxy
  USES weir_rules weir_proto)
target_include_directories(weir_proxy_rules PUBLIC ${CMAKE_CURRENT_SOURCE_DIR}/include)

# Its settings, and the keys that they name: not pure, for these are files.
weir_shell_library(weir_proxy_config
  SOURCES proxy/config.c proxy/config_file.c proxy/keyfile.c shell/keyset.c shell/file.c
  INCLUDE ${CMAKE_CURRENT_SOURCE_DIR}/proxy ${CMAKE_CURRENT_SOURCE_DIR}/include
  USES weir_proxy_rules weir_conf_yaml weir_rules weir_core)
target_include_directories(weir_proxy_config PRIVATE ${CMAKE_CURRENT_SOURCE_DIR}/shell)

weir_program(weir-proxy
  SOURCES proxy/main.c proxy/proxy.c proxy/call.c proxy/call_send.c
          proxy/call_answer.c proxy/call_log.c proxy/fetch.c shell/curl_common.c shell/pricefile.c
  USES weir_proxy_config weir_proxy_rules weir_http_server weir weir_rules weir_core PkgConfig::CURL PkgConfig::UV
       Threads::Threads)
target_include_directories(weir-proxy PRIVATE ${CMAKE_CURRENT_SOURCE_DIR}/shell)
install(TARGETS weir-proxy RUNTIME DESTINATION ${CMAKE_INSTALL_SBINDIR} COMPONENT proxy)
