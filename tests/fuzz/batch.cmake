weir_fuzzer(batch SOURCES fuzz/fuzz_batch.c USES weir_cli_parts)
