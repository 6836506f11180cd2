#include <weir/vocab.h>

#include <string.h>

/* Words stand in the tables, not behind pointers, so that the tables are plain read-only data. */
#define WORD_SIZE 24

#define X(name, value, text) [value] = text,
static const char dimensions[][WORD_SIZE] = {[0] = "?", WEIR_DIMENSION_LIST(X)};
static const char profiles[][WORD_SIZE] = {[0] = "?", WEIR_PROFILE_LIST(X)};
static const char classes[][WORD_SIZE] = {[0] = "?", WEIR_CLASS_LIST(X)};
static const char denials[][WORD_SIZE] = {[0] = "?", WEIR_DENIAL_LIST(X)};
static const char breakers[][WORD_SIZE] = {[0] = "?", WEIR_BREAKER_LIST(X)};
static const char withouts[][WORD_SIZE] = {[0] = "?", WEIR_WITHOUT_LIST(X)};
static const char steers[][WORD_SIZE] = {[0] = "?", WEIR_STEER_LIST(X)};
static const char outcomes[][WORD_SIZE] = {[0] = "?", WEIR_OUTCOME_LIST(X)};
static const char counters[][WORD_SIZE] = {[0] = "?", WEIR_COUNTER_LIST(X)};
#undef X

#define COUNT(words) ((uint32_t)(sizeof(words) / WORD_SIZE))

static const char *word_name(const char (*words)[WORD_SIZE], uint32_t count, uint32_t value)
{
  return words[value < count ? value : 0];
}

static uint32_t word_parse(const char (*words)[WORD_SIZE], uint32_t count, const char *text)
{
  for (uint32_t i = 1; i < count; i++) {
    if (strcmp(words[i], text) == 0)
      return i;
  }
  return 0;
}

const char *weir_dimension_name(enum weir_dimension dimension)
{
  return word_name(dimensions, COUNT(dimensions), (uint32_t)dimension);
}

const char *weir_profile_name(enum weir_profile profile)
{
  return word_name(profiles, COUNT(profiles), (uint32_t)profile);
}

const char *weir_class_name(enum weir_class class)
{
  return word_name(classes, COUNT(classes), (uint32_t) class);
}

const char *weir_denial_name(enum weir_denial denial)
{
  return word_name(denials, COUNT(denials), (uint32_t)denial);
}

const char *weir_breaker_name(enum weir_breaker_state state)
{
  return word_name(breakers, COUNT(breakers), (uint32_t)state);
}

const char *weir_without_name(enum weir_without without)
{
  return word_name(withouts, COUNT(withouts), (uint32_t)without);
}

const char *weir_steer_name(enum weir_steer steer)
{
  return word_name(steers, COUNT(steers), (uint32_t)steer);
}

const char *weir_outcome_name(enum weir_outcome outcome)
{
  return word_name(outcomes, COUNT(outcomes), (uint32_t)outcome);
}

const char *weir_counter_name(enum weir_counter counter)
{
  return word_name(counters, COUNT(counters), (uint32_t)counter);
}

enum weir_dimension weir_dimension_parse(const char *text)
{
  return (enum weir_dimension)word_parse(dimensions, COUNT(dimensions), text);
}

enum weir_profile weir_profile_parse(const char *text)
{
  return (enum weir_profile)word_parse(profiles, COUNT(profiles), text);
}

enum weir_class weir_class_parse(const char *text)
{
  return (enum weir_class)word_parse(classes, COUNT(classes), text);
}

enum weir_outcome weir_outcome_parse(const char *text)
{
  return (enum weir_outcome)word_parse(outcomes, COUNT(outcomes), text);
}

enum weir_steer weir_steer_parse(const char *text)
{
  return (enum weir_steer)word_parse(steers, COUNT(steers), text);
}

bool weir_outcome_is_quota(enum weir_outcome outcome)
{
  return outcome == WEIR_OUTCOME_QUOTA_MINUTE_REQUESTS ||
         outcome == WEIR_OUTCOME_QUOTA_MINUTE_TOKENS ||
         outcome == WEIR_OUTCOME_QUOTA_DAY_REQUESTS || outcome == WEIR_OUTCOME_QUOTA_DAY_TOKENS;
}
