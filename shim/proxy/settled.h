/* settled.h - what the coordinator is told about a call that was sent.
 */
#ifndef WEIR_PROXY_SETTLED_H
#define WEIR_PROXY_SETTLED_H

#include <stdbool.h>
#include <stdint.h>

#include <weir/classify.h>
#include <weir/headroom.h>
#include <weir/usage.h>

#include <weir.h>

/* weir_settled_usage fills in what the provider counts, as far as |scan| has read it; what is not
 * known counts as asked for. An answer that is not whole has cost at least the |output_tokens| of
 * its lease, for all that is known. */
void weir_settled_usage(const struct weir_usage_scan *scan, enum weir_provider_kind kind,
                        bool is_whole, uint64_t output_tokens, struct weir_settlement *s);

/* weir_settled_headroom fills in what the answer's headers said about the limits per minute. */
void weir_settled_headroom(const struct weir_headroom *headroom, struct weir_settlement *s);

/* weir_settled_verdict fills in a whole answer's |verdict|. Where a failure costs no tokens, those
 * of the lease come back. */
void weir_settled_verdict(const struct weir_verdict *verdict, struct weir_settlement *s);

#endif
