#include <weir/scrub.h>

#include <string.h>

#include <weir/text.h>

#define STARS "***"

/* Replaces |size| bytes at |at|; returns the place behind what stands there then. */
static char *hide(char *at, size_t size)
{
  const size_t stars = size < strlen(STARS) ? size : strlen(STARS);

  memcpy(at, STARS, stars);
  memmove(at + stars, at + size, strlen(at + size) + 1);
  return at + stars;
}

static void values_hide(char *text, const char *name)
{
  const char *value;

  while ((value = weir_text_find(text, name)) != NULL) {
    text += value - text;
    text = hide(text, strcspn(text, "&# \t\r\n\"'"));
  }
}

static void users_hide(char *text)
{
  while ((text = strstr(text, "://")) != NULL) {
    const size_t authority = strcspn(text += 3, "/?# \t\r\n\"'");
    const char *end = text;

    for (size_t i = 0; i < authority; i++)
      end = text[i] == '@' ? text + i : end; /* the last one: a password may hold others */
    if (*end == '@')
      text = hide(text, (size_t)(end - text));
  }
}

void weir_scrub(char *text)
{
  values_hide(text, "key=");
  values_hide(text, "key%3d");
  values_hide(text, "token=");
  values_hide(text, "token%3d");
  users_hide(text);
}
