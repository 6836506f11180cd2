# The dashboard in a browser.
add_test(NAME page.dashboard
  COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/page/page.sh ${CMAKE_BINARY_DIR}/bin ${CMAKE_BINARY_DIR}/page)
set_tests_properties(page.dashboard PROPERTIES LABELS e2e TIMEOUT 180 SKIP_RETURN_CODE 77)
