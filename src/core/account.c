/*
 * Accounts and the tokens that prove them.
 *
 * A token is 256 random bits that only its owner keeps. Whoever presents anything, well formed or
 * not, takes the same path: a fingerprint, one look into the store, one answer.
 */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "core/core_internal.h"

#define TOKEN_PREFIX "kz_"

/* What is presented counts up to here; tokens are shorter, so a longer one stays wrong. */
#define PRESENTED_CAP 128

_Static_assert(sizeof(TOKEN_PREFIX) - 1 + DIGEST_BASE64_TEXT <= CORE_TOKEN_TEXT, "token");
_Static_assert(CORE_TOKEN_TEXT < PRESENTED_CAP, "a cut token must be no token");

struct account_login {
	struct core_call call; /* first: the two are the same pointer */
	struct list line;      /* in secret.waiting */
	void (*done)(void *arg, const struct core_login *result);
	void *arg;
	unsigned tries;
	char presented[PRESENTED_CAP]; /* "": wants an account */
	char fingerprint[DIGEST_HEX_TEXT];
	char account[CORE_ACCOUNT_TEXT];
	char token[CORE_TOKEN_TEXT]; /* made just now */
};

static struct account_login *account_login_of(struct core_call *call)
{
	return (struct account_login *)call;
}

static void account_login_free(struct account_login *l)
{
	core_call_end(&l->call);
	list_del(&l->line);
	explicit_bzero(l, sizeof *l);
	free(l);
}

/* ---- answers ---- */

static void account_refuse(struct account_login *l, int e, const char *reason)
{
	struct core_login result = {.e = e, .reason = reason};
	struct account_login was = *l;

	account_login_free(l);
	was.done(was.arg, &result);
	explicit_bzero(&was, sizeof was);
}

static void account_fail(struct account_login *l, int e)
{
	char reason[CORE_REASON_TEXT];

	core_store_reason(e, reason);
	account_refuse(l, e, reason);
}

const char *core_owner_tag(const struct core *c, const char *account, char out[CORE_TAG_TEXT])
{
	char hex[DIGEST_HEX_TEXT];

	if (digest_keyed(c->secret.key, str_of(account), hex) != 0)
		hex[0] = '\0';
	(void)!str_copy(out, CORE_TAG_TEXT,
			(struct str){hex, MIN(strlen(hex), CORE_TAG_TEXT - 1u)});
	return out;
}

static void account_accept(struct account_login *l)
{
	struct account_login was = *l;
	struct core_login result = {0};
	char tag[CORE_TAG_TEXT];

	memcpy(result.account, l->account, sizeof result.account);
	memcpy(result.token, l->token, sizeof result.token);
	log_info(l->call.core->opt.log, "event=login owner=%s registered=%s",
		 core_owner_tag(l->call.core, l->account, tag), l->token[0] != '\0' ? "yes" : "no");
	account_login_free(l);
	was.done(was.arg, &result);
	explicit_bzero(&was, sizeof was);
	explicit_bzero(&result, sizeof result);
}

static void account_on_core_gone(struct core_call *call)
{
	account_fail(account_login_of(call), ERR_CLOSED);
}

/* ---- a token is presented ---- */

static void account_deny_token(struct account_login *l)
{
	account_refuse(
		l, ERR_AUTH,
		"this server does not know the token; check that it was made for this server, "
		"or ask its operator for a new one");
}

static void account_on_account(struct core_call *call, const struct store_answer *answer)
{
	struct account_login *l = account_login_of(call);
	struct record_account r;
	int e = answer->e;

	if (e == ERR_NOTFOUND) {
		account_deny_token(l);
		return;
	}
	if (e != 0 || (e = record_read_account(answer->recs[0].value, &r)) != 0)
		account_fail(l, core_store_err(e));
	else if (!r.enabled)
		account_refuse(l, ERR_DISABLED,
			       "this account has been switched off; ask the server's operator why");
	else
		account_accept(l);
}

static void account_on_token(struct core_call *call, const struct store_answer *answer)
{
	struct account_login *l = account_login_of(call);
	struct record_token r;
	int e = answer->e;

	if (e == ERR_NOTFOUND) {
		account_deny_token(l);
		return;
	}
	if (e != 0 || (e = record_read_token(answer->recs[0].value, &r)) != 0) {
		account_fail(l, core_store_err(e));
		return;
	}
	memcpy(l->account, r.account, sizeof l->account);
	e = core_call_get(call, RECORD_ACCOUNT, str_of(l->account), account_on_account);
	if (e != 0)
		account_fail(l, e);
}

static void account_check_token(struct account_login *l)
{
	int e = digest_keyed(l->call.core->secret.key, str_of(l->presented), l->fingerprint);

	if (e == 0)
		e = core_call_get(&l->call, RECORD_TOKEN, str_of(l->fingerprint), account_on_token);
	if (e != 0)
		account_fail(l, e);
}

/* ---- an account on the fly ---- */

static void account_make_number(struct ev *ev, char out[CORE_ACCOUNT_TEXT])
{
	static const char letters[] = "CDEFHJKMNPRTVWXY2345689"; /* none looks like another */
	size_t n = 0;

	for (unsigned i = 0; i < 16; i++) {
		if (i > 0 && i % 4 == 0)
			out[n++] = '-';
		out[n++] = letters[ev_random_below(ev, sizeof letters - 1)];
	}
	out[n] = '\0';
}

static void account_make_token(struct ev *ev, char out[CORE_TOKEN_TEXT])
{
	char text[DIGEST_BASE64_TEXT];
	uint8_t bytes[DIGEST_LEN];

	ev_random(ev, bytes, sizeof bytes);
	digest_base64(bytes, text);
	str_printf(out, CORE_TOKEN_TEXT, TOKEN_PREFIX "%s", text);
	explicit_bzero(bytes, sizeof bytes);
	explicit_bzero(text, sizeof text);
}

/* Strangers fill the store only as fast as this lets them. */
static bool account_may_register(struct core *c)
{
	uint64_t more = (ev_now_ms(c->ev) - c->register_ms) / CORE_REGISTER_EVERY_MS;

	c->register_ms += more * CORE_REGISTER_EVERY_MS;
	c->register_left = (unsigned)MIN(c->register_left + more, (uint64_t)CORE_REGISTER_BURST);
	if (c->register_left == 0)
		return false;
	c->register_left--;
	return true;
}

static void account_register(struct account_login *l);

static void account_on_registered(struct core_call *call, const struct store_answer *answer)
{
	struct account_login *l = account_login_of(call);

	if (answer->e == 0)
		account_accept(l);
	else if (answer->e == ERR_CONFLICT && ++l->tries < CORE_TRIES_MAX)
		account_register(l);
	else
		account_fail(l, core_store_err(answer->e));
}

static void account_register(struct account_login *l)
{
	struct core *c = l->call.core;
	struct record_account account = {.enabled = true, .created_ms = ev_wall_ms(c->ev)};
	struct record_token token = {.created_ms = account.created_ms};
	struct store_write writes[2] = {0};
	struct buf values[2] = {0};
	int e;

	account_make_number(c->ev, l->account);
	account_make_token(c->ev, l->token);
	memcpy(token.account, l->account, sizeof token.account);
	if ((e = digest_keyed(c->secret.key, str_of(l->token), l->fingerprint)) != 0 ||
	    (e = record_write_account(&account, &values[0])) != 0 ||
	    (e = record_write_token(&token, &values[1])) != 0)
		goto out;
	writes[0].rec = (struct store_record){.kind = RECORD_ACCOUNT,
					      .key = str_of(l->account),
					      .value = buf_str(&values[0])};
	writes[1].rec = (struct store_record){.kind = RECORD_TOKEN,
					      .key = str_of(l->fingerprint),
					      .value = buf_str(&values[1])};
	e = core_call_batch(&l->call, writes, ARRAY_LEN(writes), account_on_registered);
out:
	buf_free(&values[0]);
	buf_free(&values[1]);
	if (e != 0)
		account_fail(l, e);
}

/* ---- the key of the fingerprints ---- */

static void account_go_on(struct account_login *l)
{
	if (l->presented[0] != '\0')
		account_check_token(l);
	else if (account_may_register(l->call.core))
		account_register(l);
	else
		account_refuse(l, ERR_LIMIT,
			       "too many new accounts are being made here; try again in a minute");
}

static void account_secret_settled(struct core *c, int e)
{
	struct list *link;

	c->secret.loading = false;
	c->secret.tries = 0;
	c->secret.loaded = e == 0;
	while ((link = list_pop(&c->secret.waiting)) != NULL) {
		struct account_login *l = CONTAINER_OF(link, struct account_login, line);

		if (e == 0)
			account_go_on(l);
		else
			account_fail(l, core_store_err(e));
	}
}

static void account_load_secret(struct core *c);

static void account_on_secret_made(void *arg, const struct store_answer *answer)
{
	struct core *c = arg;

	if (answer->e == ERR_CONFLICT && ++c->secret.tries < CORE_TRIES_MAX)
		account_load_secret(c); /* another node was first: its key counts */
	else
		account_secret_settled(c, answer->e);
}

static void account_on_secret(void *arg, const struct store_answer *answer)
{
	struct core *c = arg;
	struct store_record rec = {.kind = RECORD_SECRET,
				   .key = RECORD_TOKEN,
				   .value = {(const char *)c->secret.key, sizeof c->secret.key}};
	int e = answer->e;

	if (e == ERR_NOTFOUND) {
		ev_random(c->ev, c->secret.key, sizeof c->secret.key);
		e = store_put(c->opt.store, &rec, 0, account_on_secret_made, c);
		if (e == 0)
			return;
	} else if (e == 0 && answer->recs[0].value.len != sizeof c->secret.key) {
		e = ERR_IO;
	} else if (e == 0) {
		memcpy(c->secret.key, answer->recs[0].value.p, sizeof c->secret.key);
	}
	account_secret_settled(c, e);
}

static void account_load_secret(struct core *c)
{
	int e = store_get(c->opt.store, RECORD_SECRET, RECORD_TOKEN, account_on_secret, c);

	c->secret.loading = true;
	if (e != 0)
		account_secret_settled(c, e);
}

void account_forget_secret(struct core *c)
{
	store_forget(c->opt.store, c);
	explicit_bzero(&c->secret, sizeof c->secret);
}

/* ---- logging in ---- */

static void account_on_start(void *arg)
{
	struct account_login *l = arg;
	struct core *c = l->call.core;

	if (l->presented[0] == '\0' && !c->opt.allow_registration) {
		account_refuse(
			l, ERR_DENIED,
			"this server makes no accounts by itself; ask its operator for a token "
			"and give it with --token-file or KAREZ_TOKEN");
		return;
	}
	if (c->secret.loaded) {
		account_go_on(l);
		return;
	}
	list_push(&c->secret.waiting, &l->line);
	if (!c->secret.loading)
		account_load_secret(c);
}

int core_login(struct core *c, struct str token,
	       void (*done)(void *arg, const struct core_login *result), void *arg)
{
	struct account_login *l = calloc(1, sizeof *l);
	int e;

	if (l == NULL)
		return ERR_NOMEM;
	l->call.closed = account_on_core_gone;
	l->done = done;
	l->arg = arg;
	token.len = MIN(token.len, sizeof l->presented - 1);
	/* A NUL would end it early: what has one is no token, and must not become "none". */
	for (size_t i = 0; i < token.len; i++)
		l->presented[i] = token.p[i] != '\0' ? token.p[i] : '?';
	if ((e = core_call_begin(c, &l->call, CORE_LOGIN, account_on_start)) != 0)
		free(l);
	return e;
}
