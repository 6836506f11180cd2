# What reads bytes of strangers in the two lowest layers.
weir_fuzzer(codec SOURCES fuzz/fuzz_codec.c USES weir_proto)
weir_fuzzer(json SOURCES fuzz/fuzz_json.c USES weir_core)
