# The configuration file's reader, also used by `weir check`, and the daemon.
weir_shell_library(weir_conf
  SOURCES shell/conf.c shell/conf_keys.c shell/conf_read.c shell/conf_value.c
  INCLUDE ${CMAKE_CURRENT_SOURCE_DIR}/shell/include ${CMAKE_CURRENT_SOURCE_DIR}/state/include
  USES weir_core weir_proto PkgConfig::YAML)
