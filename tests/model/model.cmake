# Random operations against naive references that are obviously correct.
weir_test(model.exact LABEL unit SOURCES model/model_exact.c USES weir_ledger)
