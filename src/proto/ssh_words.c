/*
 * The words are what people type blindly behind a host name: a wrong one is named, and what was
 * possible is said, before anything is made of the right ones.
 */
#include "proto/ssh_words.h"

#include "base/err.h"
#include "base/num.h"
#include "base/show.h"

/* Bytes of a wrong word that are shown. */
#define SSH_WORDS_SHOWN	       48
#define SSH_WORDS_PRIORITY_MAX 65535
#define SSH_WORDS_SESSIONS_MAX 64

/* One value, or what must stand there. */
typedef const char *(*ssh_words_fn)(struct ssh_words *w, struct str value);

static const char *ssh_words_name(struct ssh_words *w, struct str value)
{
	return hostname_tunnel(value, w->name) == 0
		       ? NULL
		       : "a name of letters, digits and hyphens, such as name=demo";
}

static const char *ssh_words_agent(struct ssh_words *w, struct str value)
{
	return ident_ok(value) && str_copy(w->agent, sizeof w->agent, value) == 0
		       ? NULL
		       : "1 to 64 letters, digits, dots, underscores and hyphens";
}

static const char *ssh_words_proxy(struct ssh_words *w, struct str value)
{
	w->has_proxy = tunnel_word_find(tunnel_word_proxies, value, &w->proxy) == 0;
	return w->has_proxy ? NULL : "none, v1 or v2";
}

static const char *ssh_words_policy(struct ssh_words *w, struct str value)
{
	w->has_policy = tunnel_word_find(tunnel_word_policies, value, &w->policy) == 0;
	return w->has_policy ? NULL : "least-conn, round-robin or failover";
}

static const char *ssh_words_priority(struct ssh_words *w, struct str value)
{
	uint64_t n;

	if (num_parse(value, SSH_WORDS_PRIORITY_MAX, &n) != 0)
		return "a number from 0 to 65535";
	w->priority = (unsigned)n;
	w->has_priority = true;
	return NULL;
}

static const char *ssh_words_sessions(struct ssh_words *w, struct str value)
{
	uint64_t n;

	if (num_parse(value, SSH_WORDS_SESSIONS_MAX, &n) != 0 || n == 0)
		return "a number from 1 to 64";
	w->sessions_max = (unsigned)n;
	return NULL;
}

static const char *ssh_words_tls(struct ssh_words *w, struct str value)
{
	w->tls = true;
	return NULL;
}

static const char *ssh_words_json(struct ssh_words *w, struct str value)
{
	w->json = true;
	return NULL;
}

static const char *ssh_words_quiet(struct ssh_words *w, struct str value)
{
	w->quiet = true;
	return NULL;
}

static const char *ssh_words_usage(struct ssh_words *w, struct str value)
{
	w->help = true;
	return NULL;
}

/* ---- the table ---- */

static const struct ssh_words_row {
	const char *key;
	bool has_value;
	ssh_words_fn set;
} ssh_words_rows[] = {
#define SSH_WORD(key, has_value, fn, form, text) {key, has_value, ssh_words_##fn},
#include "proto/ssh_words.def"
#undef SSH_WORD
};

/* Other spellings, as programs have them. */
static const struct {
	const char *word, *key;
} ssh_words_alike[] = {{"-q", "quiet"}, {"-h", "help"}, {"--help", "help"}, {"?", "help"}};

const char *ssh_words_help(void)
{
	return
#define SSH_WORD(key, has_value, fn, form, text) "  " form "  " text "\n"
#include "proto/ssh_words.def"
#undef SSH_WORD
		;
}

/* ---- reading ---- */

static const struct ssh_words_row *ssh_words_find(struct str key)
{
	for (size_t i = 0; i < ARRAY_LEN(ssh_words_alike); i++)
		if (str_eq(key, str_of(ssh_words_alike[i].word)))
			key = str_of(ssh_words_alike[i].key);
	for (size_t i = 0; i < ARRAY_LEN(ssh_words_rows); i++)
		if (str_eq(key, str_of(ssh_words_rows[i].key)))
			return &ssh_words_rows[i];
	return NULL;
}

/* The word itself, as it may be shown. */
static void ssh_words_show(struct str word, char out[SSH_WORDS_SHOWN + 4])
{
	size_t n = show_ascii(out, SSH_WORDS_SHOWN + 1, word);

	str_printf(out + n, 4, "%s", n < word.len ? "..." : "");
}

static int ssh_words_one(struct str word, unsigned *seen, struct ssh_words *out,
			 char why[SSH_WORDS_WHY])
{
	size_t equals = str_find(word, '=');
	struct str value = {word.p + equals + 1, word.len - MIN(equals + 1, word.len)};
	const struct ssh_words_row *row = ssh_words_find((struct str){word.p, equals});
	char shown[SSH_WORDS_SHOWN + 4];
	const char *must;
	unsigned bit;

	ssh_words_show(word, shown);
	if (row == NULL || row->has_value != (equals < word.len)) {
		str_printf(why, SSH_WORDS_WHY,
			   row == NULL ? "\"%s\" is not a word that is known here; \"help\" shows "
					 "those that are"
				       : "\"%s\" cannot stand so; \"help\" shows how the words are "
					 "written",
			   shown);
		return ERR_INVAL;
	}
	bit = 1u << (row - ssh_words_rows);
	if (row->has_value && (*seen & bit)) {
		str_printf(why, SSH_WORDS_WHY, "\"%s\": %s= stands there twice", shown, row->key);
		return ERR_INVAL;
	}
	*seen |= bit;
	if ((must = row->set(out, value)) != NULL) {
		str_printf(why, SSH_WORDS_WHY, "\"%s\": %s= must be %s", shown, row->key, must);
		return ERR_INVAL;
	}
	return 0;
}

int ssh_words_read(struct str command, struct ssh_words *out, char why[SSH_WORDS_WHY])
{
	struct str word;
	unsigned seen = 0;
	int e = 0;

	*out = (struct ssh_words){0};
	why[0] = '\0';
	while (e == 0 && str_next(&command, ' ', &word))
		if (word.len > 0)
			e = ssh_words_one(word, &seen, out, why);
	if (e != 0)
		*out = (struct ssh_words){0};
	return e;
}
