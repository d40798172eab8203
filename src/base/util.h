/* What every file needs: checks for our own bugs, moving ownership, small arithmetic. */
#ifndef KAREZ_BASE_UTIL_H
#define KAREZ_BASE_UTIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/param.h> /* MIN, MAX */
#include <sys/types.h>

#define MUST_CHECK	     __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt, va) __attribute__((format(printf, fmt, va)))

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

#define CONTAINER_OF(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

/* Hand ownership over: the source is NULL afterwards. */
#define MOVE(to, from)         \
	do {                   \
		(to) = (from); \
		(from) = NULL; \
	} while (0)

/* A bug of ours, not a peer's: say where and stop. Stays on in release builds. */
#define CHECK(cond) ((cond) ? (void)0 : check_failed(#cond, __FILE__, __LINE__))

_Noreturn void check_failed(const char *cond, const char *file, int line);

/* calloc that ends the process when memory is gone: for start-up only, never for a peer's demand.
 */
void *must_calloc(size_t n, size_t size);
char *must_strdup(const char *s);

#endif
