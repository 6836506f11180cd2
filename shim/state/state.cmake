# What providers say and cost, as pure functions. Paths are relative to shim/.
weir_pure_library(weir_rules
  SOURCES state/text.c state/stream.c state/facts.c state/classify.c state/rules.c state/provider.c
          state/gemini.c state/openai.c state/anthropic.c state/compatible.c
          state/headroom.c state/usage.c state/estimate.c state/ratio.c state/request.c state/retry.c
  INCLUDE ${CMAKE_CURRENT_SOURCE_DIR}/state/include
  USES weir_core)

include(state/client.cmake OPTIONAL)
