weir_fuzzer(store SOURCES fuzz/fuzz_store.c USES weir_store)
if(WEIR_FUZZ)
  target_include_directories(fuzz_store PRIVATE ${PROJECT_SOURCE_DIR}/coordinator/shell)
endif()
