/*
 * A guess must cost the guesser, and it costs us the same: so hashing happens on the pool's
 * threads, few at a time, and in the order of asking.
 */
#include "core/password.h"

#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/err.h"
#include "base/num.h"
#include "core/digest.h"

#define PASSWORD_SALT_LEN 16
#define PASSWORD_SALT_MAX 32 /* of hashes that came from elsewhere */

static const struct digest_cost password_cost = {.ln = 14, .r = 8, .p = 1};

/* A PHC string taken apart. */
struct password_phc {
	struct digest_cost cost;
	uint8_t salt[PASSWORD_SALT_MAX];
	size_t salt_len;
	uint8_t key[DIGEST_LEN];
};

struct passwords {
	struct ev *ev;
	struct list waiting; /* of password_job.link */
	size_t n_waiting, n_running;
	struct list running;
	uint64_t n_jobs;
};

/* While it runs a thread has it; `owner` and what is behind it are the loop's. */
struct password_job {
	struct list link;
	struct passwords *owner; /* weak: password_free() clears it */
	struct ev_task task;	 /* when there is no thread to be had */
	bool running, cancelled;
	void (*on_hash)(void *arg, int e, const char *hash); /* one of the two */
	void (*on_check)(void *arg, int e);
	void *arg;
	/* The thread's: */
	struct password_phc phc;
	uint8_t key[DIGEST_LEN]; /* what came out */
	bool nobody;		 /* no password is right */
	int e;
	size_t password_len;
	char password[PASSWORD_MAX];
};

/* ---- PHC strings ---- */

/* A parameter: "ln=14". */
static int password_parse_cost(struct str text, const char *name, unsigned max, unsigned *out)
{
	struct str prefix = str_of(name);
	uint64_t n;

	if (!str_starts(text, prefix) ||
	    num_parse((struct str){text.p + prefix.len, text.len - prefix.len}, max, &n) != 0 ||
	    n == 0)
		return ERR_INVAL;
	*out = (unsigned)n;
	return 0;
}

static int password_parse_costs(struct str text, struct digest_cost *out)
{
	struct str ln, r, p;

	if (!str_next(&text, ',', &ln) || !str_next(&text, ',', &r) || !str_next(&text, ',', &p) ||
	    text.p != NULL)
		return ERR_INVAL;
	if (password_parse_cost(ln, "ln=", 16, &out->ln) != 0 ||
	    password_parse_cost(r, "r=", 16, &out->r) != 0 ||
	    password_parse_cost(p, "p=", 4, &out->p) != 0)
		return ERR_INVAL;
	return 0;
}

/* Returns 0 or ERR_INVAL. */
static int password_parse(struct str text, struct password_phc *out)
{
	struct str none, name, costs, salt, key;
	size_t len;

	if (!str_next(&text, '$', &none) || none.len > 0 || !str_next(&text, '$', &name) ||
	    !str_eq(name, STR("scrypt")) || !str_next(&text, '$', &costs) ||
	    !str_next(&text, '$', &salt) || !str_next(&text, '$', &key) || text.p != NULL)
		return ERR_INVAL;
	if (password_parse_costs(costs, &out->cost) != 0 ||
	    base64_decode(salt, out->salt, sizeof out->salt, &out->salt_len) != 0 ||
	    out->salt_len < 8 || base64_decode(key, out->key, sizeof out->key, &len) != 0 ||
	    len != sizeof out->key)
		return ERR_INVAL;
	return 0;
}

static void password_format(const struct digest_cost *cost, struct str bytes,
			    const uint8_t key[DIGEST_LEN], char out[RIGHTS_HASH_TEXT])
{
	char salt[BASE64_TEXT(PASSWORD_SALT_MAX)], text[BASE64_TEXT(DIGEST_LEN)];

	base64_encode(BASE64_BARE, bytes.p, bytes.len, salt);
	base64_encode(BASE64_BARE, key, DIGEST_LEN, text);
	str_printf(out, RIGHTS_HASH_TEXT, "$scrypt$ln=%u,r=%u,p=%u$%s$%s", cost->ln, cost->r,
		   cost->p, salt, text);
}

int password_make(struct str password, const uint8_t salt[PASSWORD_SALT_LEN],
		  char out[RIGHTS_HASH_TEXT])
{
	struct str bytes = {(const char *)salt, PASSWORD_SALT_LEN};
	uint8_t key[DIGEST_LEN];
	int e;

	if (password.len == 0)
		return ERR_INVAL;
	if (password.len > PASSWORD_MAX)
		return ERR_TOOBIG;
	if ((e = digest_scrypt(password, bytes, &password_cost, key)) == 0)
		password_format(&password_cost, bytes, key, out);
	explicit_bzero(key, sizeof key);
	return e;
}

bool password_hash_ok(struct str hash)
{
	struct password_phc phc;

	return hash.len < RIGHTS_HASH_TEXT && password_parse(hash, &phc) == 0 &&
	       phc.cost.ln == password_cost.ln && phc.cost.r == password_cost.r &&
	       phc.cost.p == password_cost.p;
}

/* ---- jobs ---- */

static void password_job_free(struct password_job *j)
{
	explicit_bzero(j->password, sizeof j->password);
	explicit_bzero(j->key, sizeof j->key);
	free(j);
}

static void password_start(struct passwords *p);

/* On a thread. */
static void password_job_run(void *arg)
{
	struct password_job *j = arg;
	struct str salt = {(const char *)j->phc.salt, j->phc.salt_len};

	j->e = digest_scrypt((struct str){j->password, j->password_len}, salt, &j->phc.cost,
			     j->key);
}

static void password_job_tell(struct password_job *j)
{
	struct str salt = {(const char *)j->phc.salt, j->phc.salt_len};
	char hash[RIGHTS_HASH_TEXT];
	int e = j->e;

	if (j->on_hash != NULL) {
		if (e == 0)
			password_format(&j->phc.cost, salt, j->key, hash);
		j->on_hash(j->arg, e, e == 0 ? hash : NULL);
		return;
	}
	if (e == 0 && (!digest_same(j->key, j->phc.key, sizeof j->key) || j->nobody))
		e = ERR_AUTH;
	j->on_check(j->arg, e);
}

static void password_job_on_done(void *arg)
{
	struct password_job *j = arg;
	struct passwords *p = j->owner;

	if (p != NULL) {
		list_del(&j->link);
		p->n_running--;
		password_start(p);
	}
	j->running = false;
	if (!j->cancelled)
		password_job_tell(j);
	password_job_free(j);
}

/* Let those run that may. */
static void password_start(struct passwords *p)
{
	while (p->n_running < PASSWORD_JOBS_MAX && !list_empty(&p->waiting)) {
		struct password_job *j =
			CONTAINER_OF(list_pop(&p->waiting), struct password_job, link);

		p->n_waiting--;
		p->n_running++;
		p->n_jobs++;
		j->running = true;
		list_push(&p->running, &j->link);
		if (ev_work(p->ev, password_job_run, password_job_on_done, j) == 0)
			continue;
		j->e = ERR_NOMEM; /* told from the loop, as everything else */
		j->task = (struct ev_task){.fn = password_job_on_done, .arg = j};
		ev_task_run(p->ev, &j->task);
	}
}

static void password_queue(struct passwords *p, struct password_job *j)
{
	j->owner = p;
	list_push(&p->waiting, &j->link);
	p->n_waiting++;
	password_start(p);
}

/* A job with its password. Returns NULL when there is no memory, or too many wait (*e). */
static struct password_job *password_job_new(struct passwords *p, struct str password, int *e)
{
	struct password_job *j;

	*e = p->n_waiting >= PASSWORD_QUEUE_MAX ? ERR_LIMIT : ERR_NOMEM;
	if (*e == ERR_LIMIT || (j = calloc(1, sizeof *j)) == NULL)
		return NULL;
	j->password_len = password.len;
	if (password.len > 0)
		memcpy(j->password, password.p, password.len);
	j->phc.cost = password_cost;
	j->phc.salt_len = PASSWORD_SALT_LEN;
	ev_random(p->ev, j->phc.salt, PASSWORD_SALT_LEN);
	return j;
}

int password_hash(struct passwords *p, struct str password,
		  void (*done)(void *arg, int e, const char *hash), void *arg,
		  struct password_job **job)
{
	struct password_job *j;
	int e;

	if (password.len == 0)
		return ERR_INVAL;
	if (password.len > PASSWORD_MAX)
		return ERR_TOOBIG;
	if ((j = password_job_new(p, password, &e)) == NULL)
		return e;
	j->on_hash = done;
	j->arg = arg;
	*job = j;
	password_queue(p, j);
	return 0;
}

int password_check(struct passwords *p, const struct password_check *check,
		   void (*done)(void *arg, int e), void *arg, struct password_job **job)
{
	bool fits = check->password.len > 0 && check->password.len <= PASSWORD_MAX;
	struct password_phc phc;
	struct password_job *j;
	int e;

	if ((j = password_job_new(p, fits ? check->password : STR("?"), &e)) == NULL)
		return e;
	j->on_check = done;
	j->arg = arg;
	j->nobody = !fits || check->hash.len == 0;
	if (check->hash.len > 0) {
		if (password_parse(check->hash, &phc) != 0)
			j->phc.cost = (struct digest_cost){0}; /* refused by digest_scrypt() */
		else
			j->phc = phc;
	}
	*job = j;
	password_queue(p, j);
	return 0;
}

void password_cancel(struct password_job *j)
{
	if (j == NULL)
		return;
	j->cancelled = true;
	if (j->running)
		return; /* a thread has it */
	list_del(&j->link);
	j->owner->n_waiting--;
	password_job_free(j);
}

uint64_t password_n_jobs(const struct passwords *p)
{
	return p->n_jobs;
}

/* ---- life ---- */

int password_new(struct ev *ev, struct passwords **out)
{
	struct passwords *p = calloc(1, sizeof *p);

	if (p == NULL)
		return ERR_NOMEM;
	p->ev = ev;
	list_init(&p->waiting);
	list_init(&p->running);
	*out = p;
	return 0;
}

void password_free(struct passwords *p)
{
	if (p == NULL)
		return;
	while (!list_empty(&p->waiting))
		password_job_free(CONTAINER_OF(list_pop(&p->waiting), struct password_job, link));
	while (!list_empty(&p->running)) {
		struct password_job *j =
			CONTAINER_OF(list_pop(&p->running), struct password_job, link);

		j->owner = NULL;
		j->cancelled = true;
	}
	ev_free_later(p->ev, p);
}
