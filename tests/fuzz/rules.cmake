weir_fuzzer(classify SOURCES fuzz/fuzz_classify.c USES weir_rules)
weir_fuzzer(usage SOURCES fuzz/fuzz_usage.c USES weir_rules)
weir_fuzzer(price SOURCES fuzz/fuzz_price.c USES weir_rules)
weir_fuzzer(names SOURCES fuzz/fuzz_names.c USES weir_rules)
