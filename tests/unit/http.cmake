# The HTTP connection machine and its server.
weir_test(unit.http LABEL unit SOURCES unit/test_http.c USES weir_http)
