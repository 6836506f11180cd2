# The simulated provider. It judges weir, so it uses nothing of weir's books: only its HTTP server,
# JSON scanner and random numbers.
weir_shell_library(weir_upstream
  SOURCES upstream/limits.c upstream/text.c upstream/request.c upstream/buffer.c upstream/script.c
          upstream/book.c upstream/gemini.c upstream/openai.c upstream/anthropic.c upstream/serve.c
          upstream/admin.c
  INCLUDE ${CMAKE_CURRENT_SOURCE_DIR}/upstream
  USES weir_http_server weir_core m)
weir_program(weir-upstream SOURCES upstream/main.c USES weir_upstream)
