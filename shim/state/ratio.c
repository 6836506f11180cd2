#include <weir/estimate.h>

/* Sums are kept in units of 1/SCALE token, so that forgetting a share of a small sum rounds well.
 */
#define SCALE      1024
#define TOKENS_MAX (UINT64_C(1) << 40) /* of one call: larger ones count as this */
#define FORGET     32                  /* each call outdates a 32nd of what was known */
#define PRIOR      UINT64_C(4000)      /* tokens that the first guess is worth */
#define MEAN_MAX   UINT64_C(8)         /* estimates are never corrected by more than this factor */

static uint64_t smaller(uint64_t a, uint64_t b)
{
  return a < b ? a : b;
}

/* |tokens| * |part| / |whole| in steps that fit: part and whole are below 2^56. */
static uint64_t scale(uint64_t tokens, uint64_t part, uint64_t whole)
{
  uint64_t thousandths;

  while (part > UINT64_MAX / 1024) {
    part /= 2;
    whole /= 2;
  }
  thousandths = part * 1024 / (whole > 0 ? whole : 1);
  thousandths = smaller(thousandths, MEAN_MAX * 1024);
  return (tokens * thousandths + 1023) / 1024;
}

static void forget_and_add(uint64_t *sum, uint64_t tokens)
{
  *sum = *sum - *sum / FORGET + tokens * SCALE;
}

void weir_ratio_init(struct weir_ratio *r)
{
  r->estimated = r->actual = PRIOR * SCALE;
  r->deviation = r->estimated / 4;
  r->calls = 0;
}

void weir_ratio_seed(struct weir_ratio *r, uint64_t ratio_pm, uint64_t error_pm)
{
  const uint64_t most = MEAN_MAX * 1000;

  if (ratio_pm == 0 || r->calls >= WEIR_RATIO_FEW)
    return;
  ratio_pm = smaller(ratio_pm, most);
  /* The mean deviation of what is spread evenly around a mean is four fifths of its standard
   * deviation. */
  error_pm = error_pm > 0 ? smaller(error_pm, most) * 4 / 5 : ratio_pm / 4;
  r->estimated = PRIOR * SCALE;
  r->actual = r->estimated * ratio_pm / 1000;
  r->deviation = r->estimated * error_pm / 1000;
}

void weir_ratio_learn(struct weir_ratio *r, uint64_t estimated, uint64_t actual)
{
  uint64_t expected;

  if (estimated == 0 || actual == 0)
    return;
  estimated = smaller(estimated, TOKENS_MAX);
  actual = smaller(actual, TOKENS_MAX);
  r->calls += r->calls < WEIR_RATIO_FEW;
  expected = weir_ratio_expect(r, estimated);
  forget_and_add(&r->estimated, estimated);
  forget_and_add(&r->actual, actual);
  forget_and_add(&r->deviation, actual > expected ? actual - expected : expected - actual);
}

uint64_t weir_ratio_expect(const struct weir_ratio *r, uint64_t tokens)
{
  return scale(smaller(tokens, TOKENS_MAX), r->actual, r->estimated);
}

uint64_t weir_ratio_apply(const struct weir_ratio *r, uint64_t tokens)
{
  return weir_ratio_expect(r, tokens) +
         2 * scale(smaller(tokens, TOKENS_MAX), r->deviation, r->estimated);
}
