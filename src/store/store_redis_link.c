/*
 * Where the master is, and being let in there.
 *
 * Two rules keep what was written safe. A connection counts only after ROLE said master, so no
 * replica is read or written by mistake. And before a new connection to the same Redis is used the
 * old one is killed there (CLIENT KILL): a Redis that was paused would otherwise still run commands
 * out of the old one's buffer after newer ones of the new one.
 */
#include "store/store_redis_link.h"

#include <hiredis/hiredis.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/num.h"
#include "store/store_redis.h"
#include "store/store_redis_conn.h"
#include "store/store_redis_script.h"

/* For a connection to be made, for a login, for the next reply. */
#define DEADLINE_MS STORE_REDIS_PATIENCE_MS

/* With nothing to do: ask after so long whether it is still there. */
#define IDLE_MS 2000

/* Between two rounds of tries: doubled each time, half of it by chance. */
#define BACKOFF_MIN_MS 50
#define BACKOFF_MAX_MS 2000

/* Bytes that may wait in hiredis: it moves all of them when the socket takes a part. */
#define WAITING_MAX (256 * 1024)

enum link_state { LINK_RESTING, LINK_CONNECTING, LINK_GREETING, LINK_UP };

/* What is said to a Redis first, each with a reply; all at once, judged in this order. */
enum link_step {
	STEP_AUTH,
	STEP_SELECT,
	STEP_ROLE,
	STEP_INFO,
	STEP_ID,
	STEP_NAME,
	STEP_CONFIG,
	STEP_HEAD,
	STEP_LOAD_WRITE,
	STEP_LOAD_LIST,
	STEP_LOAD_CHANGES,
	N_STEPS,
	STEP_KILL = N_STEPS, /* alone, when the others are done */
	STEP_MASTER,	     /* asked of a Sentinel */
	N_TAGS,
};

struct store_redis_link {
	struct ev *ev;				/* borrowed: outlives every store */
	const struct store_redis_link_ops *ops; /* borrowed */
	void *arg;				/* the owner's */
	struct store_redis_url url;
	enum link_state state;
	struct store_redis_conn *conn; /* owned; NULL while resting */
	struct ev_timer timer;	       /* of the state */
	struct buf out;		       /* a command being made */
	size_t n_pending;	       /* commands without a reply */
	bool wants_room;	       /* the owner was told that there is none */

	size_t at, n_tried; /* the host whose turn it is; how many of this round failed */
	bool to_master;	    /* the Sentinel has told: go to `master` */
	struct store_redis_host master;
	uint64_t backoff_ms, up_ms;

	char peer_name[HOSTNAME_MAX + 10];
	struct store_redis_peer peer;
	uint64_t client_id;	/* ours there; 0: it did not tell */
	uint64_t old_client_id; /* of the connection before, and of which Redis */
	char old_run_id[STORE_REDIS_RUN_ID + 1];
	bool evicts;
	char channels[STORE_REDIS_CHANNELS_MAX][STORE_REDIS_CHANNEL_MAX + 1];
	size_t n_channels; /* 0: commands are sent */
	char why[400];
	char tags[N_TAGS]; /* their addresses tell the replies of ours apart */
};

static void link_connect(struct store_redis_link *l);

/* ---- states ---- */

static void link_set_state(struct store_redis_link *l, enum link_state to)
{
	static const unsigned char legal[][4] = {
		[LINK_RESTING] = {[LINK_CONNECTING] = 1},
		[LINK_CONNECTING] =
			{[LINK_GREETING] = 1, [LINK_CONNECTING] = 1, [LINK_RESTING] = 1},
		[LINK_GREETING] = {[LINK_UP] = 1, [LINK_CONNECTING] = 1, [LINK_RESTING] = 1},
		[LINK_UP] = {[LINK_RESTING] = 1},
	};

	CHECK(legal[l->state][to]);
	l->state = to;
}

static void link_rest(struct store_redis_link *l)
{
	uint64_t half = l->backoff_ms / 2;

	link_set_state(l, LINK_RESTING);
	l->n_tried = 0;
	ev_timer_set(l->ev, &l->timer, half + ev_random_below(l->ev, half + 1));
	l->backoff_ms = MIN(2 * l->backoff_ms, BACKOFF_MAX_MS);
}

/* This host will not do: the next one, or a rest when all were tried. */
static void link_fail(struct store_redis_link *l, int e, const char *why)
{
	bool was_up = l->state == LINK_UP;
	struct str clause = str_of(why);

	/* Redis ends its sentences, ours go on. */
	if (clause.len > 0 && clause.p[clause.len - 1] == '.')
		clause.len--;
	str_printf(l->why, sizeof l->why, "%s: " STR_FMT, l->peer_name, STR_ARG(clause));
	store_redis_conn_drop(l->conn);
	l->conn = NULL;
	l->n_pending = 0;
	l->wants_room = false;
	l->to_master = false;
	if (was_up) {
		/* The same host first: most often it was only restarted. */
		if (ev_now_ms(l->ev) - l->up_ms > DEADLINE_MS)
			l->backoff_ms = BACKOFF_MIN_MS;
		link_rest(l);
		l->ops->lost(l->arg);
		return;
	}
	l->at = (l->at + 1) % MAX(l->url.n_hosts, 1);
	if (++l->n_tried < l->url.n_hosts)
		link_connect(l);
	else
		link_rest(l);
	l->ops->failed(l->arg, e);
}

/* ---- the login ---- */

static int link_say(struct store_redis_link *l, enum link_step step, const struct str *words,
		    size_t n)
{
	int e = store_redis_resp_words(&l->out, words, n);

	if (e == 0)
		e = store_redis_conn_send(l->conn, buf_str(&l->out), &l->tags[step]);
	if (e == 0)
		l->n_pending++;
	buf_free(&l->out);
	return e;
}

#define LINK_SAY(l, step, ...)                               \
	link_say(l, step, (const struct str[]){__VA_ARGS__}, \
		 ARRAY_LEN(((const struct str[]){__VA_ARGS__})))

static int link_say_auth(struct store_redis_link *l, const char *user, const char *password)
{
	if (password[0] == '\0')
		return 0;
	if (user[0] == '\0')
		return LINK_SAY(l, STEP_AUTH, STR("AUTH"), str_of(password));
	return LINK_SAY(l, STEP_AUTH, STR("AUTH"), str_of(user), str_of(password));
}

/* Channels know no databases, and nobody writes here. */
static int link_greet_listening(struct store_redis_link *l)
{
	int e;

	if ((e = link_say_auth(l, l->url.user, l->url.password)) != 0 ||
	    (e = LINK_SAY(l, STEP_ROLE, STR("ROLE"))) != 0 ||
	    (e = LINK_SAY(l, STEP_INFO, STR("INFO"), STR("server"))) != 0 ||
	    (e = LINK_SAY(l, STEP_ID, STR("CLIENT"), STR("ID"))) != 0)
		return e;
	return LINK_SAY(l, STEP_NAME, STR("CLIENT"), STR("SETNAME"), STR("karezd-bus"));
}

static int link_greet(struct store_redis_link *l)
{
	char db[16];
	int e;

	str_printf(db, sizeof db, "%u", l->url.db);
	if (l->n_channels > 0)
		return link_greet_listening(l);
	if ((e = link_say_auth(l, l->url.user, l->url.password)) != 0 ||
	    (e = LINK_SAY(l, STEP_SELECT, STR("SELECT"), str_of(db))) != 0 ||
	    (e = LINK_SAY(l, STEP_ROLE, STR("ROLE"))) != 0 ||
	    (e = LINK_SAY(l, STEP_INFO, STR("INFO"), STR("server"))) != 0 ||
	    (e = LINK_SAY(l, STEP_ID, STR("CLIENT"), STR("ID"))) != 0 ||
	    (e = LINK_SAY(l, STEP_NAME, STR("CLIENT"), STR("SETNAME"), STR("karezd"))) != 0 ||
	    (e = LINK_SAY(l, STEP_CONFIG, STR("CONFIG"), STR("GET"), STR("maxmemory*"))) != 0 ||
	    (e = LINK_SAY(l, STEP_HEAD, STR("GET"), STR(STORE_REDIS_HEAD))) != 0 ||
	    (e = LINK_SAY(l, STEP_LOAD_WRITE, STR("SCRIPT"), STR("LOAD"),
			  str_of(store_redis_script_write))) != 0 ||
	    (e = LINK_SAY(l, STEP_LOAD_LIST, STR("SCRIPT"), STR("LOAD"),
			  str_of(store_redis_script_list))) != 0)
		return e;
	return LINK_SAY(l, STEP_LOAD_CHANGES, STR("SCRIPT"), STR("LOAD"),
			str_of(store_redis_script_changes));
}

static int link_greet_sentinel(struct store_redis_link *l)
{
	int e = link_say_auth(l, "", l->url.sentinel_password);

	if (e != 0)
		return e;
	return LINK_SAY(l, STEP_MASTER, STR("SENTINEL"), STR("get-master-addr-by-name"),
			str_of(l->url.master));
}

static bool link_at_sentinel(const struct store_redis_link *l)
{
	return l->url.kind == STORE_REDIS_SENTINEL && !l->to_master;
}

static void link_on_connected(void *arg)
{
	struct store_redis_link *l = arg;
	int e;

	link_set_state(l, LINK_GREETING);
	ev_timer_set(l->ev, &l->timer, DEADLINE_MS);
	memset(&l->peer, 0, sizeof l->peer);
	str_printf(l->peer.run_id, sizeof l->peer.run_id, "-");
	l->client_id = 0;
	e = link_at_sentinel(l) ? link_greet_sentinel(l) : link_greet(l);
	if (e != 0)
		link_fail(l, e, err_text(e));
}

static struct str link_text(const redisReply *r)
{
	if (r->type != REDIS_REPLY_STRING && r->type != REDIS_REPLY_STATUS &&
	    r->type != REDIS_REPLY_ERROR)
		return (struct str){0};
	return (struct str){r->str, r->len};
}

static bool link_is_hex(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

/* "run_id:7b0c..." among the lines of INFO. */
static void link_read_info(struct store_redis_link *l, const redisReply *r)
{
	struct str rest = link_text(r), line, run_id = STR("run_id:");

	while (str_next(&rest, '\n', &line)) {
		struct str id = {line.p + run_id.len, 0};

		if (!str_starts(line, run_id))
			continue;
		while (run_id.len + id.len < line.len && link_is_hex(id.p[id.len]))
			id.len++;
		if (id.len == 0 || str_copy(l->peer.run_id, sizeof l->peer.run_id, id) != 0)
			str_printf(l->peer.run_id, sizeof l->peer.run_id, "-");
	}
}

/* Names and values by turns. */
static void link_read_config(struct store_redis_link *l, const redisReply *r)
{
	bool bounded = false, keeps = true;

	if (r->type != REDIS_REPLY_ARRAY)
		return;
	for (size_t i = 0; i + 1 < r->elements; i += 2) {
		struct str name = link_text(r->element[i]), value = link_text(r->element[i + 1]);

		if (str_eq(name, STR("maxmemory")))
			bounded = !str_eq(value, STR("0"));
		else if (str_eq(name, STR("maxmemory-policy")))
			keeps = str_eq(value, STR("noeviction"));
	}
	l->evicts = bounded && !keeps;
}

/* Returns 0, or an ERR_* when the records are not for this karez. */
static int link_read_head(const redisReply *r, const char **why)
{
	struct str rest = link_text(r), word;
	uint64_t schema;

	if (r->type == REDIS_REPLY_NIL)
		return 0;
	if (!str_next(&rest, ' ', &word) || num_parse(word, UINT32_MAX, &schema) != 0 ||
	    schema == 0) {
		*why = "its key " STORE_REDIS_HEAD " is not karez's; use another database";
		return ERR_UNSUPPORTED;
	}
	if (schema > STORE_REDIS_SCHEMA) {
		*why = "a newer karez wrote the records there; run that karez, or use another "
		       "database";
		return ERR_UNSUPPORTED;
	}
	return 0;
}

static int link_read_sha(const redisReply *r, char out[STORE_REDIS_SHA + 1], const char **why)
{
	struct str sha = link_text(r);

	*why = "it does not take scripts (SCRIPT LOAD)";
	if (r->type != REDIS_REPLY_STRING || sha.len != STORE_REDIS_SHA)
		return ERR_IO;
	return str_copy(out, STORE_REDIS_SHA + 1, sha);
}

static int link_read_role(const redisReply *r, const char **why)
{
	*why = "it is not a master";
	if (r->type != REDIS_REPLY_ARRAY || r->elements < 1 ||
	    !str_eq(link_text(r->element[0]), STR("master")))
		return ERR_IO;
	return 0;
}

/* Which ERR_* a refusal of the login is; anything else may pass with time. */
static int link_login_error(const redisReply *r, enum link_step step)
{
	static const char *const denied[] = {"NOAUTH", "WRONGPASS", "NOPERM"};

	for (size_t i = 0; i < ARRAY_LEN(denied); i++)
		if (store_redis_resp_is_error(r, denied[i]))
			return ERR_DENIED;
	if (!store_redis_resp_is_error(r, "ERR"))
		return ERR_IO;
	return step == STEP_AUTH ? ERR_DENIED : step == STEP_SELECT ? ERR_INVAL : ERR_IO;
}

/* Redis' words about a refusal. Of a command that it does not know it repeats the words, and those
 * of AUTH are for nobody's log. */
static const char *link_refusal(enum link_step step, const redisReply *r)
{
	struct str text = link_text(r);

	if (step == STEP_AUTH && memmem(text.p, text.len, "args", 4) != NULL)
		return "it does not know the command AUTH";
	return r->str;
}

/* Are we let in? Returns 0, or an ERR_* and why. */
static int link_judge(struct store_redis_link *l, enum link_step step, const redisReply *r,
		      const char **why)
{
	bool needed = step != STEP_INFO && step != STEP_ID && step != STEP_NAME &&
		      step != STEP_CONFIG && step != STEP_KILL;

	if (r->type == REDIS_REPLY_ERROR && needed) {
		*why = link_refusal(step, r);
		return link_login_error(r, step);
	}
	switch (step) {
	case STEP_ROLE: return link_read_role(r, why);
	case STEP_INFO: link_read_info(l, r); break;
	case STEP_ID:
		if (r->type == REDIS_REPLY_INTEGER && r->integer > 0)
			l->client_id = (uint64_t)r->integer;
		break;
	case STEP_CONFIG: link_read_config(l, r); break;
	case STEP_HEAD: return link_read_head(r, why);
	case STEP_LOAD_WRITE: return link_read_sha(r, l->peer.write_sha, why);
	case STEP_LOAD_LIST: return link_read_sha(r, l->peer.list_sha, why);
	case STEP_LOAD_CHANGES: return link_read_sha(r, l->peer.changes_sha, why);
	default: break;
	}
	return 0;
}

/* The first n channels; each is confirmed by itself. Asked for again it proves that Redis is there:
 * hiredis before 1.1 loses the reply to a PING here. */
static int link_subscribe(struct store_redis_link *l, size_t n)
{
	struct str words[1 + STORE_REDIS_CHANNELS_MAX] = {STR("SUBSCRIBE")};
	int e;

	for (size_t i = 0; i < n; i++)
		words[1 + i] = str_of(l->channels[i]);
	/* hiredis looks for names in it as in a text that ends */
	if ((e = store_redis_resp_words(&l->out, words, 1 + n)) == 0 &&
	    (e = buf_add(&l->out, "", 1, STORE_REDIS_COMMAND_MAX)) == 0)
		e = store_redis_conn_listen(l->conn,
					    (struct str){buf_str(&l->out).p, l->out.len - 1});
	if (e == 0)
		l->n_pending += n;
	buf_free(&l->out);
	return e;
}

static void link_rise(struct store_redis_link *l)
{
	link_set_state(l, LINK_UP);
	l->n_tried = 0;
	l->up_ms = ev_now_ms(l->ev);
	l->old_client_id = l->client_id;
	memcpy(l->old_run_id, l->peer.run_id, sizeof l->old_run_id);
	ev_timer_set(l->ev, &l->timer, IDLE_MS);
	l->ops->up(l->arg);
}

/* All of the login is done. */
static int link_enter(struct store_redis_link *l)
{
	if (l->n_channels > 0)
		return link_subscribe(l, l->n_channels);
	link_rise(l);
	return 0;
}

/* Ids of clients count from 1 again after a restart: another run's is somebody else. */
static int link_kill_old(struct store_redis_link *l)
{
	char id[24];

	if (l->old_client_id == 0 || strcmp(l->peer.run_id, "-") == 0 ||
	    strcmp(l->peer.run_id, l->old_run_id) != 0)
		return link_enter(l);
	str_printf(id, sizeof id, "%llu", (unsigned long long)l->old_client_id);
	return LINK_SAY(l, STEP_KILL, STR("CLIENT"), STR("KILL"), STR("ID"), str_of(id));
}

/* A Sentinel's answer: host and port. */
static void link_on_master(struct store_redis_link *l, const redisReply *r)
{
	uint64_t port;

	if (r->type != REDIS_REPLY_ARRAY || r->elements != 2 ||
	    str_copy(l->master.name, sizeof l->master.name, link_text(r->element[0])) != 0 ||
	    num_parse(link_text(r->element[1]), UINT16_MAX, &port) != 0) {
		char why[STORE_REDIS_WORD_MAX + 80];

		str_printf(why, sizeof why, "this Sentinel knows no master named \"%s\"",
			   l->url.master);
		link_fail(l, ERR_IO, why);
		return;
	}
	l->master.port = (uint16_t)port;
	l->to_master = true;
	store_redis_conn_drop(l->conn);
	l->conn = NULL;
	l->n_pending = 0;
	link_connect(l);
}

static void link_on_step(struct store_redis_link *l, enum link_step step, const redisReply *r)
{
	enum link_step last = l->n_channels > 0 ? STEP_NAME : STEP_LOAD_CHANGES;
	const char *why = NULL;
	int e = link_judge(l, step, r, &why);

	if (e == 0 && step == STEP_MASTER)
		link_on_master(l, r);
	else if (e == 0 && step == last && l->state == LINK_GREETING)
		e = link_kill_old(l);
	else if (e == 0 && step == STEP_KILL)
		e = link_enter(l);
	if (e != 0)
		link_fail(l, e, why != NULL ? why : err_text(e));
}

/* ---- the connection's ---- */

static void link_on_reply(void *arg, void *tag, const redisReply *r)
{
	struct store_redis_link *l = arg;
	char *step = tag;

	l->n_pending--;
	if (l->state == LINK_UP && l->n_pending == 0)
		ev_timer_set(l->ev, &l->timer, IDLE_MS);
	if (l->state == LINK_UP)
		l->ops->reply(l->arg, tag, r);
	else
		link_on_step(l, (enum link_step)(step - l->tags), r);
}

/* {"subscribe", channel, how many}, or {"message", channel, what} */
static void link_on_pushed(void *arg, const redisReply *r)
{
	struct store_redis_link *l = arg;
	struct str kind;

	if (r->type != REDIS_REPLY_ARRAY || r->elements != 3)
		return;
	kind = link_text(r->element[0]);
	if (str_eq(kind, STR("message")) && l->state == LINK_UP)
		l->ops->message(l->arg, link_text(r->element[2]));
	if (!str_eq(kind, STR("subscribe")) || l->n_pending == 0 || --l->n_pending > 0)
		return;
	if (l->state == LINK_UP)
		ev_timer_set(l->ev, &l->timer, IDLE_MS);
	else
		link_rise(l);
}

static void link_on_progress(void *arg)
{
	struct store_redis_link *l = arg;

	if (l->state == LINK_CONNECTING || (l->state == LINK_UP && l->n_pending > 0))
		ev_timer_set(l->ev, &l->timer, DEADLINE_MS);
	if (l->wants_room && store_redis_link_has_room(l)) {
		l->wants_room = false;
		l->ops->room(l->arg);
	}
}

static void link_on_broken(void *arg, const char *why)
{
	struct store_redis_link *l = arg;

	l->conn = NULL;
	link_fail(l, ERR_IO, why);
}

static const struct store_redis_conn_ops link_conn_ops = {
	.connected = link_on_connected,
	.reply = link_on_reply,
	.pushed = link_on_pushed,
	.progress = link_on_progress,
	.broken = link_on_broken,
};

static void link_connect(struct store_redis_link *l)
{
	const struct store_redis_host *host = l->to_master ? &l->master : &l->url.hosts[l->at];
	struct store_redis_conn_to to = {.host = host->name, .port = host->port};
	int e;

	link_set_state(l, LINK_CONNECTING);
	if (l->url.kind == STORE_REDIS_UNIX) {
		to = (struct store_redis_conn_to){.path = l->url.path};
		str_printf(l->peer_name, sizeof l->peer_name, "%s", l->url.path);
	} else {
		str_printf(l->peer_name, sizeof l->peer_name,
			   strchr(host->name, ':') != NULL ? "[%s]:%u" : "%s:%u", host->name,
			   host->port);
	}
	ev_timer_set(l->ev, &l->timer, DEADLINE_MS);
	if ((e = store_redis_conn_new(l->ev, &to, &link_conn_ops, l, &l->conn)) != 0)
		link_fail(l, e, err_text(e));
}

static void link_ping(struct store_redis_link *l)
{
	struct str word = STR("PING");
	struct buf command = {0};
	int e = 0;

	if (l->n_channels > 0) {
		if ((e = link_subscribe(l, 1)) != 0)
			link_fail(l, e, err_text(e));
		else
			ev_timer_set(l->ev, &l->timer, DEADLINE_MS);
		return;
	}
	if ((e = store_redis_resp_words(&command, &word, 1)) == 0)
		e = store_redis_link_send(l, buf_str(&command), NULL);
	buf_free(&command);
	if (e != 0)
		link_fail(l, e, err_text(e));
}

static void link_on_timer(void *arg)
{
	struct store_redis_link *l = arg;

	switch (l->state) {
	case LINK_RESTING: link_connect(l); return;
	case LINK_CONNECTING:
		if (store_redis_conn_resolving(l->conn))
			ev_timer_set(l->ev, &l->timer, DEADLINE_MS);
		else
			link_fail(l, ERR_TIMEOUT, "no connection within 2 s");
		return;
	case LINK_GREETING: link_fail(l, ERR_TIMEOUT, "no answer to the login within 2 s"); return;
	case LINK_UP: break;
	}
	if (l->n_pending == 0)
		link_ping(l);
	else
		link_fail(l, ERR_TIMEOUT, "no answer within 2 s");
}

/* ---- the owner's ---- */

int store_redis_link_new(struct ev *ev, const struct store_redis_url *url,
			 const struct store_redis_link_ops *ops, void *arg,
			 struct store_redis_link **out)
{
	struct store_redis_link *l = calloc(1, sizeof *l);

	if (l == NULL)
		return ERR_NOMEM;
	l->ev = ev;
	l->ops = ops;
	l->arg = arg;
	l->url = *url;
	l->backoff_ms = BACKOFF_MIN_MS;
	l->timer = (struct ev_timer){.fn = link_on_timer, .arg = l};
	str_printf(l->why, sizeof l->why, "no answer within 2 s");
	ev_timer_set(ev, &l->timer, 0);
	*out = l;
	return 0;
}

void store_redis_link_listen(struct store_redis_link *l, struct str channel)
{
	CHECK(l->state == LINK_RESTING && l->n_channels < STORE_REDIS_CHANNELS_MAX &&
	      channel.len <= STORE_REDIS_CHANNEL_MAX);
	str_printf(l->channels[l->n_channels++], STORE_REDIS_CHANNEL_MAX + 1, STR_FMT,
		   STR_ARG(channel));
}

void store_redis_link_free(struct store_redis_link *l)
{
	if (l == NULL)
		return;
	ev_timer_stop(l->ev, &l->timer);
	store_redis_conn_drop(l->conn);
	buf_free(&l->out);
	explicit_bzero(&l->url, sizeof l->url);
	ev_free_later(l->ev, l);
}

bool store_redis_link_is_up(const struct store_redis_link *l)
{
	return l->state == LINK_UP;
}

size_t store_redis_link_pending(const struct store_redis_link *l)
{
	return l->n_pending;
}

bool store_redis_link_has_room(const struct store_redis_link *l)
{
	return l->state == LINK_UP && store_redis_conn_waiting(l->conn) < WAITING_MAX;
}

int store_redis_link_send(struct store_redis_link *l, struct str command, void *tag)
{
	int e;

	CHECK(l->n_channels == 0);
	if (l->state != LINK_UP)
		return ERR_CLOSED;
	if ((e = store_redis_conn_send(l->conn, command, tag)) != 0)
		return e;
	if (l->n_pending++ == 0)
		ev_timer_set(l->ev, &l->timer, DEADLINE_MS);
	if (store_redis_conn_waiting(l->conn) >= WAITING_MAX)
		l->wants_room = true;
	return 0;
}

void store_redis_link_flush(struct store_redis_link *l)
{
	if (l->state == LINK_UP)
		store_redis_conn_flush(l->conn);
}

void store_redis_link_reopen(struct store_redis_link *l, const char *why)
{
	if (l->state == LINK_UP)
		link_fail(l, ERR_IO, why);
}

const char *store_redis_link_why(const struct store_redis_link *l)
{
	return l->why;
}

const char *store_redis_link_peer_name(const struct store_redis_link *l)
{
	return l->peer_name;
}

const struct store_redis_peer *store_redis_link_peer(const struct store_redis_link *l)
{
	return &l->peer;
}

bool store_redis_link_evicts(const struct store_redis_link *l)
{
	return l->evicts;
}
