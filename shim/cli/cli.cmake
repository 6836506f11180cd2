# What needs neither a coordinator nor a provider, so that tests can link it.
weir_shell_library(weir_cli_parts
  SOURCES cli/options.c cli/jsonout.c cli/batch_file.c cli/batch_index.c cli/batch_line.c
          cli/batch_output.c
  INCLUDE ${CMAKE_CURRENT_SOURCE_DIR}/cli
  USES weir_core)

# The program `weir`; the target has another name because the library owns `weir`.
weir_program(weir_cli
  SOURCES cli/main.c cli/view.c cli/stats.c cli/explain.c cli/top.c cli/breaker.c cli/check.c cli/classify.c cli/estimate.c cli/batch.c
          cli/batch_options.c cli/batch_progress.c cli/batch_target.c cli/batch_work.c cli/simulate.c
          cli/keys.c cli/keys_list.c cli/prices.c cli/store.c shell/pricefile.c shell/file.c
  USES weir_cli_parts weir_sim weir weir_rules weir_store weir_conf weir_stats weir_proto weir_core PkgConfig::ZMQ
       Threads::Threads)
target_include_directories(weir_cli PRIVATE ${CMAKE_CURRENT_SOURCE_DIR}/shell) # pricefile.h, file.h
set_target_properties(weir_cli PROPERTIES OUTPUT_NAME weir)
install(TARGETS weir_cli RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT cli)
