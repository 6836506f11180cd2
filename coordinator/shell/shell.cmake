# The configuration file's reader, also used by `weir check`.
weir_shell_library(weir_conf
  SOURCES shell/conf.c shell/conf_budgets.c shell/conf_keys.c shell/conf_limits.c
          shell/conf_pools.c shell/conf_routes.c shell/conf_show.c shell/peers.c
  INCLUDE ${CMAKE_CURRENT_SOURCE_DIR}/shell/include ${CMAKE_CURRENT_SOURCE_DIR}/state/include
  USES weir_coord weir_conf_yaml weir_core weir_proto)

# The dashboard's files, built in.
foreach(pair html=index.html css=page.css js=page.js)
  string(REPLACE "=" ";" pair ${pair})
  list(GET pair 0 name)
  list(GET pair 1 file)
  add_custom_command(OUTPUT ${CMAKE_CURRENT_BINARY_DIR}/page_${name}.c
    COMMAND ${CMAKE_COMMAND} -DIN=${CMAKE_CURRENT_SOURCE_DIR}/shell/page/${file}
            -DOUT=${CMAKE_CURRENT_BINARY_DIR}/page_${name}.c -DHEADER=page.h
            -DNAME=weir_page_${name} -P ${PROJECT_SOURCE_DIR}/cmake/WeirEmbed.cmake
    DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/shell/page/${file} ${PROJECT_SOURCE_DIR}/cmake/WeirEmbed.cmake
    VERBATIM)
  list(APPEND page_sources ${CMAKE_CURRENT_BINARY_DIR}/page_${name}.c)
endforeach()

# Where records outlive the coordinator, also used by `weir store`.
weir_shell_library(weir_store
  SOURCES shell/life.c shell/store_read.c shell/store_row.c shell/store_sqlite.c shell/store_tools.c
  INCLUDE ${CMAKE_CURRENT_SOURCE_DIR}/shell/include ${CMAKE_CURRENT_SOURCE_DIR}/state/include
  USES weir_conf_yaml weir_core weir_proto PkgConfig::SQLITE)

# The daemon but for main(), so that tests reach its parts.
weir_shell_library(weir_coordinator_shell
  SOURCES ${page_sources} shell/admin.c shell/alarm.c shell/epoch.c shell/gate.c shell/guard.c
          shell/heritage.c shell/hook.c shell/keeper.c shell/log.c shell/loop.c shell/notify.c
          shell/recorder.c shell/rows.c shell/secret.c shell/sock.c shell/tables.c shell/watch.c shell/zones.c
  INCLUDE ${CMAKE_CURRENT_SOURCE_DIR}/shell
  USES weir_store weir_conf weir_coord weir_stats weir_http_server weir_proto weir_core PkgConfig::UV
       PkgConfig::CURL PkgConfig::CRYPTO PkgConfig::CZMQ PkgConfig::ZMQ Threads::Threads)

weir_program(weir-coordinator
  SOURCES shell/main.c
  USES weir_coordinator_shell)
install(TARGETS weir-coordinator RUNTIME DESTINATION ${CMAKE_INSTALL_SBINDIR} COMPONENT daemon)
