/* sanitizer.h - for tests: which sanitizer this build is under.
 *
 * What it takes away: the memory of an instrumented process is mostly its shadow and quarantine,
 * which grow with whatever was ever touched; and in a child that was forked while other threads ran
 * the sanitizer itself is lost.
 */
#ifndef WEIR_TESTS_SANITIZER_H
#define WEIR_TESTS_SANITIZER_H

#if defined(__has_feature)
#define HAS_SANITIZER(name) __has_feature(name##_sanitizer)
#else
#define HAS_SANITIZER(name) 0
#endif

#if defined(__SANITIZE_THREAD__) || HAS_SANITIZER(thread)
#define UNDER_TSAN 1
#else
#define UNDER_TSAN 0
#endif

#if defined(__SANITIZE_ADDRESS__) || HAS_SANITIZER(address)
#define UNDER_ASAN 1
#else
#define UNDER_ASAN 0
#endif

#endif
