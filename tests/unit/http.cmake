# The HTTP connection machine and its server.
weir_test(unit.http LABEL unit SOURCES unit/test_http.c USES weir_http)
weir_test(shell.http_server LABEL shell SOURCES unit/test_http_server.c
          USES weir_http_server Threads::Threads)
