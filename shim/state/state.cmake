# The prices that are built in.
set(table ${PROJECT_SOURCE_DIR}/data/models.json)
add_custom_command(OUTPUT ${PROJECT_BINARY_DIR}/price_table.c
  COMMAND ${CMAKE_COMMAND} -DIN=${table} -DOUT=${PROJECT_BINARY_DIR}/price_table.c
          -DHEADER=weir/price.h -DNAME=weir_price_table -P ${PROJECT_SOURCE_DIR}/cmake/WeirEmbed.cmake
  DEPENDS ${table} ${PROJECT_SOURCE_DIR}/cmake/WeirEmbed.cmake VERBATIM)

# What providers say and cost, as pure functions. Paths are relative to shim/.
weir_pure_library(weir_rules
  SOURCES state/text.c state/stream.c state/facts.c state/classify.c state/rules.c state/provider.c
          state/gemini.c state/openai.c state/anthropic.c state/compatible.c
          state/headroom.c state/usage.c state/estimate.c state/weights.c state/estimate_body.c state/media.c
          state/ratio.c state/took.c state/request.c state/retry.c state/civil.c state/price.c state/scrub.c state/calllog.c
          state/keyring.c ${PROJECT_BINARY_DIR}/price_table.c
  INCLUDE ${CMAKE_CURRENT_SOURCE_DIR}/state/include
  USES weir_core)

# Answers to fall back on.
weir_pure_library(weir_cache
  SOURCES state/cache.c
  INCLUDE ${CMAKE_CURRENT_SOURCE_DIR}/state/include
  USES weir_core)

include(state/client.cmake OPTIONAL)
