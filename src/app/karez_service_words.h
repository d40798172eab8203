/* With which words the unit of a service shall start `karez up`. */
#ifndef KAREZ_APP_KAREZ_SERVICE_WORDS_H
#define KAREZ_APP_KAREZ_SERVICE_WORDS_H

#include "agent/memory.h"
#include "app/karez_options.h"

/* Words, at most, and bytes of a sentence for a person. */
#define KAREZ_SERVICE_WORDS 256
#define KAREZ_SERVICE_WHY   1024

struct karez_service_words {
	char *v[KAREZ_SERVICE_WORDS]; /* [n] owned */
	size_t n;
	char dir[MEMORY_DIR_MAX + 2]; /* absolute: of what is remembered */
	char why[KAREZ_SERVICE_WHY];  /* set on failure to a sentence */
};

/*
 * What was given to `karez service install`, with absolute paths, no secret, and what the unit's
 * process would not find by itself: configuration, services file, server. The services file is
 * looked at on the way.
 *   out  all zero; karez_service_words_free() it, also after a failure.
 * Returns 0, or an ERR_*: out->why says what is wrong.
 */
int karez_service_words(const struct config *c, const struct karez_options *set,
			struct karez_service_words *out) MUST_CHECK;

void karez_service_words_free(struct karez_service_words *w);

#endif
