# The provider rules, and the command that shows them.
weir_test(unit.text LABEL unit SOURCES unit/test_text.c USES weir_rules)
weir_test(unit.stream LABEL unit SOURCES unit/test_stream.c USES weir_rules)
weir_test(unit.usage LABEL unit SOURCES unit/test_usage.c USES weir_rules)
weir_test(unit.estimate LABEL unit SOURCES unit/test_estimate.c USES weir_rules)
weir_test(unit.estimate_naive LABEL unit
  SOURCES unit/test_estimate_naive.c unit/naive_estimate.c USES weir_rules)
target_include_directories(test_unit_estimate_naive PRIVATE ${PROJECT_SOURCE_DIR}/shim/state)
target_compile_definitions(test_unit_estimate_naive PRIVATE
  WEIR_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
weir_test(unit.media LABEL unit SOURCES unit/test_media.c USES weir_rules)
weir_test(unit.request LABEL unit SOURCES unit/test_request.c USES weir_rules)
weir_test(unit.retry LABEL unit SOURCES unit/test_retry.c USES weir_rules)
weir_test(unit.provider LABEL unit SOURCES unit/test_provider.c USES weir_rules)
weir_test(unit.cache LABEL unit SOURCES unit/test_cache.c USES weir_cache)
weir_test(unit.headroom LABEL unit SOURCES unit/test_headroom.c USES weir_rules)
weir_test(unit.took LABEL unit SOURCES unit/test_took.c USES weir_rules)

# WEIR_ERROR_BODIES may name a further table of answers; a checkout with ../shared has one.
weir_test(unit.classify LABEL unit
  SOURCES unit/test_classify.c ${PROJECT_SOURCE_DIR}/shim/cli/classify.c
          ${PROJECT_SOURCE_DIR}/shim/cli/options.c
  USES weir_rules)
target_include_directories(test_unit_classify PRIVATE ${PROJECT_SOURCE_DIR}/shim/cli)
target_compile_definitions(test_unit_classify PRIVATE WEIR_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
weir_test(unit.civil LABEL unit SOURCES unit/test_civil.c USES weir_rules)
weir_test(unit.price LABEL unit SOURCES unit/test_price.c USES weir_rules)
weir_test(unit.keyring LABEL unit SOURCES unit/test_keyring.c USES weir_rules)
weir_test(unit.calllog LABEL unit SOURCES unit/test_calllog.c USES weir_rules)
