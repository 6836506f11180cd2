include(fuzz/http.cmake OPTIONAL)
include(fuzz/wire.cmake OPTIONAL)
include(fuzz/conf.cmake OPTIONAL)
include(fuzz/batch.cmake OPTIONAL)
