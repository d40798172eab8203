/* What a link makes of many packets in one turn: they leave together. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <linux/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "unit/session/secsh_rig.h"
#include "unit/wire/tcp_pair.h"

#define N_VISITS 12

/* Visitors of one session, and what has come of what they said. */
struct crowd {
	struct wire *visitors[N_VISITS];
	size_t n_read;
};

static void target_on_ready(void *arg, struct wire *w, int events)
{
	struct crowd *c = arg;
	struct str in;

	if (wire_read(w, 64, &in) == 0)
		c->n_read += in.len;
}

static void target_on_broken(void *arg, struct wire *w, int why)
{
	wire_want(w, 0);
}

static const struct wire_owner target_owner = {target_on_ready, target_on_broken};

static bool until_served(struct rig *r)
{
	return r->n_served == N_VISITS;
}

static bool until_open(struct rig *r)
{
	struct crowd *c = r->arg;

	for (size_t i = 0; i < N_VISITS; i++)
		if (wire_room(c->visitors[i]) == 0)
			return false;
	return true;
}

static bool until_read(struct rig *r)
{
	return ((struct crowd *)r->arg)->n_read == N_VISITS;
}

static int option(int fd, int name)
{
	int value = -1;
	socklen_t len = sizeof value;

	assert_int_equal(getsockopt(fd, IPPROTO_TCP, name, &value, &len), 0);
	return value;
}

static unsigned segments(int fd)
{
	struct tcp_info info = {0};
	socklen_t len = sizeof info;

	assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len), 0);
	return info.tcpi_data_segs_out;
}

static struct rig *crowd_begin(struct crowd *c)
{
	struct rig *r;
	int fd[2];

	tcp_pair_fds(true, fd);
	r = rig_new_fds(fd);
	rig_start(r, "localhost", 80);
	r->arg = c;
	for (size_t i = 0; i < N_VISITS; i++)
		assert_int_equal(rig_visit(r, "demo", &c->visitors[i]), 0);
	rig_run(r, until_served);
	rig_run(r, until_open);
	for (size_t i = 0; i < N_VISITS; i++) {
		wire_own(r->served[i], &target_owner, c);
		wire_want(r->served[i], WIRE_READ);
	}
	return r;
}

static void crowd_say(struct crowd *c, size_t n)
{
	struct iovec iov = {(char[]){"x"}, 1};
	size_t taken;

	for (size_t i = 0; i < n; i++) {
		assert_int_equal(wire_write(c->visitors[i], &iov, 1, &taken), 0);
		assert_int_equal(taken, 1);
	}
}

static void crowd_end(struct rig *r, struct crowd *c)
{
	for (size_t i = 0; i < N_VISITS; i++)
		wire_close(c->visitors[i], 0);
	rig_free(r);
}

/* Twice: what waited the first time must not be what is left for the second. */
static void test_packets_of_a_turn_leave_together(void **state)
{
	struct crowd c = {.n_read = 0};
	struct rig *r = crowd_begin(&c);
	int fd = secsh_link_of(r->node)->fd;

	for (int turn = 0; turn < 2; turn++) {
		unsigned before = segments(fd);

		c.n_read = 0;
		crowd_say(&c, N_VISITS);
		rig_run(r, until_read);
		assert_in_range(segments(fd) - before, 1, N_VISITS / 2);
		assert_int_equal(option(fd, TCP_CORK), 0);
	}
	crowd_end(r, &c);
}

/* One packet needs no cork, and pays nothing for it. */
static void test_a_packet_alone_leaves_at_once(void **state)
{
	struct crowd c = {.n_read = 0};
	struct rig *r = crowd_begin(&c);
	int fd = secsh_link_of(r->node)->fd;

	crowd_say(&c, 1);
	assert_int_equal(option(fd, TCP_CORK), 0);
	crowd_say(&c, 1);
	assert_int_equal(option(fd, TCP_CORK), 1);
	crowd_end(r, &c);
}

/* Nor is what a session says last held back when it ends in the middle of the turn. */
static void test_an_end_in_the_turn(void **state)
{
	struct crowd c = {.n_read = 0};
	struct rig *r = crowd_begin(&c);
	int fd = dup(secsh_link_of(r->node)->fd);

	assert_true(fd >= 0);
	crowd_say(&c, N_VISITS);
	assert_int_equal(option(fd, TCP_CORK), 1);
	session_close(r->node, ERR_DRAIN, STR("going away"));
	r->node = NULL;
	assert_int_equal(option(fd, TCP_CORK), 0);
	close(fd);
	rig_run(r, rig_is_gone);
	crowd_end(r, &c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_packets_of_a_turn_leave_together),
		cmocka_unit_test(test_a_packet_alone_leaves_at_once),
		cmocka_unit_test(test_an_end_in_the_turn),
	};

	return cmocka_run_group_tests(tests, rig_setup, rig_teardown);
}
