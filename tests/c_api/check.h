/* What the C tests share: CHECK counts what does not hold, and goes on. */
#ifndef TESTS_C_API_CHECK_H
#define TESTS_C_API_CHECK_H

#include <stdio.h>
#include <treadle/treadle.h>

static int failures = 0;

#define CHECK(condition)                                                             \
  do {                                                                               \
    if (!(condition)) {                                                              \
      fprintf(stderr, "%s:%d: %s; last error: %s\n", __FILE__, __LINE__, #condition, \
              treadle_last_error());                                                 \
      ++failures;                                                                    \
    }                                                                                \
  } while (0)

#endif /* TESTS_C_API_CHECK_H */
