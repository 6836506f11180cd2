# The shim's pure machine, told anything in any order.
weir_fuzzer(client SOURCES fuzz/fuzz_client.c USES weir_client)
