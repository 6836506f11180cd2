/* curl_common.h - the options of libcurl that the calls of libweir and the sidecar share. */
#ifndef WEIR_SHELL_CURL_COMMON_H
#define WEIR_SHELL_CURL_COMMON_H

#include <curl/curl.h>

/* weir_curl_common_set sets on |curl| what holds for every transfer to a provider: HTTP only, no
 * signals, no waiting for a resolver that hangs, a progress function that is called. */
void weir_curl_common_set(CURL *curl);

#endif
