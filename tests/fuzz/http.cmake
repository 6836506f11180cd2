weir_fuzzer(http SOURCES fuzz/fuzz_http.c USES weir_http)
