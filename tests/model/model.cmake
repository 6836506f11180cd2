# Random operations against naive references that are obviously correct, and against adversaries.
# The judge is the simulated provider's own.
weir_test(model.ledger LABEL unit COST 20 SOURCES model/model_ledger.c upstream/limits.c USES weir_ledger)
weir_test(model.exact LABEL unit SOURCES model/model_exact.c USES weir_ledger)
weir_test(model.full LABEL unit SOURCES model/model_full.c USES weir_ledger)
weir_test(model.absence LABEL unit SOURCES model/model_absence.c USES weir_coord)
