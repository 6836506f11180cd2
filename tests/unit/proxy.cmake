# What the sidecar decides, without I/O.
weir_test(unit.proxy_paths LABEL unit SOURCES unit/test_proxy_paths.c USES weir_proxy_rules)
weir_test(unit.proxy_body LABEL unit SOURCES unit/test_proxy_body.c USES weir_proxy_rules)
weir_test(unit.proxy_manners LABEL unit SOURCES unit/test_proxy_manners.c
          USES weir_proxy_rules weir)
