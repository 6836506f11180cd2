#include <weir/bias.h>

#include <string.h>

/* Sums lose 1 / KEEP of themselves with each call. */
#define KEEP 200

/* Of errors longer: it takes many calls to see how far a few go. */
#define KEEP_ERRORS 1000

/* The part of all that is known that one call weighs at most; what is added to it at a time. */
#define WEIGHT_PART 64

/* Relative errors: their fractions, and the largest that is told from larger ones. */
#define PART_BITS 10
#define PART_MAX  4

/* Calls between two looks at the errors. */
#define REFRESH 8

/* Fractions of a token: sums of small calls decay exactly enough. */
#define SCALE_BITS 8

void weir_bias_init(struct weir_bias *b)
{
  memset(b, 0, sizeof(*b));
}

/* Never less than was asked for: shims learn, too, and ask for what they are nearly sure of. What
 * was too much while they learned would be too little for what they ask afterwards. */
static uint64_t corrected(const struct weir_bias_ratio *r, uint64_t asked)
{
  if (r->used <= r->asked || r->asked == 0) /* nothing was asked for: there is no ratio */
    return asked;
  return weir_wide_clamp((weir_wide_mul(asked, r->used) + r->asked - 1) / r->asked,
                         asked * WEIR_BIAS_FACTOR_MAX);
}

static void ratio_learn(struct weir_bias_ratio *r, uint64_t asked, uint64_t used)
{
  r->asked += (asked << SCALE_BITS) - r->asked / KEEP;
  r->used += (used << SCALE_BITS) - r->used / KEEP;
}

static uint32_t sigma_pm(const struct weir_bias_error *e)
{
  if (e->errors == 0)
    return 0;
  if (e->errors >= e->estimates)
    return WEIR_ERROR_MAX_PM;
  return (uint32_t)weir_wide_sqrt(weir_wide_mul(e->errors, 1000000) / e->estimates);
}

/* Only what exceeds the estimate needs room. It is half of the variance where errors go both ways
 * alike, so that it counts twice. Calls weigh by their tokens, but none weighs more than a part of
 * all that is known: where a few calls are as large as all others together, what is learned would
 * be what the last of them happened to do. */
static void error_learn(struct weir_bias_error *e, uint64_t estimate, uint64_t used)
{
  const uint64_t known = (e->estimates >> SCALE_BITS) / WEIGHT_PART;
  const uint64_t weight = known > 0 && estimate > known ? known : estimate;
  const uint64_t error = used > estimate ? used - estimate : 0;
  const uint64_t part =
      weir_wide_scale(error, 1 << PART_BITS, estimate > 0 ? estimate : 1, PART_MAX << PART_BITS);

  e->estimates += (weight << SCALE_BITS) - e->estimates / KEEP_ERRORS;
  e->errors += (weight * part * part >> (2 * PART_BITS - SCALE_BITS - 1)) - e->errors / KEEP_ERRORS;
}

/* What the sums say changes by a 200th a call at most: now and then is often enough for a root. */
static void errors_refresh(struct weir_bias *b)
{
  if (b->samples == WEIR_BIAS_SAMPLES_MIN && ++b->calls % REFRESH != 0)
    return;
  b->input_error.error_pm = sigma_pm(&b->input_error);
  b->output_error.error_pm = sigma_pm(&b->output_error);
  b->total_error.error_pm = sigma_pm(&b->total_error);
}

void weir_bias_learn(struct weir_bias *b, const struct weir_cost *asked,
                     const struct weir_cost *used)
{
  const uint64_t input = corrected(&b->input, asked->input_tokens);
  const uint64_t output = corrected(&b->output, asked->output_tokens);

  /* The first call's estimate was corrected by nothing: its error says nothing of later ones. */
  if (b->samples > 0) {
    error_learn(&b->input_error, input, used->input_tokens);
    error_learn(&b->output_error, output, used->output_tokens);
    error_learn(&b->total_error, input + output, used->input_tokens + used->output_tokens);
  }
  ratio_learn(&b->input, asked->input_tokens, used->input_tokens);
  ratio_learn(&b->output, asked->output_tokens, used->output_tokens);
  errors_refresh(b);
  if (b->samples < WEIR_BIAS_SAMPLES_MIN)
    b->samples++;
}

struct weir_cost weir_bias_correct(const struct weir_bias *b, const struct weir_cost *asked)
{
  struct weir_cost cost = *asked;

  if (b->samples >= WEIR_BIAS_SAMPLES_MIN) {
    cost.input_tokens = corrected(&b->input, asked->input_tokens);
    cost.output_tokens = corrected(&b->output, asked->output_tokens);
  }
  return cost;
}

uint32_t weir_bias_error_pm(const struct weir_bias *b, enum weir_dimension dimension,
                            uint32_t start_pm)
{
  const uint32_t input = b->input_error.error_pm, output = b->output_error.error_pm;

  if (dimension == WEIR_DIMENSION_REQUESTS || dimension == WEIR_DIMENSION_IN_FLIGHT)
    return 0;
  if (b->samples < WEIR_BIAS_SAMPLES_MIN)
    return start_pm;
  if (dimension == WEIR_DIMENSION_INPUT_TOKENS)
    return input;
  if (dimension == WEIR_DIMENSION_OUTPUT_TOKENS)
    return output;
  if (dimension == WEIR_DIMENSION_TOTAL_TOKENS)
    return b->total_error.error_pm;
  return input > output ? input : output; /* prices may weigh either */
}
