include(fuzz/http.cmake OPTIONAL)
