/* store_row.h - records as rows: plain values and a checksum over all of them.
 *
 * Pure and bounded; whatever stands in a file, decoding it touches nothing else.
 */
#ifndef WEIR_STORE_ROW_H
#define WEIR_STORE_ROW_H

#include <stddef.h>
#include <stdint.h>

#include <weir/err.h>
#include <weir/record.h>

#define WEIR_STORE_NUMBERS_SIZE (UINT64_C(8) * WEIR_RECORD_NUMBERS_MAX)

/* A row as SQLite has it: unsigned numbers are the signed ones of the same bits. */
struct weir_store_row {
  int64_t kind, item, at, check;
  const char *owner; /* |owner_size| bytes; no NUL needed */
  size_t owner_size;
  const uint8_t *numbers; /* eight bytes each, the lowest first */
  size_t numbers_size;
};

/* weir_store_checksum continues |sum| (0 at the start) over |size| bytes; two inputs of one size
 * that differ in one byte always differ in it. Finds damage, not malice. */
uint64_t weir_store_checksum(uint64_t sum, const void *bytes, size_t size);

/* weir_store_checksum_number does so over a number. */
uint64_t weir_store_checksum_number(uint64_t sum, uint64_t number);

/* weir_store_row_encode gives |record| as a row, which refers to |record| and to |bytes|
 * (WEIR_STORE_NUMBERS_SIZE, filled). */
void weir_store_row_encode(const struct weir_record *record, uint8_t *bytes,
                           struct weir_store_row *ret_row);

/* weir_store_row_decode reads |row|. WEIR_ESYNTAX, with a text of static storage in |ret_why|. */
WEIR_MUSTUSE enum weir_err weir_store_row_decode(const struct weir_store_row *row,
                                                 struct weir_record *ret_record,
                                                 const char **ret_why);

#endif
