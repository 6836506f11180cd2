# One instance's side of the conversation with the coordinator.
weir_pure_library(weir_client
  SOURCES state/client.c state/client_call.c state/client_send.c state/wallet.c state/island.c
  INCLUDE ${CMAKE_CURRENT_SOURCE_DIR}/state/include
  USES weir_proto)
