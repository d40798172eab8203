/* All that a node is told is kept, so a test can say what must not have come as well. */
#include "suite/bus_rig.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/err.h"

/* What a node beats: "beat ID NUMBER". */
#define BEAT "beat "

static void bus_rig_on_log(void *arg, enum log_level level, const char *line, size_t len)
{
	struct bus_rig *t = arg;

	if (level > LOG_INFO)
		return;
	str_printf(t->said, sizeof t->said, "%.*s", (int)len, line);
	t->n_errors += level == LOG_ERROR;
	t->n_warns += level == LOG_WARN;
	t->n_infos += level == LOG_INFO;
}

/* ---- what a node is told ---- */

static void bus_rig_then(struct bus_rig_node *n, void (**fn)(struct bus_rig_node *n))
{
	void (*then)(struct bus_rig_node *) = *fn;

	assert_false(n->inside); /* from the loop, never from inside a call */
	assert_non_null(n->bus); /* never after bus_close() */
	*fn = NULL;
	if (then != NULL)
		then(n);
}

static void bus_rig_on_heard(void *arg, struct str message)
{
	struct bus_rig_node *n = arg;

	assert_true(n->n_heard < BUS_RIG_HEARD);
	n->heard[n->n_heard].bytes = must_calloc(1, message.len + 1);
	if (message.len > 0)
		memcpy(n->heard[n->n_heard].bytes, message.p, message.len);
	n->heard[n->n_heard++].len = message.len;
	bus_rig_then(n, &n->on_heard);
}

static void bus_rig_on_gone(void *arg, const char *id)
{
	struct bus_rig_node *n = arg;

	assert_true(n->n_gone < ARRAY_LEN(n->gone));
	str_printf(n->gone[n->n_gone++], NODE_ID_TEXT, "%s", id);
	bus_rig_then(n, &n->on_gone);
}

static void bus_rig_on_up(void *arg, bool up)
{
	struct bus_rig_node *n = arg;

	assert_true(up != n->up);
	n->up = up;
	n->n_up += up;
	n->n_down += !up;
	bus_rig_then(n, &n->on_up);
}

static const struct bus_owner bus_rig_owner = {
	.heard = bus_rig_on_heard,
	.gone = bus_rig_on_gone,
	.up = bus_rig_on_up,
};

/* ---- what a node does ---- */

static void bus_rig_on_beat(void *arg)
{
	struct bus_rig_node *n = arg;
	char text[64];
	struct str message = {text,
			      str_printf(text, sizeof text, BEAT "%s %u", n->id, ++n->n_beats)};

	n->inside = true;
	if (!n->silent)
		bus_beat(n->bus, message);
	n->inside = false;
	ev_timer_set(n->rig->ev, &n->beat, BUS_BEAT_MS);
}

struct bus_rig_node *bus_rig_come(struct bus_rig *t, unsigned i)
{
	struct bus_rig_node *n = &t->nodes[i];
	int e;

	assert_null(n->bus);
	str_printf(n->id, sizeof n->id, "%016x", i);
	n->rig = t;
	n->beat = (struct ev_timer){.fn = bus_rig_on_beat, .arg = n};
	n->inside = true;
	if ((e = t->maker->make(t->ev, &t->log, n->id, &n->bus)) != 0)
		fail_msg("%s", err_name(e));
	bus_own(n->bus, &bus_rig_owner, n);
	bus_rig_on_beat(n);
	n->inside = false;
	return n;
}

void bus_rig_leave(struct bus_rig_node *n)
{
	struct bus *bus = n->bus;

	ev_timer_stop(n->rig->ev, &n->beat);
	n->bus = NULL;
	n->up = false;
	bus_close(bus);
}

int bus_rig_send(struct bus_rig_node *n, const char *to, struct str message)
{
	int e;

	n->inside = true;
	e = bus_send(n->bus, to, message);
	n->inside = false;
	return e;
}

unsigned bus_rig_heard(const struct bus_rig_node *n, struct str message)
{
	unsigned count = 0;

	for (size_t i = 0; i < n->n_heard; i++)
		count += str_eq((struct str){n->heard[i].bytes, n->heard[i].len}, message);
	return count;
}

unsigned bus_rig_gone(const struct bus_rig_node *n, unsigned i)
{
	unsigned count = 0;

	for (size_t k = 0; k < n->n_gone; k++)
		count += strcmp(n->gone[k], n->rig->nodes[i].id) == 0;
	return count;
}

bool bus_rig_knows(const struct bus_rig_node *n, unsigned i)
{
	char text[64];
	struct str prefix = {text, str_printf(text, sizeof text, BEAT "%016x", i)};

	for (size_t k = 0; k < n->n_heard; k++)
		if (str_starts((struct str){n->heard[k].bytes, n->heard[k].len}, prefix))
			return true;
	return false;
}

void bus_rig_forget(struct bus_rig_node *n)
{
	for (size_t i = 0; i < n->n_heard; i++)
		free(n->heard[i].bytes);
	n->n_heard = n->n_gone = 0;
}

/* ---- time ---- */

static void bus_rig_on_watch(void *arg)
{
	ev_stop(arg);
}

void bus_rig_run(struct bus_rig *t, uint64_t ms)
{
	t->watch = (struct ev_timer){.fn = bus_rig_on_watch, .arg = t->ev};
	ev_timer_set(t->ev, &t->watch, ms);
	while (ev_timer_is_set(&t->watch))
		ev_run(t->ev);
}

static bool bus_rig_met(struct bus_rig *t, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		for (unsigned k = 0; k < n; k++)
			if (i != k && !bus_rig_knows(&t->nodes[i], k))
				return false;
	return true;
}

void bus_rig_meet(struct bus_rig *t, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		bus_rig_come(t, i);
	bus_rig_until(t, BUS_GONE_MS, bus_rig_met(t, n));
}

/* ---- life ---- */

int bus_rig_setup(void **state)
{
	struct bus_rig *t = must_calloc(1, sizeof *t);

	t->maker = *state;
	t->log = (struct log){.level = LOG_DEBUG, .write = bus_rig_on_log, .arg = t};
	assert_int_equal(ev_new(&t->ev), 0);
	t->maker->begin();
	*state = t;
	return 0;
}

int bus_rig_teardown(void **state)
{
	struct bus_rig *t = *state;

	for (unsigned i = 0; i < BUS_RIG_NODES; i++) {
		if (t->nodes[i].bus != NULL)
			bus_rig_leave(&t->nodes[i]);
		bus_rig_forget(&t->nodes[i]);
	}
	ev_free(t->ev);
	t->maker->end();
	free(t);
	return 0;
}
