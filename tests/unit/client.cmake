# The client's pure machine, in virtual time.
weir_test(unit.client LABEL unit SOURCES unit/test_client.c USES weir_client)
weir_test(unit.wallet LABEL unit SOURCES unit/test_wallet.c USES weir_client)
weir_test(unit.wallet_load LABEL unit SOURCES unit/test_wallet_load.c USES weir_client)
weir_test(unit.island LABEL unit SOURCES unit/test_island.c USES weir_client)
