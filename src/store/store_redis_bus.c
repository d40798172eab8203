/*
 * Commands wait here when Redis is slow, not in hiredis, which moves all that waits whenever the
 * socket takes a part of it.
 */
#include "store/store_redis_bus.h"

#include <hiredis/hiredis.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/show.h"
#include "store/store_redis_link.h"
#include "store/store_redis_script.h"

/* Commands without a reply, at most: each costs hiredis some bytes. */
#define PENDING_MAX 16384

enum bus_tag { TAG_SCRIPT, TAG_BEAT, TAG_READ, TAG_SENT, N_TAGS };

/* A command that waits to be sent. */
struct bus_command {
	struct list link;
	enum bus_tag tag;
	size_t len;
	char bytes[];
};

struct store_redis_bus {
	struct ev *ev; /* borrowed: outlives it */
	struct log *log;
	const struct store_redis_bus_ops *ops;	    /* borrowed */
	void *arg;				    /* the owner's */
	struct store_redis_link *teller, *listener; /* owned */
	char shown[STORE_REDIS_WHERE_MAX + 8];
	char id[STORE_REDIS_BUS_ID_MAX + 1];
	char all[STORE_REDIS_CHANNEL_MAX + 1]; /* the channel */
	char sha[STORE_REDIS_SHA + 1];	       /* of the script there; "": not known */
	uint32_t lease_ms, head_len;
	struct buf out;	     /* a command being made */
	struct list waiting; /* owned: of bus_command */
	size_t waiting_bytes;
	bool up;
	bool said;    /* in the log: that it is not up */
	bool refused; /* in the log: that Redis refuses something */
	char tags[N_TAGS];
};

/* ---- sending ---- */

static bool bus_has_room(const struct store_redis_bus *b)
{
	return store_redis_link_has_room(b->teller) &&
	       store_redis_link_pending(b->teller) < PENDING_MAX;
}

static void bus_pump(struct store_redis_bus *b)
{
	while (!list_empty(&b->waiting) && bus_has_room(b)) {
		struct bus_command *command =
			CONTAINER_OF(list_pop(&b->waiting), struct bus_command, link);
		struct str bytes = {command->bytes, command->len};

		b->waiting_bytes -= sizeof *command + command->len;
		/* when it fails it is breaking, and all of them go */
		(void)!store_redis_link_send(b->teller, bytes, &b->tags[command->tag]);
		free(command);
	}
}

static int bus_wait(struct store_redis_bus *b, struct str bytes, enum bus_tag tag)
{
	struct bus_command *command;

	if (b->waiting_bytes + sizeof *command + bytes.len > STORE_REDIS_BUS_WAITING_MAX)
		return ERR_LIMIT;
	if ((command = malloc(sizeof *command + bytes.len)) == NULL)
		return ERR_NOMEM;
	*command = (struct bus_command){.tag = tag, .len = bytes.len};
	memcpy(command->bytes, bytes.p, bytes.len);
	list_push(&b->waiting, &command->link);
	b->waiting_bytes += sizeof *command + bytes.len;
	return 0;
}

static int bus_say(struct store_redis_bus *b, enum bus_tag tag, const struct str *words, size_t n)
{
	int e = store_redis_resp_words(&b->out, words, n);

	if (e == 0 && list_empty(&b->waiting) && bus_has_room(b))
		e = store_redis_link_send(b->teller, buf_str(&b->out), &b->tags[tag]);
	else if (e == 0)
		e = bus_wait(b, buf_str(&b->out), tag);
	buf_free(&b->out);
	return e;
}

static void bus_forget(struct store_redis_bus *b)
{
	struct list *link;

	while ((link = list_pop(&b->waiting)) != NULL)
		free(CONTAINER_OF(link, struct bus_command, link));
	b->waiting_bytes = 0;
}

static struct str bus_join(char *out, size_t cap, const char *prefix, const char *id)
{
	return (struct str){out, str_printf(out, cap, "%s%s", prefix, id)};
}

static int bus_run(struct store_redis_bus *b, struct str verb, enum bus_tag tag, struct str message)
{
	char node[STORE_REDIS_CHANNEL_MAX], lease[16], max[16], len[16];
	struct str words[] = {
		STR("EVALSHA"),
		str_of(b->sha),
		STR("2"),
		STR(STORE_REDIS_NODES),
		bus_join(node, sizeof node, STORE_REDIS_NODE, b->id),
		verb,
		str_of(b->id),
		{lease, str_printf(lease, sizeof lease, "%u", b->lease_ms)},
		str_of(b->all),
		message,
		{max, str_printf(max, sizeof max, "%u", STORE_REDIS_BUS_NODES_MAX)},
		{len, str_printf(len, sizeof len, "%u", b->head_len)},
	};

	if (!b->up)
		return ERR_CLOSED;
	if (message.len > STORE_REDIS_BUS_MESSAGE_MAX)
		return ERR_TOOBIG;
	return bus_say(b, tag, words, ARRAY_LEN(words));
}

int store_redis_bus_send(struct store_redis_bus *b, const char *to, struct str message)
{
	char channel[2 * STORE_REDIS_CHANNEL_MAX], colon_id[STORE_REDIS_CHANNEL_MAX];
	struct str words[] = {STR("PUBLISH"), str_of(b->all), message};

	if (!b->up)
		return ERR_CLOSED;
	if (message.len > STORE_REDIS_BUS_MESSAGE_MAX)
		return ERR_TOOBIG;
	if (to != NULL) {
		bus_join(colon_id, sizeof colon_id, ":", to);
		words[1] = bus_join(channel, sizeof channel, b->all, colon_id);
	}
	return bus_say(b, TAG_SENT, words, ARRAY_LEN(words));
}

int store_redis_bus_beat(struct store_redis_bus *b, struct str message)
{
	return bus_run(b, STR("beat"), TAG_BEAT, message);
}

int store_redis_bus_look(struct store_redis_bus *b)
{
	return bus_run(b, STR("look"), TAG_BEAT, STR(""));
}

int store_redis_bus_read(struct store_redis_bus *b, const char *id)
{
	char node[2 * STORE_REDIS_CHANNEL_MAX];
	struct str words[] = {STR("GET"), bus_join(node, sizeof node, STORE_REDIS_NODE, id)};

	return b->up ? bus_say(b, TAG_READ, words, ARRAY_LEN(words)) : ERR_CLOSED;
}

/* ---- up and down ---- */

static void bus_fall(struct store_redis_bus *b, const struct store_redis_link *link)
{
	bus_forget(b);
	if (!b->up)
		return;
	b->up = false;
	log_error(b->log, "bus=%s lost: %s; other nodes are not heard until it is back", b->shown,
		  store_redis_link_why(link));
	b->said = true;
	b->ops->lost(b->arg);
}

/* Are the two at one Redis? One that does not tell who it is is believed. */
static bool bus_agrees(const struct store_redis_bus *b)
{
	const char *teller = store_redis_link_peer(b->teller)->run_id;
	const char *listener = store_redis_link_peer(b->listener)->run_id;

	return strcmp(teller, "-") == 0 || strcmp(listener, "-") == 0 ||
	       strcmp(teller, listener) == 0;
}

/* newer: the link that has come up last; where the other one is was right before that. */
static void bus_rise(struct store_redis_bus *b, struct store_redis_link *newer)
{
	struct store_redis_link *older = newer == b->teller ? b->listener : b->teller;

	if (b->up || !store_redis_link_is_up(older) || !store_redis_link_is_up(newer))
		return;
	if (!bus_agrees(b)) {
		store_redis_link_reopen(older, "another Redis is master now");
		return;
	}
	if (b->sha[0] == '\0')
		return;
	b->up = true;
	if (b->said)
		log_info(b->log, "bus=%s works again, at %s", b->shown,
			 store_redis_link_peer_name(b->teller));
	b->said = b->refused = false;
	b->ops->up(b->arg);
}

static void bus_load(struct store_redis_bus *b)
{
	struct str words[] = {STR("SCRIPT"), STR("LOAD"), str_of(store_redis_script_beat)};

	if (bus_say(b, TAG_SCRIPT, words, ARRAY_LEN(words)) != 0)
		store_redis_link_reopen(b->teller, "out of memory");
}

static void bus_on_failed(struct store_redis_bus *b, const struct store_redis_link *link)
{
	if (!b->said)
		log_warn(b->log,
			 "bus=%s cannot be used: %s; other nodes are not heard until it can",
			 b->shown, store_redis_link_why(link));
	b->said = true;
}

/* ---- replies ---- */

/* Redis' own words go into the log. */
static void bus_on_refusal(struct store_redis_bus *b, struct str why)
{
	char clause[200];

	show_quoted(clause, sizeof clause, why);
	if (!b->refused)
		log_warn(b->log, "bus=%s refuses: %s; other nodes may not see this one", b->shown,
			 clause);
	b->refused = true;
}

static void bus_on_error(struct store_redis_bus *b, enum bus_tag tag, const redisReply *reply)
{
	enum store_redis_fault fault = store_redis_resp_fault(reply);

	if (fault == STORE_REDIS_MASTER)
		store_redis_link_reopen(b->teller, "it is no master any more, or not ready");
	else if (fault == STORE_REDIS_SCRIPT)
		bus_load(b); /* the next beat finds it */
	else if (tag == TAG_SCRIPT)
		store_redis_link_reopen(b->teller, "it does not take scripts (SCRIPT LOAD)");
	else
		bus_on_refusal(b, (struct str){reply->str, reply->len});
}

static void bus_on_script(struct store_redis_bus *b, const redisReply *reply)
{
	if (reply->type != REDIS_REPLY_STRING ||
	    str_copy(b->sha, sizeof b->sha, (struct str){reply->str, reply->len}) != 0)
		store_redis_link_reopen(b->teller, "it does not take scripts (SCRIPT LOAD)");
	else
		bus_rise(b, b->teller);
}

static void bus_on_beat(struct store_redis_bus *b, const redisReply *reply)
{
	struct str heads[STORE_REDIS_BUS_NODES_MAX], why;
	size_t n = 0;

	if (reply->type != REDIS_REPLY_ARRAY || reply->elements < 1 ||
	    reply->element[0]->type != REDIS_REPLY_STRING)
		return;
	why = (struct str){reply->element[0]->str, reply->element[0]->len};
	if (why.len > 0 && memmem(why.p, why.len, "READONLY", 8) != NULL) {
		store_redis_link_reopen(b->teller, "it is no master any more");
		return;
	}
	if (why.len > 0)
		bus_on_refusal(b, why);
	for (size_t i = 1; i < reply->elements && n < ARRAY_LEN(heads); i++)
		if (reply->element[i]->type == REDIS_REPLY_STRING)
			heads[n++] = (struct str){reply->element[i]->str, reply->element[i]->len};
	b->ops->leases(b->arg, heads, n);
}

static void bus_on_reply(void *arg, void *tag, const redisReply *reply)
{
	struct store_redis_bus *b = arg;
	enum bus_tag which = tag == NULL ? TAG_SENT : (enum bus_tag)((char *)tag - b->tags);

	if (reply->type == REDIS_REPLY_ERROR)
		bus_on_error(b, which, reply);
	else if (which == TAG_SCRIPT)
		bus_on_script(b, reply);
	else if (which == TAG_BEAT)
		bus_on_beat(b, reply);
	else if (which == TAG_READ && reply->type == REDIS_REPLY_STRING)
		b->ops->lease(b->arg, (struct str){reply->str, reply->len});
	bus_pump(b);
}

/* ---- the links' ---- */

static void bus_on_teller_up(void *arg)
{
	bus_load(arg);
}

static void bus_on_teller_lost(void *arg)
{
	struct store_redis_bus *b = arg;

	b->sha[0] = '\0';
	bus_fall(b, b->teller);
}

static void bus_on_teller_failed(void *arg, int e)
{
	struct store_redis_bus *b = arg;

	bus_on_failed(b, b->teller);
}

static void bus_on_room(void *arg)
{
	bus_pump(arg);
}

static const struct store_redis_link_ops bus_teller_ops = {
	.up = bus_on_teller_up,
	.lost = bus_on_teller_lost,
	.failed = bus_on_teller_failed,
	.reply = bus_on_reply,
	.room = bus_on_room,
};

static void bus_on_listener_up(void *arg)
{
	struct store_redis_bus *b = arg;

	bus_rise(b, b->listener);
}

static void bus_on_listener_lost(void *arg)
{
	struct store_redis_bus *b = arg;

	bus_fall(b, b->listener);
}

static void bus_on_listener_failed(void *arg, int e)
{
	struct store_redis_bus *b = arg;

	bus_on_failed(b, b->listener);
}

static void bus_on_message(void *arg, struct str message)
{
	struct store_redis_bus *b = arg;

	if (b->up)
		b->ops->message(b->arg, message);
}

static void bus_on_nothing(void *arg, void *tag, const redisReply *reply)
{
}

static const struct store_redis_link_ops bus_listener_ops = {
	.up = bus_on_listener_up,
	.lost = bus_on_listener_lost,
	.failed = bus_on_listener_failed,
	.reply = bus_on_nothing,
	.room = bus_on_room,
	.message = bus_on_message,
};

/* ---- life ---- */

static int bus_start(struct store_redis_bus *b, const struct store_redis_url *url)
{
	char channel[2 * STORE_REDIS_CHANNEL_MAX], colon_id[STORE_REDIS_CHANNEL_MAX];
	int e;

	str_printf(b->all, sizeof b->all, "%s%u", STORE_REDIS_BUS, url->db);
	bus_join(colon_id, sizeof colon_id, ":", b->id);
	if ((e = store_redis_link_new(b->ev, url, &bus_teller_ops, b, &b->teller)) != 0 ||
	    (e = store_redis_link_new(b->ev, url, &bus_listener_ops, b, &b->listener)) != 0)
		return e;
	store_redis_link_listen(b->listener, str_of(b->all));
	store_redis_link_listen(b->listener, bus_join(channel, sizeof channel, b->all, colon_id));
	return 0;
}

int store_redis_bus_new(struct ev *ev, const struct store_redis_bus_opt *opt,
			const struct store_redis_bus_ops *ops, void *arg,
			struct store_redis_bus **out)
{
	struct store_redis_bus *b = calloc(1, sizeof *b);
	struct store_redis_url url = {0};
	char why[STORE_REDIS_WHY];
	int e = ERR_NOMEM;

	if (b == NULL)
		goto out;
	b->ev = ev;
	b->log = opt->log;
	b->ops = ops;
	b->arg = arg;
	b->lease_ms = opt->lease_ms;
	b->head_len = opt->head_len;
	list_init(&b->waiting);
	store_redis_url_mask(str_of(opt->where), b->shown, sizeof b->shown);
	if ((e = str_copy(b->id, sizeof b->id, str_of(opt->id))) != 0 ||
	    (e = store_redis_url_parse(str_of(opt->where), &url, why)) != 0 ||
	    (e = store_redis_url_environment(&url)) != 0 || (e = bus_start(b, &url)) != 0)
		goto out;
	MOVE(*out, b);
out:
	explicit_bzero(&url, sizeof url);
	store_redis_bus_close(b, STR(""));
	return e;
}

void store_redis_bus_close(struct store_redis_bus *b, struct str last)
{
	if (b == NULL)
		return;
	if (b->up && bus_run(b, STR("bye"), TAG_SENT, last) == 0) {
		bus_pump(b);
		store_redis_link_flush(b->teller);
	}
	b->up = false;
	store_redis_link_free(b->teller);
	store_redis_link_free(b->listener);
	bus_forget(b);
	buf_free(&b->out);
	ev_free_later(b->ev, b);
}
