weir_fuzzer(conf SOURCES fuzz/fuzz_conf.c USES weir_conf)
