weir_fuzzer(conf SOURCES fuzz/fuzz_conf.c USES weir_conf)
weir_fuzzer(peers SOURCES fuzz/fuzz_peers.c USES weir_conf)
