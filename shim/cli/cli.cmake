if(NOT TARGET weir OR NOT EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/cli/classify.c)
  return()
endif()
# The program `weir`; the target has another name because the library owns `weir`.
weir_program(weir_cli
  SOURCES cli/main.c cli/options.c cli/jsonout.c cli/view.c cli/stats.c cli/check.c cli/classify.c
          cli/estimate.c cli/batch.c cli/batch_file.c cli/batch_index.c cli/batch_line.c
          cli/batch_output.c cli/batch_progress.c cli/batch_target.c cli/batch_work.c
  USES weir weir_rules weir_conf weir_proto weir_core PkgConfig::ZMQ Threads::Threads)
set_target_properties(weir_cli PROPERTIES OUTPUT_NAME weir)
install(TARGETS weir_cli RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
