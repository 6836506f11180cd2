#include <weir/wide.h>

/* Bit by bit, from the highest: no division, and the same steps whatever the value. */
static uint64_t root_floor(weir_wide w)
{
  uint64_t root = 0;

  for (uint64_t bit = weir_wide_sqrt_max(w); bit > 0; bit >>= 1) {
    const uint64_t tried = root | bit;

    if (weir_wide_mul(tried, tried) <= w)
      root = tried;
  }
  return root;
}

uint64_t weir_wide_sqrt(weir_wide w)
{
  uint64_t root = root_floor(w);

  return weir_wide_mul(root, root) < w && root < UINT64_MAX ? root + 1 : root;
}
