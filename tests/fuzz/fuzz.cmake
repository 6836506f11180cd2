include(fuzz/http.cmake OPTIONAL)
include(fuzz/wire.cmake OPTIONAL)
