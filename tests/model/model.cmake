# Random operations against naive references that are obviously correct.
weir_test(model.ledger LABEL unit SOURCES model/model_ledger.c USES weir_coord)
