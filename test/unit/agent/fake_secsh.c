#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "unit/agent/fake_secsh.h"
#include "wire/wire_mem.h"

struct secsh_agent {
	struct ev *ev;
	struct secsh_agent_opt opt;
	struct session session;
	struct ev_timer timer;
	size_t n;
	uint16_t ports[SECSH_SPECS_MAX];
};

struct fake_secsh fake_secsh = {.fd = -1};
static struct secsh_agent *the_agent;

static void fake_secsh_close(struct session *s, int why, struct str reason)
{
	assert_true(fake_secsh.up);
	fake_secsh.up = false;
	fake_secsh.n_closed++;
	ev_timer_stop(the_agent->ev, &the_agent->timer);
}

static const struct session_ops fake_secsh_ops = {.close = fake_secsh_close};

void fake_secsh_die(int why, const char *reason)
{
	assert_true(fake_secsh.up);
	fake_secsh.up = false;
	ev_timer_stop(the_agent->ev, &the_agent->timer);
	the_agent->opt.owner->closed(the_agent->opt.arg, why, str_of(reason));
}

static bool fake_secsh_refuses(uint16_t port)
{
	for (size_t i = 0; i < ARRAY_LEN(fake_secsh.taken); i++)
		if (port != 0 && fake_secsh.taken[i] == port)
			return true;
	return fake_secsh.refuse_all;
}

static void fake_secsh_on_timer(void *arg)
{
	struct secsh_agent *a = arg;

	if (fake_secsh.dies != 0) {
		fake_secsh_die(fake_secsh.dies, "it is so");
		return;
	}
	a->opt.owner->up(a->opt.arg, "host", "user");
	for (size_t i = 0; i < a->n && !fake_secsh.silent && fake_secsh.up; i++) {
		uint16_t port = a->ports[i] != 0 ? a->ports[i] : fake_secsh.free;

		if (fake_secsh_refuses(a->ports[i]))
			a->opt.owner->forwarded(a->opt.arg, i, ERR_DENIED, 0);
		else
			a->opt.owner->forwarded(a->opt.arg, i, 0, port);
	}
}

struct wire *fake_secsh_visit(size_t i)
{
	struct visit v = {.ingress = VISIT_TCP, .tunnel = "ssh"};
	struct wire *ours, *theirs;

	assert_true(fake_secsh.up);
	assert_int_equal(wire_mem_pair(the_agent->ev, &(struct wire_mem_opt){.delay_ms = 1}, &ours,
				       &theirs),
			 0);
	the_agent->opt.owner->visit(the_agent->opt.arg, i, &v, theirs);
	return ours;
}

/* ---- what session/secsh_agent.h promises ---- */

int secsh_agent_new(struct ev *ev, const struct secsh_agent_opt *opt, struct secsh_agent **out,
		    char why[SECSH_WHY_TEXT])
{
	struct secsh_agent *a;

	if (fake_secsh.new_error != 0) {
		str_printf(why, SECSH_WHY_TEXT, "no such option");
		return fake_secsh.new_error;
	}
	assert_non_null(a = calloc(1, sizeof *a));
	*a = (struct secsh_agent){.ev = ev,
				  .opt = *opt,
				  .timer = {.fn = fake_secsh_on_timer, .arg = a}};
	*out = the_agent = a;
	return 0;
}

const char *secsh_agent_host(const struct secsh_agent *a)
{
	return "127.0.0.1";
}

uint16_t secsh_agent_port(const struct secsh_agent *a)
{
	return fake_secsh.port;
}

const char *secsh_agent_user(const struct secsh_agent *a)
{
	return "user";
}

bool secsh_agent_is_proxied(const struct secsh_agent *a)
{
	return !fake_secsh.dialled;
}

uint32_t secsh_agent_dial_ms(const struct secsh_agent *a)
{
	return 0;
}

bool secsh_agent_is_all_or_none(const struct secsh_agent *a)
{
	return fake_secsh.all_or_none;
}

int secsh_agent_start(struct secsh_agent *a, int fd, const struct secsh_agent_forward *forwards,
		      size_t n, struct session **out)
{
	size_t at = 0;

	assert_false(fake_secsh.up); /* one at a time */
	assert_int_equal(fd >= 0, fake_secsh.dialled);
	if (fake_secsh.fd >= 0)
		close(fake_secsh.fd);
	fake_secsh.fd = fd;
	if (fake_secsh.n_starts < FAKE_SECSH_STARTS)
		fake_secsh.start_ms[fake_secsh.n_starts] = ev_now_ms(a->ev);
	fake_secsh.n_starts++;
	fake_secsh.up = true;
	a->n = n;
	for (size_t i = 0; i < n; i++) {
		a->ports[i] = forwards[i].port;
		at += str_printf(fake_secsh.asked + at, sizeof fake_secsh.asked - at, "%s%s:%u",
				 i > 0 ? " " : "", forwards[i].address, forwards[i].port);
	}
	a->session = (struct session){.ops = &fake_secsh_ops, .ev = a->ev};
	ev_timer_set(a->ev, &a->timer, 5);
	*out = &a->session;
	return 0;
}

void secsh_agent_free(struct secsh_agent *a)
{
	if (a == NULL)
		return;
	assert_false(fake_secsh.up);
	ev_free_later(a->ev, a);
	the_agent = NULL;
	if (fake_secsh.fd >= 0)
		close(fake_secsh.fd);
	fake_secsh.fd = -1;
}

void secsh_agent_accept(struct wire *w)
{
	fake_secsh.n_accepted++;
}
