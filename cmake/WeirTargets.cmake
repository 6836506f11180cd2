# Every target is made by one of these functions, so flags, layers and purity are in one place.

add_library(weir_flags INTERFACE)
target_compile_options(weir_flags INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wcast-qual -Wstrict-prototypes
  -Wmissing-prototypes -Wundef -Wvla -Wformat=2 -Wswitch-enum
  $<$<BOOL:${WEIR_WERROR}>:-Werror>)
target_compile_definitions(weir_flags INTERFACE _POSIX_C_SOURCE=200809L WEIR_VERSION="${PROJECT_VERSION}")
if(WEIR_SANITIZE)
  target_compile_options(weir_flags INTERFACE -fsanitize=${WEIR_SANITIZE} -fno-omit-frame-pointer
                         -fno-sanitize-recover=all)
  target_link_options(weir_flags INTERFACE -fsanitize=${WEIR_SANITIZE})
endif()
if(WEIR_FUZZ)
  # Without this on the libraries too, a fuzzer is blind to the code that it feeds.
  target_compile_options(weir_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()

# Programs see through the pure layers, whose many small functions then cost no calls. Everybody
# else links the same archives as ordinary code, in no time.
set(weir_whole_compile)
set(weir_whole_link)
if(CMAKE_C_COMPILER_ID STREQUAL GNU AND NOT WEIR_SANITIZE AND NOT WEIR_FUZZ AND NOT WEIR_COVERAGE)
  set(weir_whole_compile $<$<NOT:$<CONFIG:Debug>>:-O3> $<$<NOT:$<CONFIG:Debug>>:-flto=auto>
      $<$<NOT:$<CONFIG:Debug>>:-ffat-lto-objects>)
  set(weir_whole_link $<$<NOT:$<CONFIG:Debug>>:-flto=auto>)
endif()

# weir_pure_library(NAME SOURCES ... INCLUDE dir ... USES lib ...): a layer without clock, heap or
# I/O. Its include path is its own folder and those of USES: an upward include does not compile.
function(weir_pure_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;INCLUDE;USES" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  target_include_directories(${name} PUBLIC ${ARG_INCLUDE})
  target_link_libraries(${name} PUBLIC ${ARG_USES} PRIVATE weir_flags)
  target_compile_options(${name} PRIVATE ${weir_whole_compile})
  if(WEIR_TESTS AND NOT WEIR_SANITIZE AND NOT WEIR_FUZZ AND NOT WEIR_COVERAGE)
    add_test(NAME lint.pure.${name}
             COMMAND ${PROJECT_SOURCE_DIR}/.ci/check-pure $<TARGET_FILE:${name}>)
    set_tests_properties(lint.pure.${name} PROPERTIES LABELS lint)
  endif()
endfunction()

# weir_shell_library(NAME SOURCES ... INCLUDE dir ... USES lib ...): may do I/O.
function(weir_shell_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;INCLUDE;USES" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  target_include_directories(${name} PUBLIC ${ARG_INCLUDE})
  target_link_libraries(${name} PUBLIC ${ARG_USES} PRIVATE weir_flags)
endfunction()

# weir_program(NAME SOURCES ... USES lib ...): a program in build/bin.
function(weir_program name)
  cmake_parse_arguments(ARG "" "" "SOURCES;USES" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE ${ARG_USES} weir_flags)
  target_link_options(${name} PRIVATE ${weir_whole_link})
endfunction()

# weir_test(NAME LABEL unit SOURCES ... USES lib ... [TIMEOUT s] [COST s] [ENV k=v ...]): a cmocka
# program. What costs most begins first, so that nothing long is left alone at the end.
function(weir_test name)
  cmake_parse_arguments(ARG "" "LABEL;TIMEOUT;COST" "SOURCES;USES;ENV;ARGS" ${ARGN})
  string(REPLACE "." "_" target test_${name})
  add_executable(${target} ${ARG_SOURCES})
  target_link_libraries(${target} PRIVATE ${ARG_USES} PkgConfig::CMOCKA weir_flags)
  set_target_properties(${target} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  add_test(NAME ${name} COMMAND ${target} ${ARG_ARGS})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 120)
  endif()
  if(NOT ARG_COST)
    set(ARG_COST 0)
  endif()
  set_tests_properties(${name} PROPERTIES LABELS ${ARG_LABEL} TIMEOUT ${ARG_TIMEOUT}
                       COST ${ARG_COST} ENVIRONMENT "${ARG_ENV}")
  # Whoever builds a test alone wants the programs that it runs as they are now.
  string(REGEX MATCHALL "TARGET_FILE:[^>]+" programs "${ARG_ENV}")
  foreach(program IN LISTS programs)
    string(REPLACE "TARGET_FILE:" "" program ${program})
    add_dependencies(${target} ${program})
  endforeach()
endfunction()

# weir_fuzzer(NAME SOURCES ... USES lib ...): a libFuzzer target in build/fuzz, corpus in
# tests/fuzz/corpus/NAME. Only with WEIR_FUZZ. The target `fuzzers` builds them all.
function(weir_fuzzer name)
  if(NOT WEIR_FUZZ)
    return()
  endif()
  cmake_parse_arguments(ARG "" "" "SOURCES;USES" ${ARGN})
  add_executable(fuzz_${name} ${ARG_SOURCES})
  target_link_libraries(fuzz_${name} PRIVATE ${ARG_USES} weir_flags)
  target_link_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
  set_target_properties(fuzz_${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/fuzz)
  if(NOT TARGET fuzzers)
    add_custom_target(fuzzers)
  endif()
  add_dependencies(fuzzers fuzz_${name})
endfunction()
