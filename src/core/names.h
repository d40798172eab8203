/* Names of tunnels: which ones may be had, and random ones that cannot be misread. */
#ifndef KAREZ_CORE_NAMES_H
#define KAREZ_CORE_NAMES_H

#include "core/core.h"

/* Characters of a random name: as few, and as many after many collisions. */
enum { NAMES_RANDOM_MIN = 4, NAMES_RANDOM_MAX = 10 };

/* The label that stands right before the domain: "tim" of "hello.tim". */
struct str names_last_label(struct str name);

/* May nobody have it? Decided by the label right before the domain. name: lower case. */
bool names_reserved(struct str name);

/*
 * Is this host the server itself, so that it can be nobody's tunnel? host: lower case.
 *   domain, api_host  as in struct core_opt: NUL-terminated; api_host may be NULL.
 */
bool names_own(const char *domain, const char *api_host, struct str host);

/*
 * Judge and normalise a name that somebody asks for.
 *   domain  what it will stand under, NUL-terminated.
 *   out     gets the NUL-terminated lower-case name.
 *   reason  filled on failure: a sentence for a person, ASCII.
 * Returns 0, ERR_INVAL or ERR_RESERVED. Source: RFC 1123 2.1, RFC 1035 2.3.4.
 */
int names_check(struct str wanted, const char *domain, char out[HOSTNAME_MAX + 1],
		char reason[CORE_REASON_TEXT]) MUST_CHECK;

/*
 * karez is told which option of its own helps; this takes that off the end of a sentence that
 * somebody else is told, who has no such option.
 */
void names_cut_option(char *reason);

/*
 * Make up a name of one label that is not reserved, without 0, 1, l and o.
 *   len  characters, NAMES_RANDOM_MIN to NAMES_RANDOM_MAX.
 *   out  gets the NUL-terminated name.
 */
void names_random(struct ev *ev, size_t len, char out[HOSTNAME_MAX + 1]);

#endif
