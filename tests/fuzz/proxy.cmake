weir_fuzzer(proxy_stream SOURCES fuzz/fuzz_proxy_stream.c USES weir_proxy_rules)
weir_fuzzer(proxy_request SOURCES fuzz/fuzz_proxy_request.c USES weir_proxy_rules)
weir_fuzzer(proxy_config SOURCES fuzz/fuzz_proxy_config.c USES weir_proxy_config)
