/*
 * A name is spoken, read from a screen and typed into a telephone: random ones leave out what looks
 * like something else, and nobody gets one that software or people take for the server's own.
 */
#include "core/names.h"

#include <string.h>

#include "base/err.h"

/* 32 characters: five random bits each. */
static const char alphabet[] = "23456789abcdefghijkmnpqrstuvwxyz";

/* Longer ones are not repeated in a sentence. */
#define SHOWN_MAX 80

struct str names_last_label(struct str name)
{
	while (hostname_parent(&name))
		;
	return name;
}

bool names_own(const char *domain, const char *api_host, struct str host)
{
	return str_eq(host, str_of(domain)) || str_eq(host, str_of(api_host)) ||
	       str_eq(host, STR("localhost"));
}

bool names_reserved(struct str name)
{
	static const char *const labels[] = {
#define RESERVED(label) label,
#include "core/reserved.def"
#undef RESERVED
	};
	struct str last = names_last_label(name);

	if (str_starts(last, STR("_")))
		return true;
	for (size_t i = 0; i < ARRAY_LEN(labels); i++)
		if (str_eq(last, str_of(labels[i])))
			return true;
	return false;
}

/* Can it be repeated to whoever asked, on any terminal? */
static bool names_showable(struct str s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.p[i] <= ' ' || s.p[i] > '~' || s.p[i] == '"')
			return false;
	return s.len > 0 && s.len <= SHOWN_MAX;
}

static int names_refuse(struct str wanted, char reason[CORE_REASON_TEXT])
{
	struct str shown = names_showable(wanted) ? wanted : STR("");

	str_printf(reason, CORE_REASON_TEXT,
		   "%s" STR_FMT
		   "%s cannot be a name: use letters, digits and inner hyphens, at most "
		   "63 between two dots",
		   shown.len > 0 ? "\"" : "that", STR_ARG(shown), shown.len > 0 ? "\"" : "");
	return ERR_INVAL;
}

int names_check(struct str wanted, const char *domain, char out[HOSTNAME_MAX + 1],
		char reason[CORE_REASON_TEXT])
{
	struct str name;

	/* Reserved in the way of DNS; the syntax would refuse it, but not say why. */
	if (str_starts(names_last_label(wanted), STR("_")) && names_showable(wanted)) {
		str_printf(reason, CORE_REASON_TEXT,
			   "the name \"" STR_FMT "\" is reserved; choose another with --name",
			   STR_ARG(wanted));
		return ERR_RESERVED;
	}
	if (hostname_tunnel(wanted, out) != 0)
		return names_refuse(wanted, reason);
	name = str_of(out);
	if (name.len + 1 + strlen(domain) > HOSTNAME_MAX) {
		str_printf(reason, CORE_REASON_TEXT,
			   "the name is too long: with this server's domain it must not have more "
			   "than %d characters; choose a shorter one with --name",
			   HOSTNAME_MAX);
		return ERR_INVAL;
	}
	if (names_reserved(name)) {
		str_printf(reason, CORE_REASON_TEXT,
			   "the name \"" STR_FMT "\" is reserved; choose another with --name",
			   (int)MIN(name.len, SHOWN_MAX), name.p);
		return ERR_RESERVED;
	}
	return 0;
}

void names_cut_option(char *reason)
{
	struct str s = str_of(reason), option = STR(" with --name");

	if (str_ends_nocase(s, option))
		reason[s.len - option.len] = '\0';
}

void names_random(struct ev *ev, size_t len, char out[HOSTNAME_MAX + 1])
{
	uint8_t bytes[NAMES_RANDOM_MAX];

	CHECK(len >= NAMES_RANDOM_MIN && len <= NAMES_RANDOM_MAX);
	do {
		ev_random(ev, bytes, len);
		for (size_t i = 0; i < len; i++)
			out[i] = alphabet[bytes[i] % (sizeof alphabet - 1)];
		out[len] = '\0';
	} while (names_reserved((struct str){out, len}));
}
